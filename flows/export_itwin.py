"""Export every iModel of an iTwin: runs export-ifc and export-mesh for many at once in one process.

Requires: an `iTwin Credentials` block, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment.
"""

from prefect import flow

from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh
from flows.signatures import batch_request, with_signature
from tasks.batch.ended_batch import report_ended_batch
from tasks.batch.export_all import (
    ExportFlow,
    export_all,
    list_imodels,
    note_begun,
    publish_report,
    raise_if_failed,
    with_itwin,
)
from tasks.batch.federated_batch import federate_exports
from tasks.batch.options import BatchRequest
from tasks.batch.shards import export_in_shards
from tasks.ifc.run_heartbeat import name_remote_run
from tasks.load_blocks import load_credentials
from tasks.load_destination import with_destination
from tasks.load_rules import load_rules
from tasks.reports import BatchReport, ExportFormat


@flow(
    name="export-itwin",
    flow_run_name="itwin-{itwin_id}",
    persist_result=False,
    on_crashed=[report_ended_batch(name_remote_run)],
    on_cancellation=[report_ended_batch(name_remote_run)],
)
@with_signature(batch_request)
async def export_itwin(request: BatchRequest) -> BatchReport:
    """Export every iModel of an iTwin; what has not changed since the last time is skipped."""
    request = await with_destination(request)
    itwin = await load_credentials(request.credentials)
    rules = await load_rules(request.acceptance) if request.acceptance else None
    async with itwin.get_client() as apis:  # the exports share its connections
        request = await with_itwin(itwin, request)
        imodels = await list_imodels(apis, request)
        note_begun(request, imodels)
        export_flows: dict[ExportFormat, ExportFlow] = {"ifc": export_ifc.fn, "mesh": export_mesh.fn}
        if request.shards > 1:
            report = await export_in_shards(request, imodels)
        else:
            report = await export_all(request, imodels, export_flows)
        report = await federate_exports(apis, request, report)
        await publish_report(apis, request, report, imodels)
    return raise_if_failed(report, request.fail_when, rules)
