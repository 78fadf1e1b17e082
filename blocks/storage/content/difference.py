"""What changed since the export before: in full in `content.json`, in short in manifest, report and artifact."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from blocks.kept_model import KeptModel
from blocks.storage.content.ifc_classes import PRODUCTS, known_classes

MOST_CLASSES = 10
"""Classes in the short form."""
MOST_NAMED = 5
"""Classes in the sentence."""


class ExportBefore(KeptModel):
    """The export that was published before."""

    changeset_id: str | None
    changeset_index: int | None
    created_at: datetime
    same_options: bool = Field(description="False if it was made with other options, as of another saved view.")

    def sentence(self) -> str:
        """Which export it is: its changeset and the day it was made."""
        index, changeset = self.changeset_index, (self.changeset_id or "unknown")[:10]
        name = f"{self.created_at:%Y-%m-%d} (changeset {index if index is not None else changeset})"
        return name if self.same_options else f"{name}, made with other options"


class Change(KeptModel):
    """Counts of GlobalIds."""

    added: int = 0
    gone: int = 0
    kept: int = 0


class IfcDifference(KeptModel):
    """GlobalIds added, gone and kept, each counted once."""

    format: Literal["ifc"] = "ifc"
    before: ExportBefore
    added: int
    gone: int
    kept: int
    changed_classes: int = Field(description="Classes with GlobalIds that were added or are gone.")
    classes: dict[str, Change] = Field(
        description="By class; the short form has the classes with the most changes, products first."
    )

    def shortened(self) -> "IfcDifference":
        """With the classes that changed most only."""
        changed = {name: change for name, change in self.classes.items() if change.added or change.gone}
        most = sorted(changed, key=lambda name: _rank(name, changed[name]))[:MOST_CLASSES]
        return self.model_copy(update={"classes": {name: changed[name] for name in most}})

    def changes(self) -> str:
        """The classes that changed most."""
        named = [_signed(name, change) for name, change in self.shortened().classes.items()][:MOST_NAMED]
        others = self.changed_classes - len(named)
        facts = [*named, f"{others} more classes"] if others else named
        return f"{', '.join(facts) or 'nothing added or gone'}; {self.kept} GlobalIds kept"

    def sentence(self) -> str:
        """The changes, since when, and what a comparison of GlobalIds cannot tell."""
        return (
            f"Since the export of {self.before.sentence()}: {self.changes()}. Geometry and properties are not "
            "compared, and an exporter may give the same element another GlobalId"
        )


class Files(KeptModel):
    """Files and their bytes together."""

    files: int = 0
    size: int = 0

    def __str__(self) -> str:
        return f"{self.files} ({self.size} bytes)"


class TilesetDifference(KeptModel):
    """Tiles and other files of a tileset; changed are those of the same name with another content."""

    format: Literal["mesh"] = "mesh"
    before: ExportBefore
    added: Files
    changed: Files
    gone: Files
    kept: Files

    def changes(self) -> str:
        """Counts and bytes."""
        return f"files added {self.added}, changed {self.changed}, gone {self.gone}, kept {self.kept}"

    def sentence(self) -> str:
        """The changes, since when, and what a comparison of files cannot tell."""
        return (
            f"Since the export of {self.before.sentence()}: {self.changes()}. Files are compared by name and SHA-256, "
            "and the platform may divide the same geometry into other tiles"
        )


Difference = Annotated[IfcDifference | TilesetDifference, Field(discriminator="format")]


def _rank(name: str, change: Change) -> tuple[bool, int, str]:
    known = known_classes().get(name.upper().encode())
    return known is None or known.kind not in PRODUCTS, -change.added - change.gone, name


def _signed(name: str, change: Change) -> str:
    """As in `+12 −3 IfcDoor`."""
    added = [f"+{change.added}"] if change.added else []
    gone = [f"−{change.gone}"] if change.gone else []
    return " ".join((*added, *gone, name))
