"""The `Acceptance Rules` block: what must hold of an export so that it counts as what was agreed."""

from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field

from blocks.storage.acceptance.rules import IfcRules, MeshRules, OnRejected, Rules

_FIELDS = Rules.model_fields


class AcceptanceRules(Block):
    """What must hold of an export so that it counts as what was agreed, and what follows if it does not.

    Example:
        Load saved rules:
        ```python
        from blocks.storage.acceptance.acceptance_rules import AcceptanceRules

        rules = AcceptanceRules.load("BLOCK_NAME").to_rules()
        ```
    """

    _block_type_name: ClassVar[str | None] = "Acceptance Rules"
    _block_type_slug: ClassVar[str | None] = "acceptance-rules"
    _description: ClassVar[str | None] = (
        "What must hold of an export so that it counts as what was agreed, and what follows if it does not."
    )
    _documentation_url: ClassVar[Any] = "https://technical.buildingsmart.org/standards/ifc/ifc-schema-specifications/"
    _logo_url: ClassVar[Any] = (
        "https://cdn.sanity.io/images/3ugk85nk/production/54e3fa7e00197a4fbd1d82ed62494cb58d08c96a-250x250.png"
    )

    on_rejected: OnRejected = Field(
        default="fail", title=_FIELDS["on_rejected"].title, description=_FIELDS["on_rejected"].description
    )
    ids: tuple[str, ...] = Field(default=(), title=_FIELDS["ids"].title, description=_FIELDS["ids"].description)
    ifc: IfcRules = Field(default=IfcRules(), title=_FIELDS["ifc"].title, description=_FIELDS["ifc"].description)
    mesh: MeshRules = Field(default=MeshRules(), title=_FIELDS["mesh"].title, description=_FIELDS["mesh"].description)

    def to_rules(self) -> Rules:
        """The rules, as a TOML file with the same names gives them.

        Raises:
            ValidationError: There is no rule in it.
        """
        return Rules(on_rejected=self.on_rejected, ids=self.ids, ifc=self.ifc, mesh=self.mesh)
