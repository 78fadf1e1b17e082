"""The file of a common tileset, in the folder of its iTwin beside those of the iModels."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from blocks.bounds import LONGEST_TILESET_JSON
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
        return parsed_site(read_bounded(folder / ROOT, LONGEST_TILESET_JSON))
    except OSError:
        return None


def parsed_site(content: bytes) -> SiteFile | None:
    """What a `tileset.json` says of the site; None if it is no common tileset of this tool."""
    try:
        document = read_json_object(content, LONGEST_TILESET_JSON)
        marked: Json = document["asset"]["extras"][MARK]
        ids = tuple(str(cast("Json", one)["id"]) for one in marked["imodels"])
    except (ForeignDataError, LookupError, TypeError):
        return None
    return SiteFile(str(marked.get("itwin_name") or ""), ids)


def written_site(document: Json) -> bytes:
    """The content of the file of a common tileset."""
    return json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False).encode()


def not_ours_error(place: str) -> InputError:
    """The error for a tileset that lies in the place of a common one and that this tool has not made."""
    return InputError(f"{place} is no common tileset of itwin-export. Move it, or choose another output folder.")
