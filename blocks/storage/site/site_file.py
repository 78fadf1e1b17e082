"""The file of a common tileset, in the folder of its iTwin beside those of the iModels."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from blocks.bounds import LONGEST_TILESET_JSON
from blocks.disk import disk_errors, write_whole
from blocks.errors import ForeignDataError, InputError
from blocks.foreign_data import Json, read_json_object
from blocks.shared_folder import read_bounded
from blocks.storage.site.site_document import MARK
from blocks.storage.tileset.references import ROOT


@dataclass(frozen=True)
class SiteFile:
    """A published common tileset: the id of its iTwin and those of the iModels it refers to."""

    itwin_name: str
    imodel_ids: tuple[str, ...]


def read_site(folder: Path) -> SiteFile | None:
    """The common tileset in a folder; None if there is none of ours."""
    try:
        document = read_json_object(read_bounded(folder / ROOT, LONGEST_TILESET_JSON), LONGEST_TILESET_JSON)
        marked: Json = document["asset"]["extras"][MARK]
        ids = tuple(str(cast("Json", one)["id"]) for one in marked["imodels"])
    except (OSError, ForeignDataError, LookupError, TypeError):
        return None
    return SiteFile(str(marked.get("itwin_name") or ""), ids)


def write_site(folder: Path, document: Json) -> None:
    """Write the common tileset; readers see the one before or this one, whole.

    Raises:
        InputError: A tileset lies there that is none of ours.
        DiskError: The disk refuses.
    """
    require_ours(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / ROOT, json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode())


def remove_site(folder: Path) -> bool:
    """Delete a common tileset of ours; returns whether there was one.

    Raises:
        DiskError: The disk refuses.
    """
    if read_site(folder) is None:
        return False
    with disk_errors(folder):
        (folder / ROOT).unlink(missing_ok=True)
    return True


def require_ours(folder: Path) -> None:
    """Check that the folder is empty of tilesets or holds a common tileset of this tool, which may be replaced.

    Raises:
        InputError: A tileset lies there that is none of ours.
    """
    if (folder / ROOT).exists() and read_site(folder) is None:
        raise InputError(
            f"{folder / ROOT} is no common tileset of itwin-export. Move it, or choose another output folder."
        )
