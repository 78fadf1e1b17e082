"""Export one iModel as an IFC file: the runbook.

Requires: an `iTwin Credentials` block, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment.
"""

from functools import partial
from typing import Annotated

from prefect import flow

from blocks.itwin.credentials import ItwinCredentials
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.changeset import resolve_changeset
from tasks.first_start import record_first_start
from tasks.form_fields import OptionalText, titled
from tasks.ifc.blob_storage import load_blob_storage, verify_blob_storage
from tasks.ifc.connection import connect
from tasks.ifc.consent import verify_authorization
from tasks.ifc.lost_output import with_one_new_run
from tasks.ifc.mapping_file import with_mapping
from tasks.ifc.options import IfcRequest, IfcVersion, OnActiveRun, OnPartialSuccess, OutputLocation
from tasks.ifc.output import fetch_output
from tasks.ifc.publish import publish, try_publishing_files
from tasks.ifc.run import build_run_spec, start_or_reconnect, wait_for_run
from tasks.ifc.run_heartbeat import report_detached_run
from tasks.ifc.run_spec import RunSpec
from tasks.load_blocks import load_credentials
from tasks.options import Consent
from tasks.platform_slots import platform_slot
from tasks.published import find_published, report_skipped
from tasks.reports import ExportReport


@flow(
    name="export-ifc",
    flow_run_name="ifc-{imodel_id}",
    persist_result=False,
    on_failure=[report_detached_run],
    on_crashed=[report_detached_run],
    on_cancellation=[report_detached_run],
)
async def export_ifc(
    imodel_id: Annotated[str, titled("iModel")],
    ifc_version: Annotated[IfcVersion, titled("IFC version")] = "IFC4.3",
    changeset_id: Annotated[OptionalText, titled("Changeset")] = None,
    saved_view_id: Annotated[OptionalText, titled("Saved view")] = None,
    model_ids: Annotated[list[str] | None, titled("Models")] = None,
    mapping_file_id: Annotated[OptionalText, titled("Mapping file")] = None,
    output_location: Annotated[OutputLocation, titled("Output location")] = "STORAGE",
    folder_id: Annotated[OptionalText, titled("Storage folder")] = None,
    replace_older_file: Annotated[bool, titled("Replace the older file")] = True,
    save_logs: Annotated[bool, titled("Keep the log")] = True,
    output_dir: Annotated[OptionalText, titled("Local folder")] = None,
    connection_id: Annotated[OptionalText, titled("Export connection")] = None,
    credentials: Annotated[str, titled("Credentials")] = "default",
    blob_storage: Annotated[str, titled("Your own container")] = "default",
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    on_active_run: Annotated[OnActiveRun, titled("When another run is active")] = "wait",
    on_partial_success: Annotated[OnPartialSuccess, titled("When something was left out")] = "accept",
    consent: Annotated[Consent, titled("When consent is missing")] = "fail",
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
) -> ExportReport:
    """Export an iModel as an IFC file, fetch it and verify it.

    Args:
        imodel_id: Id of the iModel (a GUID); it stands in the iModel's address in the browser.
        ifc_version: Version of the IFC schema.
        changeset_id: Changeset to export: its id (40 hex digits) or index; empty for the latest.
        saved_view_id: Export only what this saved view shows.
        model_ids: Export only these models of the iModel.
        mapping_file_id: Storage id of a custom mapping of classes and properties.
        output_location: Where the platform puts the file: the iTwin's Storage or your own Azure container.
        folder_id: Storage folder for the file; empty for the iTwin's root folder.
        replace_older_file: Overwrite the iModel's earlier file in Storage.
        save_logs: Keep and fetch the exporter's log.
        output_dir: Local folder for the fetched files; empty for the configured one.
        connection_id: Use this existing export connection instead of our own.
        credentials: Name of an iTwin Credentials block.
        blob_storage: Name of a User Blob Storage block, for your own Azure container.
        timeout_minutes: Longest time the export may run at the platform, counted from its start.
        on_active_run: When another run holds the iModel: wait for its end and start ours, adopt it, or fail.
        on_partial_success: Accept an export that left something out, with a warning, or fail.
        consent: When a user's consent is missing: fail with the link, wait for it, or suspend the run.
        force: Export even when an identical, verified export is already there.
        verify: Read published files whole before trusting them, not only their size and time stamp.
    """
    request = IfcRequest.check(
        imodel_id=imodel_id,
        ifc_version=ifc_version,
        changeset_id=changeset_id,
        saved_view_id=saved_view_id,
        model_ids=model_ids,
        mapping_file_id=mapping_file_id,
        output_location=output_location,
        folder_id=folder_id,
        replace_older_file=replace_older_file,
        save_logs=save_logs,
        output_dir=output_dir,
        connection_id=connection_id,
        timeout_minutes=timeout_minutes,
        on_active_run=on_active_run,
        on_partial_success=on_partial_success,
        consent=consent,
        force=force,
        verify=verify,
    )
    itwin = await load_credentials(credentials)
    storage = await load_blob_storage(blob_storage, request)
    async with itwin.get_client():
        request = await with_mapping(itwin, request)
        changeset = await resolve_changeset(itwin, request.imodel_id, request.changeset_id)
        looked_at = await itwin.get_platform_time()
        if published := await find_published(itwin, request, changeset):
            return await report_skipped(published, request)
        await try_publishing_files(request)
        first_started = await record_first_start(str(request.folder), looked_at)
        await verify_blob_storage(storage, request)
        connection = await connect(itwin, request)
        await verify_authorization(itwin, request.policy)
        spec = build_run_spec(request, connection, changeset, first_started)
        return await with_one_new_run(spec, partial(run_and_publish, itwin, storage))


async def run_and_publish(itwin: ItwinCredentials, storage: UserBlobStorage | None, spec: RunSpec) -> ExportReport:
    """Have the platform export, fetch what it made and publish it."""
    async with platform_slot():
        run = await start_or_reconnect(itwin, spec, storage)
        finished = await wait_for_run(itwin, spec, run)
    fetched = await fetch_output(itwin, spec, run, finished, storage)
    return await publish(itwin, spec, run, finished, fetched)
