"""Find the Storage files of a finished run: by the ids that its tasks name, else by name and time in the folder."""

import re
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import PurePosixPath

from blocks.errors import ContentError, ExportError, NotFoundError, RequestRefusedError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import ExecutionResult, ExportRun
from blocks.itwin.storage_models import StorageFile
from tasks.ifc.options import IfcRequest

LOG_SUFFIXES = frozenset({".log", ".txt"})
_SEPARATORS = re.compile(r"[\W_]+")
CLOCK_SKEW = timedelta(seconds=5)
REPLACED_AFTER = timedelta(minutes=2)
"""A run writes its file before it ends, and Storage may note the change a moment later; what changed later than that
is somebody else's. Undocumented."""
FAILED = frozenset({ExecutionResult.ERROR, ExecutionResult.CANCELED, ExecutionResult.TIMED_OUT})


async def find_models(itwin: ItwinApis, request: IfcRequest, run: ExportRun) -> list[StorageFile]:
    """The IFC files of a run.

    Raises:
        ContentError: The files cannot be identified with certainty.
    """
    named = _named_files(run)
    try:
        found = [await itwin.storage.get_file(file_id) for file_id in named]
    except (NotFoundError, RequestRefusedError):  # the id may be of a kind that Storage does not know
        found = []
    for file in found:
        _require_unreplaced(file, run)
    return found or [await _find_in_folder(itwin, request, run)]


def _named_files(run: ExportRun) -> list[str]:
    """Storage ids that the run's tasks name, each once."""
    named = (task.export_output_file_id for task in run.tasks if task.result not in FAILED)
    return list(dict.fromkeys(file_id for file_id in named if file_id))


def _require_unreplaced(file: StorageFile, run: ExportRun) -> None:
    changed = file.last_modified_date_time or file.created_date_time
    if _is_replaced(file, run):
        raise ContentError(
            f"{file.display_name} in Storage was changed at {changed:%Y-%m-%d %H:%M:%S} UTC, after export run {run.id} "
            f"had ended: it is not the file of that run any more. Run the same command again for a new export."
        )


def _is_replaced(file: StorageFile, run: ExportRun) -> bool:
    """True if the file changed more than `REPLACED_AFTER` after the end of the run."""
    changed = file.last_modified_date_time or file.created_date_time
    return bool(changed and run.end_date_time and changed > run.end_date_time + REPLACED_AFTER)


async def find_log(itwin: ItwinApis, request: IfcRequest, run: ExportRun, model: StorageFile) -> StorageFile | None:
    """The exporter's log beside a model; none if there is none or it cannot be told which it is.

    Asked for by its name first: the folder of an iTwin's nightly exports holds thousands of files.
    """
    stem = PurePosixPath(model.display_name).stem
    folder_id = model.parent_folder_id or request.folder_id
    found: list[StorageFile] = []
    if folder_id:
        with suppress(ExportError):  # what the search takes is not documented; the folder itself tells as well
            hits = itwin.storage.search_files(folder_id, f"*{_SEPARATORS.sub('*', stem)}*")
            beside = [file async for file in hits if file.parent_folder_id in {None, folder_id}]
            found = [file for file in beside if _is_log(file, stem, run)]
    if not found:
        files = itwin.storage.list_files(folder_id=folder_id, itwin_id=request.names.itwin_id)
        found = [file async for file in files if _is_log(file, stem, run)]
    return found[0] if len(found) == 1 else None


def _is_log(file: StorageFile, stem: str, run: ExportRun) -> bool:
    is_kind = PurePosixPath(file.display_name).suffix.lower() in LOG_SUFFIXES
    return is_kind and _changed_since(file, run.start_date_time) and _names(file, stem)


async def _find_in_folder(itwin: ItwinApis, request: IfcRequest, run: ExportRun) -> StorageFile:
    found = [
        file
        async for file in itwin.storage.list_files(folder_id=request.folder_id, itwin_id=request.names.itwin_id)
        if PurePosixPath(file.display_name).suffix.lower() == ".ifc"
        and _changed_since(file, run.start_date_time)
        and not _is_replaced(file, run)
        and (request.imodel_id.lower() in file.display_name.lower() or _names(file, request.names.imodel))
    ]
    if len(found) == 1:
        return found[0]
    raise ContentError(_not_told(run, request, found))


def _not_told(run: ExportRun, request: IfcRequest, found: list[StorageFile]) -> str:
    """The message when no file can be identified: the probable cause and what to do."""
    names = ", ".join(sorted(file.display_name for file in found)) or "none"
    candidates = (
        f"in its Storage folder the .ifc files of that time whose name fits “{request.names.imodel}” are: {names}"
    )
    subject = f"Export run {run.id} of iModel {request.imodel_id}"
    if named := ", ".join(_named_files(run)):
        return (
            f"{subject} names the file {named}, which Storage does not show (any more), and {candidates}. It was "
            f"deleted or moved before it was fetched: run the same command again for a new export."
        )
    return (
        f"{subject} names no file, and {candidates}. It cannot be told which one is meant. "
        f"Give each iModel a folder of its own (folder_id), or use USER_BLOB_STORAGE."
    )


def _changed_since(file: StorageFile, start: datetime | None) -> bool:
    changed = file.last_modified_date_time or file.created_date_time
    return start is not None and changed is not None and changed >= start - CLOCK_SKEW


def _names(file: StorageFile, name: str) -> bool:
    """True if the file's name is this name or holds it as whole words: “Plant AB.ifc” is not of “Plant A”."""
    wanted, found = _words(name), _words(PurePosixPath(file.display_name).stem)
    if not wanted:
        return False
    return f" {' '.join(wanted)} " in f" {' '.join(found)} " or "".join(wanted) == "".join(found)


def _words(name: str) -> list[str]:
    """Letters and digits only, in one case: Storage may replace what a file name cannot hold."""
    return _SEPARATORS.sub(" ", name.casefold()).split()
