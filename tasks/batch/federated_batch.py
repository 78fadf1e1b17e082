"""The common tileset at the end of a batch."""

from prefect import get_run_logger

from blocks.errors import ExportError
from blocks.itwin.apis import ItwinApis
from tasks.batch.options import BatchRequest
from tasks.federation import Site, federate, site_place
from tasks.reports import BatchReport, FederationReport


async def federate_exports(itwin: ItwinApis, request: BatchRequest, report: BatchReport) -> BatchReport:
    """Publish the common tileset if it is asked for; the report says what is in it, or why there is none."""
    if not request.federate:
        return report
    log = get_run_logger()
    place = site_place(request.opened_output, request.itwin_id)
    site = Site(request.itwin_id, request.itwin_name, place, request.placements)
    try:
        federation = await federate(itwin, site)
    except ExportError as error:
        log.warning("%s", error)
        federation = FederationReport(itwin_id=request.itwin_id, error=str(error))
    else:
        log.info("%s has %s iModels, %s are left out.", federation.tileset, federation.included, federation.left_out)
    return report.model_copy(update={"federation": federation})
