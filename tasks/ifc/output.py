"""Download the files of a finished run into the staging folder beside the published exports."""

import logging
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Literal

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from pydantic import BaseModel, ConfigDict

from blocks.errors import InterruptedTransferError, NotFoundError, TransferError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import ExportRun
from blocks.itwin.storage_models import StorageFile
from blocks.signed_url import SignedUrl
from blocks.storage.destination.published_export import PublishedExport
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.download import DownloadedFile, download
from blocks.storage.download.early_file import EarlyFile
from blocks.storage.download.http_source import HttpRanges
from blocks.storage.file_names import safe_name, with_suffix
from blocks.storage.renewable_link import fixed_link
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.export_progress import current_progress
from tasks.ifc.file_name import file_name_of
from tasks.ifc.files_place import early_file_of
from tasks.ifc.lost_output import closing_lost_run
from tasks.ifc.options import IfcRequest
from tasks.ifc.output_files import find_log, find_models
from tasks.ifc.run_spec import RemoteRun, RunSpec
from tasks.retry import retries_after

LINK_LIFE = timedelta(hours=6)


class FetchedFile(BaseModel):
    """A completely downloaded file that is not published yet; `size` is in bytes."""

    model_config = ConfigDict(frozen=True)

    path: Path
    role: Literal["model", "log"]
    size: int
    sha256: str


class Fetched(BaseModel):
    """The downloaded files of a run; `folder` contains them."""

    model_config = ConfigDict(frozen=True)

    files: tuple[FetchedFile, ...]
    warnings: tuple[str, ...] = ()
    folder: Path


@task(
    **retries_after(2, 5, 15, 60, 120),
    cache_policy=NO_CACHE,  # a retry finds the files on disk
    persist_result=False,
)
async def fetch_output(
    credentials: ItwinCredentials,
    spec: RunSpec,
    run: RemoteRun,
    finished: ExportRun,
    blob_storage: UserBlobStorage | None,
    folder: Path,
    place: PublishedExport,
) -> Fetched:
    """Download the IFC files of a run into a folder, and its log if `save_logs` is set.

    An object store takes large files while they are downloaded.

    Raises:
        NotFoundError: A file does not exist.
        ContentError: The files of the run cannot be identified.
        LinkRefusedError: Access to a file is denied, also with a new link.
        TransferError: The transfer failed, or what came is not as long as Storage lists; the run serves the next try.
    """
    request = spec.request
    current_progress().enter("fetching")
    async with credentials.get_client() as itwin:
        name = await file_name_of(itwin, request, spec.changeset_id)
        with closing_lost_run(request, run):
            if blob_storage is None:
                fetched = await _fetch_from_storage(itwin, request, finished, folder, name, early_file_of(place))
            else:
                names = blob_file_names(request, name)
                early = early_file_of(place)
                fetched = await _fetch_from_blob(itwin, request, run, names, blob_storage, folder, early)
            current_progress().fetched_bytes = sum(file.size for file in fetched.files)
            return fetched


async def _fetch_from_storage(
    itwin: ItwinApis, request: IfcRequest, finished: ExportRun, folder: Path, name: str, early: EarlyFile
) -> Fetched:
    models = await find_models(itwin, request, finished)
    names = _distinct([_named(model, name) for model in models])
    files = [
        await _fetch_file(itwin, model, folder / own, "model", early) for model, own in zip(models, names, strict=True)
    ]
    if not request.save_logs:
        return Fetched(files=tuple(files), folder=folder)
    log = await find_log(itwin, request, finished, models[0])
    if log is None:
        return Fetched(files=tuple(files), folder=folder, warnings=("The exporter's log was not found in Storage.",))
    files.append(await _fetch_file(itwin, log, folder / _named(log, name), "log"))
    return Fetched(files=tuple(files), folder=folder)


def _named(file: StorageFile, name: str) -> str:
    """The platform's name of a file, or another one with its ending."""
    own = safe_name(file.display_name)
    return with_suffix(name, Path(own).suffix) if name else own


async def _fetch_file(
    itwin: ItwinApis, file: StorageFile, target: Path, role: Literal["model", "log"], early: EarlyFile | None = None
) -> FetchedFile:
    async with HttpRanges(partial(itwin.storage.get_download_link, file.id)) as source:
        arrived = await download(source, target, on_progress=current_progress().note_bytes, early=early)
    if file.size is not None and file.size != arrived.stored_size:
        raise InterruptedTransferError(
            f"Storage lists {file.display_name} with {file.size} bytes and delivers {arrived.stored_size}. "
            f"It may just have been replaced: run the export again."
        )
    return _fetched(arrived, role)


async def _fetch_from_blob(
    itwin: ItwinApis,
    request: IfcRequest,
    run: RemoteRun,
    names: tuple[str, str],
    blob_storage: UserBlobStorage,
    folder: Path,
    early: EarlyFile,
) -> Fetched:
    model_name, log_name = names

    async def link_to_model() -> SignedUrl:
        until = itwin.client.server_now() + LINK_LIFE
        return blob_storage.link_to(run.blob_name, until=until)

    async with AzureBlobRanges(link_to_model) as source:
        model = await download(source, folder / model_name, on_progress=current_progress().note_bytes, early=early)
    files = [_fetched(model, "model")]
    until = itwin.client.server_now() + LINK_LIFE
    log_link = blob_storage.link_to_log(run.blob_name, until=until) if request.save_logs else None
    if log_link is None:
        return Fetched(files=tuple(files), folder=folder)
    try:
        async with AzureBlobRanges(fixed_link(log_link)) as source:
            files.append(_fetched(await download(source, folder / log_name), "log"))
    except (NotFoundError, TransferError) as error:
        return Fetched(
            files=tuple(files), folder=folder, warnings=(f"The exporter's log could not be fetched: {error}",)
        )
    return Fetched(files=tuple(files), folder=folder)


def blob_file_names(request: IfcRequest, name: str) -> tuple[str, str]:
    """Names of the model and the log from the user's container: the given name, else that of the iModel."""
    stem = name or safe_name(request.names.imodel or request.imodel_id).removesuffix(".ifc")
    return with_suffix(stem, ".ifc"), with_suffix(stem, ".log")


def _fetched(file: DownloadedFile, role: Literal["model", "log"]) -> FetchedFile:
    level = logging.INFO if role == "model" else logging.DEBUG
    get_run_logger().log(level, "Fetched %s (%s bytes).", file.path.name, file.size)
    return FetchedFile(path=file.path, role=role, size=file.size, sha256=file.sha256)


def _distinct(names: list[str]) -> list[str]:
    """Append numbers to the names if two files have the same name."""
    taken: dict[str, int] = {}
    for name in names:
        taken[name.casefold()] = taken.get(name.casefold(), 0) + 1
    if all(count == 1 for count in taken.values()):
        return names
    return [with_suffix(Path(name).stem, f"-{number}{Path(name).suffix}") for number, name in enumerate(names, start=1)]
