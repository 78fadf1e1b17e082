"""IFC files: checked, and published whole or not at all."""

import asyncio
from contextlib import suppress
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from blocks.disk import remove_folder
from blocks.errors import ContentError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import ExportRun
from blocks.itwin.run_outcome import evaluate_run
from blocks.storage.acceptance.ids_checks import require_valid_documents
from blocks.storage.content.global_ids import GlobalIds
from blocks.storage.content.ifc_content import read_ifc
from blocks.storage.content.models import ExportContent, IfcContent
from blocks.storage.content_file import write_content, write_global_ids
from blocks.storage.destination.published_export import PublishedExport
from blocks.storage.difference_to_before import compare_global_ids, global_ids_before
from blocks.storage.history import KeptExport
from blocks.storage.ifc_check import check_ifc
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.preview_file import add_preview
from blocks.storage.publish import check_publishable
from blocks.threads import finish_in_thread
from tasks.events.publications import note_publication
from tasks.export_progress import current_progress
from tasks.ifc.file_name import file_name_of
from tasks.ifc.lost_output import closing_lost_run
from tasks.ifc.options import IfcRequest
from tasks.ifc.output import Fetched, FetchedFile, blob_file_names
from tasks.ifc.run_records import records_of
from tasks.ifc.run_spec import RemoteRun, RunSpec
from tasks.judged_export import is_publishable, with_verdict
from tasks.published import draft_manifest, publish_rejected, report_published
from tasks.reports import ExportReport


async def check_files_publishable(itwin: ItwinApis, request: IfcRequest, changeset_id: str) -> None:
    """Try what publishing will do before the platform is asked for anything.

    Raises:
        ConfigurationError: It does not work there.
        InputError: An IDS document of the acceptance rules is invalid.
    """
    await asyncio.to_thread(require_valid_documents, request.rules)
    name = "file"
    if request.output_location == "USER_BLOB_STORAGE" or request.file_name:  # named by us, so its very name is tried
        name, _ = blob_file_names(request, await file_name_of(itwin, request, changeset_id))
    await asyncio.to_thread(check_publishable, request.staging_root.root, request.folder, name)


@task(cache_policy=NO_CACHE, persist_result=False)
async def publish(
    credentials: ItwinCredentials,
    spec: RunSpec,
    run: RemoteRun,
    finished: ExportRun,
    fetched: Fetched,
    place: PublishedExport,
) -> ExportReport:
    """Check the fetched files and swap them into place, whole or not at all.

    What acceptance rules do not accept is put aside, unless they say otherwise.

    Raises:
        ContentError: A file is not the IFC that was asked for.
        DiskError: The disk refuses the files.
    """
    current_progress().enter("checking")
    with closing_lost_run(spec.request, run):
        try:
            kept = await finish_in_thread(_check_and_publish, credentials, spec, run, finished, fetched, place)
        except ContentError:
            remove_folder(fetched.folder)
            raise
    current_progress().enter("published")
    async with credentials.get_client() as itwin:
        records_of(spec.request).note_run(
            run.connection_id, run.run_id, "fetched", fetched_at=itwin.client.server_now()
        )
    return report_published(kept, spec.request, started_at=spec.first_started)


async def publish_rejected_files(
    credentials: ItwinCredentials, request: IfcRequest, changeset_id: str
) -> ExportReport | None:
    """Check an identical export again that was rejected before, and publish it if it may be published now."""

    def publish_again(staging: Path, manifest: Manifest) -> Manifest:
        return _publish(request, request.published, staging, manifest)

    return await publish_rejected(credentials, request, changeset_id, publish_again)


def _check_and_publish(
    credentials: ItwinCredentials,
    spec: RunSpec,
    run: RemoteRun,
    finished: ExportRun,
    fetched: Fetched,
    place: PublishedExport,
) -> KeptExport:
    models = _checked_models(spec, fetched)
    files = tuple(
        ManifestFile(path=file.path.name, role=file.role, size=file.size, sha256=file.sha256) for file in fetched.files
    )
    content, about = _described(spec.request, fetched.folder, models)
    draft = draft_manifest(
        credentials,
        spec.request,
        changeset_id=None if run.warnings else spec.changeset_id,  # what a stranger's run exported is not known
        run_id=run.run_id,
        connection_id=run.connection_id,
        adopted=run.adopted,
        result=str(finished.result),
        warnings=_warnings(spec, run, finished, content, fetched),
        content=content.summary(),
        difference=content.short_difference(),
        files=(*files, *about),
        total_bytes=sum(file.size for file in files),
    )
    manifest = add_preview(draft, fetched.folder)
    current_progress().enter("publishing")
    judged = with_verdict(manifest, spec.request, content, fetched.folder)
    kept = _settle(spec.request, place, fetched.folder, judged)
    remove_folder(fetched.folder)
    return kept


def _warnings(
    spec: RunSpec, run: RemoteRun, finished: ExportRun, content: ExportContent, fetched: Fetched
) -> tuple[str, ...]:
    """The warnings for the manifest: about the run, the mapping, failed parts, empty models and missing files."""
    partial = evaluate_run(finished, imodel_id=spec.request.imodel_id, accept_partial=spec.policy.accepts_partial)
    empty = tuple(_says_empty(file.path) for file in content.ifc if not file.holds_product)
    anew = (run.why_anew,) if run.why_anew else ()
    return (*run.warnings, *anew, *spec.request.mapping_warnings, *partial, *empty, *fetched.warnings)


def _settle(request: IfcRequest, place: PublishedExport, staging: Path, manifest: Manifest) -> KeptExport:
    """Publish the files, or put them aside if they are not accepted."""
    if is_publishable(manifest, request):
        return KeptExport(request.folder, _publish(request, place, staging, manifest))
    return request.published.put_aside(staging, manifest, lock=request.state_dir.publish_lock("ifc"))


def _checked_models(spec: RunSpec, fetched: Fetched) -> list[FetchedFile]:
    models = [file for file in fetched.files if file.role == "model"]
    for model in models:
        check_ifc(model.path, spec.request.ifc_version)
    return models


def _described(
    request: IfcRequest, folder: Path, models: list[FetchedFile]
) -> tuple[ExportContent, tuple[ManifestFile, ...]]:
    """What the files contain and what changed since the export before, and the files that say so."""
    contents, global_ids = list[IfcContent](), GlobalIds()
    for model in models:
        content, ids = read_ifc(model.path)
        contents.append(content)
        global_ids.extend(ids)
    with suppress(ContentError):  # a damaged export before this one has nothing to compare with
        request.published.fetch(global_ids_before(request.folder))
    difference = compare_global_ids(request.folder, global_ids, request.options)
    report = ExportContent(ifc=tuple(contents), difference=difference)
    return report, (write_content(folder, report), write_global_ids(folder, global_ids))


def _publish(request: IfcRequest, place: PublishedExport, staging: Path, manifest: Manifest) -> Manifest:
    """Publish the files of a staging folder, and keep the export before them if asked."""
    note_publication(request, manifest.run_id)
    lock = request.state_dir.publish_lock("ifc")
    return place.publish(staging, manifest, keep=request.policy.keep, lock=lock)


def _says_empty(name: str) -> str:
    return (
        f"{name} is a valid IFC without a single product: it shows nothing. Look whether the iModel, the "
        f"saved view or the models asked for hold any geometry."
    )
