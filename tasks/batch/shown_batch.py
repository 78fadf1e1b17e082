"""Show a batch in the Prefect UI: its page, and the key of its progress artifact."""

from collections.abc import Sequence
from datetime import UTC, datetime

import httpx
from prefect import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

from blocks.itwin.models import IModel
from blocks.prefect_server.availability import while_it_answers
from blocks.settings import read_settings
from tasks.artifacts import show_page
from tasks.batch.options import BatchRequest
from tasks.batch.page import BatchFacts, batch_page
from tasks.export_progress import ExportProgress, artifact_key
from tasks.flow_run_facts import own_facts
from tasks.markdown import MOST_ROWS
from tasks.reports import BatchReport


def progress_key(request: BatchRequest) -> str:
    """Key of the progress artifact of a batch."""
    return f"export-itwin-progress-{request.itwin_id}"


async def show_batch(
    request: BatchRequest, report: BatchReport, imodels: Sequence[IModel], requests: int | None
) -> None:
    """Create the page; `requests` is how many this process sent to the platform, None if others sent some too."""
    run = own_facts()
    facts = BatchFacts(
        repeat=run.repeat,
        seconds=(datetime.now(UTC) - run.started_at).total_seconds(),
        requests=requests,
        per_minute=read_settings().requests_per_minute,
        pages=await _existing_pages(report),
        names={spelling: one.display_name for one in imodels for spelling in (one.id, one.id.lower())},
        itwin_name=request.itwin_name,
    )
    page = batch_page(report, facts)
    await show_page(page, key=artifact_key("itwin", report.itwin_id), description="Failed" if report.failed else "Done")


async def _existing_pages(report: BatchReport) -> frozenset[str]:
    """Keys of the artifacts of single exports that exist and that the batch's page can link to; one request."""
    named = [*report.failures[:MOST_ROWS], *[one for one in report.reports if not one.skipped][:MOST_ROWS]]
    keys = [ExportProgress(one.format, one.imodel_id).key for one in named]
    if not keys:
        return frozenset()
    wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=keys))
    try:
        async with get_client() as client:
            found = await while_it_answers(client.read_latest_artifacts(artifact_filter=wanted, limit=2 * MOST_ROWS))
    except httpx.HTTPError:  # the page does without links
        return frozenset()
    return frozenset(str(one.key) for one in found)
