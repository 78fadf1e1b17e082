"""Parameters of the flow export-itwin, validated before the first request."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from blocks.errors import InputError
from blocks.storage.site.placements import Placements, read_placements
from tasks.addresses import read_member, subject
from tasks.options import ExportOptions, OptionalId
from tasks.output_options import OutputOptions
from tasks.reports import ExportFormat

FailWhen = Literal["any", "all", "never"]

MOST_SHARDS = 1000


def _formats(value: tuple[object, ...] | list[object]) -> tuple[object, ...]:
    if not value:
        raise InputError("formats is an empty list, so there is nothing to export. Name ifc, mesh or both.")
    return tuple(dict.fromkeys(value))


def _imodel_ids(value: Iterable[object] | None) -> frozenset[str]:
    return frozenset(read_member(imodel) for imodel in value or ())


def _max_active(value: int) -> int:
    if value < 1:
        raise InputError(f"max_active is {value}; give 1 or more.")
    return value


def _shards(value: int) -> int:
    if not 1 <= value <= MOST_SHARDS:
        raise InputError(f"shards is {value}; give 1 (no shards) to {MOST_SHARDS}.")
    return value


def _placements(value: object) -> object:
    """The table in a file that was named; a table is returned unchanged."""
    return read_placements(value) if isinstance(value, str) and value else value or {}


class BatchRequest(OutputOptions, frozen=True):
    """The parameters of one batch; `options` holds the parameters of export-ifc and export-mesh.

    `itwin_id` may be a name until the flow has looked it up, and then `itwin_name` is that name.
    """

    itwin_id: Annotated[str, subject("iTwin")]
    itwin_name: str = ""
    formats: Annotated[tuple[ExportFormat, ...], BeforeValidator(_formats)]
    imodel_ids: Annotated[frozenset[str], BeforeValidator(_imodel_ids)] = frozenset()
    name_contains: Annotated[str, BeforeValidator(lambda value: value or "")] = ""
    allow_empty: bool = False
    max_active: Annotated[int, AfterValidator(_max_active)]
    shards: Annotated[int, AfterValidator(_shards)]
    fail_when: FailWhen = "any"
    federate: bool = False
    placements: Annotated[Placements, BeforeValidator(_placements)] = Field(default={})
    credentials: str = "default"
    acceptance: OptionalId = None
    options: dict[str, Any]

    @model_validator(mode="after")
    def _federate_tiles(self) -> Self:
        if self.federate and "mesh" not in self.formats:
            raise InputError("federate makes one tileset of the tiles, and no tiles are exported. Add mesh to formats.")
        if self.placements and not self.federate:
            raise InputError("placements say where tiles stand in a common tileset. Add federate, or leave them out.")
        return self

    @classmethod
    def check(cls, singles: Iterable[type[ExportOptions]] = (), /, **parameters: object) -> Self:
        """Validate the parameters of the flow.

        Args:
            singles: Models of the flows for one iModel; each validates its own parameters.
            parameters: Values by parameter name.

        Raises:
            InputError: A parameter is invalid; the message names it and says what to do.
        """
        own = cls.model_fields.keys() - {
            "options",
            "itwin_name",
            "output_dir",
            "destination",
            "credentials",
            "acceptance",
        }
        options = {name: value for name, value in parameters.items() if name not in own}
        checked = super().check(**parameters, options=options)
        for single in singles:
            single.check(**options)
        return checked

    def with_output(self, output: str) -> Self:
        """A copy with another output folder or address, for the batch and for each of its exports.

        Raises:
            InputError: It is none, the folder is not writable, or an option does not work there.
        """
        return super().with_output(output).model_copy(update={"options": {**self.options, "output_dir": output}})
