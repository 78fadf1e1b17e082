"""Export one iModel as an IFC file: the steps in order.

Requires: an `iTwin Credentials` block, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment.
"""

from functools import partial

from prefect import flow
from prefect.runtime import flow_run

from blocks.itwin.credentials import ItwinCredentials
from blocks.storage.user_blob_storage import UserBlobStorage
from flows.signatures import ifc_request, with_signature
from tasks.changeset import changeset_read_at, with_changeset
from tasks.first_start import record_first_start
from tasks.followed_export import followed
from tasks.ifc.blob_storage import load_blob_storage, verify_blob_storage
from tasks.ifc.connection import connect
from tasks.ifc.consent import verify_authorization
from tasks.ifc.files_place import place_for_files
from tasks.ifc.ids_documents import with_documents
from tasks.ifc.lost_output import retry_with_new_run
from tasks.ifc.mapping_file import upload_mapping_file, with_mapping
from tasks.ifc.options import IfcRequest
from tasks.ifc.output import fetch_output
from tasks.ifc.publish import check_files_publishable, publish, publish_rejected_files
from tasks.ifc.run import build_run_spec, start_or_reconnect, wait_for_run
from tasks.ifc.run_heartbeat import describe_remote_run, report_detached_run
from tasks.ifc.run_spec import RunSpec
from tasks.imodel import with_imodel, with_imodel_name
from tasks.load_blocks import load_credentials
from tasks.load_destination import with_destination
from tasks.load_rules import with_rules
from tasks.platform_slots import platform_slot
from tasks.published import find_published, raise_if_refused, report_skipped
from tasks.released.wait import earlier_start, found_or_released, require_resumable
from tasks.reports import ExportReport


@flow(
    name="export-ifc",
    flow_run_name="ifc-{imodel_id}",
    persist_result=False,
    on_crashed=[report_detached_run],
    on_cancellation=[report_detached_run],
)
@with_signature(ifc_request)
@followed(describe_remote_run)
async def export_ifc(request: IfcRequest) -> ExportReport:
    """Export an iModel as an IFC file, fetch it and verify it."""
    await require_resumable(request.policy)
    request = await with_destination(request)
    itwin = await load_credentials(request.credentials)
    storage = await load_blob_storage(request.blob_storage, request)
    request = await with_documents(await with_rules(request))
    async with itwin.get_client() as apis:
        request = await with_imodel(itwin, request)
        request = await with_mapping(itwin, request, storage)
        request, changeset = await with_changeset(itwin, request)
        looked_at = changeset_read_at(apis, request)
        if published := await find_published(itwin, request, changeset):
            return report_skipped(published, request)
        if report := await publish_rejected_files(itwin, request, changeset):
            return report
        request = await with_imodel_name(itwin, request)
        await check_files_publishable(apis, request, changeset)
        first_started = await record_first_start(str(request.folder), await earlier_start(request.policy) or looked_at)
        await verify_blob_storage(storage, request)
        connection = await connect(itwin, request)
        await verify_authorization(itwin, request.policy)
        spec = await build_run_spec(request, connection, changeset, first_started)
        spec = await upload_mapping_file(itwin, storage, spec)
        return await retry_with_new_run(spec, partial(run_and_publish, itwin, storage))


async def run_and_publish(itwin: ItwinCredentials, storage: UserBlobStorage | None, spec: RunSpec) -> ExportReport:
    """Have the platform export, fetch what it made and publish it."""
    async with platform_slot():
        run = await found_or_released(partial(start_or_reconnect, itwin, spec, storage))
        finished = await found_or_released(partial(wait_for_run, itwin, spec, run))
    room = spec.request.staging_root.staging(run.run_id, str(flow_run.get_id()))
    with room as staging, place_for_files(spec.request) as place:
        fetched = await fetch_output(itwin, spec, run, finished, storage, staging, place)
        return raise_if_refused(await publish(itwin, spec, run, finished, fetched, place), spec.request)
