"""Ending a flow run of this process early: by Ctrl-C, by a termination signal, or from the Prefect UI."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import PrefectException, TerminationSignal
from prefect.states import Cancelled

from blocks.errors import ExportError, without_secrets
from blocks.prefect_server.availability import wait_until_gone
from deployments.stop_signals import INTERRUPTED, stop_signals
from tasks.ifc.run_heartbeat import describe_remote_run_of

LOOK_EVERY = 2.0  # seconds between two looks for a cancellation at the Prefect server
INTERRUPTIONS = (KeyboardInterrupt, asyncio.CancelledError, TerminationSignal)
SERVER_GONE = (httpx.HTTPError, PrefectException)


class InterruptedExportError(ExportError):
    """The command was ended before the export was; the message says what the platform still does."""

    exit_code = INTERRUPTED


class InterruptibleRun:
    """One flow run of this process that can be ended from outside.

    A worker would do that for its flow runs; a command has no worker, so it looks at its flow run's state itself.
    How the export ended is what its flow function returned or raised, even if the Prefect server is gone by then.
    """

    def __init__(self, flow: Flow[..., Any], parameters: Mapping[str, Any]) -> None:
        self._flow = flow.with_options(on_running=[self._note])
        self._flow.fn = self._recording(self._flow.fn)
        self._parameters = dict(parameters)
        self._report: Any = None
        self._failure: ExportError | None = None
        self._flow_run_id: UUID | None = None
        self._main: asyncio.Task[Any] | None = None
        self._background_tasks: list[asyncio.Task[None]] = []
        self._is_cancelled = False

    def run(self) -> Any:
        """The flow's report.

        Raises:
            InterruptedExportError: It was ended early.
            ExportError: It failed.
        """
        stop_signals.sentence = self._what_happened
        try:
            return stop_signals.run(self._run())
        except (*INTERRUPTIONS, *SERVER_GONE) as error:
            return self._conclude(error)

    def _recording(self, flow_function: Callable[..., Any]) -> Callable[..., Any]:
        """The flow function, with its result recorded for `_conclude`."""

        @wraps(flow_function)
        async def keeping(*positional: Any, **named: Any) -> Any:
            try:
                self._report = await flow_function(*positional, **named)
            except ExportError as error:
                self._failure = error
                raise
            finally:
                self._background_tasks.append(asyncio.create_task(self._abort_if_server_gone()))
            return self._report

        return keeping

    def _conclude(self, error: BaseException) -> Any:
        """The report of a flow function that had ended before `error`, else the error to end with."""
        if isinstance(error, SERVER_GONE) and (self._report or self._failure):
            sys.stderr.write(_may_be_outdated(error))
        if self._report is not None:
            return self._report
        if self._failure is not None:
            raise self._failure
        if isinstance(error, INTERRUPTIONS) or stop_signals.are_received or self._is_cancelled:
            raise InterruptedExportError(self._what_happened()) from None
        raise error

    async def _run(self) -> Any:
        self._main = asyncio.current_task()
        try:
            return await self._flow(**self._parameters)
        except asyncio.CancelledError:
            if self._is_cancelled:
                await self._confirm()
            raise
        finally:
            for look_out in self._background_tasks:
                look_out.cancel()

    async def _note(self, flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG002  Prefect's shape
        if self._flow_run_id is None:
            self._flow_run_id = flow_run.id
            stop_signals.install()  # Prefect's engine has put a handler of its own in the place of ours
            self._background_tasks.append(asyncio.create_task(self._look_for_cancellation(flow_run.id)))

    async def _look_for_cancellation(self, flow_run_id: UUID) -> None:
        async with get_client() as client:
            while True:
                await asyncio.sleep(LOOK_EVERY)
                with contextlib.suppress(*SERVER_GONE):  # a server may be away for a while
                    state = (await client.read_flow_run(flow_run_id)).state
                    if state is not None and (state.is_cancelling() or state.is_cancelled()):
                        self._is_cancelled = True
                        self._end()
                        return

    async def _abort_if_server_gone(self) -> None:
        """Once the server is gone, do not wait for Prefect's engine, which reports the end of the flow to it."""
        stop_signals.leave(await wait_until_gone())

    def _end(self) -> None:
        if self._main is not None:
            self._main.cancel()

    async def _confirm(self) -> None:
        """The engine calls a flow run that ended in the middle crashed; this one was cancelled."""
        if self._flow_run_id is not None:
            async with get_client() as client:
                state = Cancelled(message=self._what_happened())
                await client.set_flow_run_state(self._flow_run_id, state, force=True)

    def _what_happened(self) -> str:
        if self._report is not None:
            return "Interrupted. The export had been done before; run the same command again for its report."
        how = "Cancelled from the Prefect server." if self._is_cancelled else "Interrupted."
        return f"{how} {self._what_goes_on() or 'Nothing is half done; run the same command again.'}"

    def _what_goes_on(self) -> str:
        if self._flow_run_id is None:
            return ""
        if "imodel_id" not in self._parameters:
            return "Runs that were started go on at the platform. Run the same command again: it picks them up."
        return describe_remote_run_of(self._parameters, str(self._flow_run_id))


def _may_be_outdated(error: BaseException) -> str:
    reason = without_secrets(str(error)) or type(error).__name__
    return (
        f"The Prefect server no longer answers ({reason}), so it may go on showing this flow run as Running. "
        f"How the export ended is not affected.\n"
    )
