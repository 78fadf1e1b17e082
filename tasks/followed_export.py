"""Follow an export: its progress while it runs, then one event and one page in the Prefect UI, however it ends."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar

from prefect import Flow, get_run_logger
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging.loggers import flow_run_logger

from blocks.errors import ReportedError
from blocks.shown_text import in_markdown
from tasks.artifacts import how_it_ended, show_page, show_page_of
from tasks.events.announced_export import announced, emit_cancelled
from tasks.export_page import PageFacts, ended_page, failure_page, picture_of, success_page
from tasks.export_progress import ExportProgress, following
from tasks.flow_run_facts import facts_of, own_facts
from tasks.known_imodel import known_names
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
    """Let an export have its progress, its event and its page; a batch has one page for all of its exports."""

    def decorate(runbook: Serve[Request]) -> Serve[Request]:
        serve = announced(runbook)

        @wraps(runbook)
        async def with_page(request: Request) -> ExportReport:
            progress = ExportProgress(request.format, request.imodel_id, known_names())
            with following(progress):
                if in_batch():
                    return await serve(request)
                return await _with_page(serve, request, progress, going_on)

        return with_page

    return decorate


async def show_ended(
    flow: Flow[..., Any], flow_run: FlowRun, state: State[Any], progress: ExportProgress, going_on: str
) -> None:
    """Page and event of a flow run that was cancelled or has crashed, for hooks, which may run in another process.

    One that has crashed has no event: it is taken up again, and then has an outcome.
    """
    how = how_it_ended(state)
    page = ended_page(how, PageFacts(progress, facts_of(flow, flow_run, flow_run.parameters), going_on=going_on))
    await show_page_of(flow_run, page, key=progress.key, description=_titled(progress, how))
    if not state.is_crashed():
        await emit_cancelled(flow_run, progress, flow_run_logger(flow_run, flow))


async def _with_page(
    serve: Serve[Request], request: Request, progress: ExportProgress, going_on: GoingOn
) -> ExportReport:
    try:
        async with shown_if_long(progress):
            report = await serve(request)
    except ReportedError as refusal:
        if isinstance(refusal.report, ExportReport):
            await _show_report(refusal.report, progress)
        raise
    except Exception as error:
        said = _what_goes_on(request, progress, going_on)
        page = failure_page(error, PageFacts(progress, own_facts(), going_on=said))
        await show_page(page, key=progress.key, description=_titled(progress, "failed"))
        raise
    await _show_report(report, progress)
    return report


async def _show_report(report: ExportReport, progress: ExportProgress) -> None:
    picture = await asyncio.to_thread(picture_of, report)
    page = success_page(report, PageFacts(progress, own_facts(), picture=picture))
    verdicts = {"rejected": "rejected by the acceptance rules", "error": "not checked against the acceptance rules"}
    how = verdicts.get(report.verdict, "nothing to do" if report.skipped else "published")
    await show_page(page, key=progress.key, description=_titled(progress, how))


def _titled(progress: ExportProgress, how: str) -> str:
    """What the list of artifacts says of a page, beside its key."""
    return f"{in_markdown(progress.subject)}: {how}"


def _what_goes_on(request: ExportRequest, progress: ExportProgress, going_on: GoingOn) -> str:
    state_dir = request.model_copy(update={"imodel_id": progress.imodel_id}).state_dir
    said = going_on(state_dir, own_facts().id)
    if said:
        get_run_logger().warning(said)
    return said
