"""Follow an export: its progress while it runs, and one page about it in the Prefect UI, however it ends."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from prefect import Flow, get_client, get_run_logger
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, State

from tasks.artifacts import show_page
from tasks.export_page import PageFacts, ended_page, failure_page, success_page
from tasks.export_progress import ExportProgress, following
from tasks.flow_run_facts import facts_of, own_facts
from tasks.options import ExportRequest
from tasks.platform_slots import in_batch
from tasks.progress_artifact import shown_if_long
from tasks.reports import ExportReport
from tasks.state_dir import StateDir

Request = TypeVar("Request", bound=ExportRequest)
Serve = Callable[[Request], Awaitable[ExportReport]]
GoingOn = Callable[[StateDir, str], str]
"""A sentence about what the platform still does for a flow run; empty if that is nothing."""


def _says_nothing(_: StateDir, __: str) -> str:
    return ""


def followed(going_on: GoingOn = _says_nothing) -> Callable[[Serve[Request]], Serve[Request]]:
    """Let an export have its progress and its page; in a batch it has no page, because the batch has one for all."""

    def decorate(serve: Serve[Request]) -> Serve[Request]:
        @wraps(serve)
        async def with_page(request: Request) -> ExportReport:
            progress = ExportProgress(request.format, request.imodel_id)
            with following(progress):
                if in_batch():
                    return await serve(request)
                return await _with_page(serve, request, progress, going_on)

        return with_page

    return decorate


async def show_ended(
    flow: Flow[..., Any], flow_run: FlowRun, state: State[Any], progress: ExportProgress, going_on: str
) -> None:
    """The page of a flow run that was cancelled or has crashed, for hooks, which may run in another process."""
    how = state.name or state.type.value
    page = ended_page(how, PageFacts(progress, facts_of(flow, flow_run, flow_run.parameters), going_on=going_on))
    created = ArtifactCreate(key=progress.key, type="markdown", description=how, data=page, flow_run_id=flow_run.id)
    async with get_client() as client:
        await client.create_artifact(created)


async def _with_page(
    serve: Serve[Request], request: Request, progress: ExportProgress, going_on: GoingOn
) -> ExportReport:
    try:
        async with shown_if_long(progress):
            report = await serve(request)
    except Exception as error:
        said = _what_goes_on(request, progress, going_on)
        await show_page(
            failure_page(error, PageFacts(progress, own_facts(), going_on=said)), key=progress.key, description="Failed"
        )
        raise
    page = success_page(report, PageFacts(progress, own_facts()))
    await show_page(page, key=progress.key, description="Nothing to do" if report.skipped else "Published")
    return report


def _what_goes_on(request: ExportRequest, progress: ExportProgress, going_on: GoingOn) -> str:
    state_dir = request.model_copy(update={"imodel_id": progress.imodel_id}).state_dir
    said = going_on(state_dir, own_facts().id)
    if said:
        get_run_logger().warning(said)
    return said
