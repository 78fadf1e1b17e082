"""The name of a published IFC file, where the request has a template for it."""

from datetime import UTC, datetime

from blocks.itwin.apis import ItwinApis
from blocks.storage.file_names import safe_name
from tasks.ifc.options import IfcRequest

NO_VERSION = "unnamed"
"""Stands for the named version of an export that is not of one."""


async def file_name_of(itwin: ItwinApis, request: IfcRequest, changeset_id: str) -> str:
    """A name without an ending that is valid on every file system; empty if the platform's name is to stay."""
    if request.file_name is None:
        return ""
    names = request.names
    values: dict[str, object] = {
        "imodel": names.imodel or request.imodel_id,
        "imodel_id": request.imodel_id,
        "itwin": await _itwin_name(itwin, request),
        "named_version": names.version.name if names.version else NO_VERSION,
        "changeset_index": names.changeset_index or 0,
        "changeset_id": changeset_id or "baseline",
        "ifc_version": request.ifc_version,
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }
    return safe_name(request.file_name.format_map(values))


async def _itwin_name(itwin: ItwinApis, request: IfcRequest) -> str:
    """The iTwin's name, asked for only if the template has it; its id where the caller may not list it."""
    if request.names.itwin or "{itwin}" not in str(request.file_name):
        return request.names.itwin
    async for found in itwin.itwins.list_itwins():
        if found.id.lower() == request.names.itwin_id:
            return found.display_name
    return request.names.itwin_id
