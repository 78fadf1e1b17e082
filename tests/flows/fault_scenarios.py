"""One export (or two at a time) under generated faults, and what must hold for each."""

import asyncio
import contextlib
import hashlib
import json
import traceback
from dataclasses import dataclass, field
from typing import Any

import httpx
from prefect import Flow, get_client
from prefect.blocks.core import Block
from prefect.client.schemas.objects import FlowRun, State
from pydantic import SecretStr

from blocks.errors import ExportError
from blocks.itwin.credentials import ItwinCredentials
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.entities import Run
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tasks.ifc.run_heartbeat import describe_remote_run
from tasks.reports import ExportReport
from tests.flows.fault_schedules import FaultInjector, Schedule, foreign_input
from tests.flows.scenario_outputs import FolderOutput
from tests.flows.test_no_secret_leaks import traces_of_secrets

ATTEMPTS = 6
MOST_CONNECTIONS = 20
"""Connections of one scenario."""
OURS = "itwin-export "


@dataclass
class FaultScenario:
    """A schedule that is being run; `said` is everything that people could read."""

    schedule: Schedule
    sandbox: RunningSandbox
    output: FolderOutput
    reports: list[ExportReport] = field(default_factory=list[ExportReport])
    flow_runs: list[str] = field(default_factory=list[str])
    under_way: set[str] = field(default_factory=set[str])
    said: list[str] = field(default_factory=list[str])
    foreign_run_id: str = ""
    latest_at_first: str = ""

    async def run(self) -> None:
        """Export until it has worked once, without faults at the end; check after each attempt."""
        credentials = await self._prepare()
        injector = asyncio.create_task(FaultInjector(self.schedule, self.sandbox).happen())
        for attempt in range(ATTEMPTS):
            if attempt == ATTEMPTS - 2:
                self.sandbox.state.faults.clear()
                self.output.calm()
            if attempt and (attempt + self.schedule.seed) % 2:
                self.output.lose_machine()
            if await self._attempt(attempt, credentials):
                break
        injector.cancel()
        self.output.calm()
        await self._check_end()

    async def _prepare(self) -> str:
        state = self.sandbox.state
        # A port may have been that of an earlier scenario, whose connections the Prefect server still knows by id.
        for _ in range(self.schedule.seed * MOST_CONNECTIONS):
            state.next_number("connection")
        block = ItwinCredentials(
            client_id=IDENTITY.service.id,
            client_secret=SecretStr(IDENTITY.service.secret or ""),
            api_url=self.sandbox.url,
            issuer_url=self.sandbox.url,
        )
        name = f"scenario-{self.schedule.seed}"
        await self._save(block, name)
        if destination := self.output.block():
            await self._save(destination, self.output.block_name)
        self.latest_at_first = state.imodels[SEEDED.plant].changesets[-1].id
        if self.schedule.foreign_run is not None:
            await self._start_foreign_run(block)
        if self.schedule.ending is not None:
            state.script(SEEDED.plant, self.schedule.ending)
        for fault in self.schedule.faults:
            state.faults.add(fault)
        return name

    async def _save(self, block: Block, name: str) -> None:
        """Save it, however busy the server is with the other scenarios."""
        for _ in range(10):
            with contextlib.suppress(httpx.HTTPError):
                await block.asave(name, overwrite=True)
                return
            await asyncio.sleep(1)

    async def _start_foreign_run(self, block: ItwinCredentials) -> None:
        older = self.sandbox.state.imodels[SEEDED.plant].changesets[0].id
        asked, output = foreign_input(self.schedule.foreign_run or "other options", older)
        async with block.get_client() as itwin:
            theirs = await itwin.exports.create_connection(
                SEEDED.plant, display_name="somebody else's", authentication_type="Service"
            )
            self.foreign_run_id = (await itwin.exports.create_run(theirs.id, asked, output)).run_id

    async def _attempt(self, attempt: int, credentials: str) -> bool:
        """True if every export of this attempt came to its good end."""
        exports = [self._export(credentials) for _ in range(self.schedule.together)]
        all_of_them = asyncio.gather(*exports, return_exceptions=True)
        limit = self.schedule.interruptions[attempt] if attempt < len(self.schedule.interruptions) else None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                outcomes = await all_of_them
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
            return all(outcomes)
        return False

    async def _export(self, credentials: str) -> bool:
        seen: list[str] = []

        def remember(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001  Prefect's shape
            seen.append(str(flow_run.id))
            self.under_way.add(str(flow_run.id))

        flow = export_ifc.with_options(on_running=[remember])
        try:
            report = await flow(
                SEEDED.plant,
                credentials=credentials,
                on_active_run=self.schedule.on_active_run,
                timeout_minutes=2,
                output_dir=self.output.address,
                destination=self.output.block_name,
            )
        except (ExportError, httpx.HTTPError) as error:  # the latter: the Prefect server is busy with the others
            self.said.append(str(error))
            return False
        finally:
            self.under_way.difference_update(seen)
            await asyncio.shield(self._check_after(seen))
        self.reports.append(report)
        self.said.append(report.model_dump_json())
        return True

    # Checks

    async def _check_after(self, flow_runs: list[str]) -> None:
        """A flow run has ended: it says so, and says what goes on."""
        async with get_client() as client:
            for flow_run_id in flow_runs:
                state = (await client.read_flow_run(flow_run_id)).state  # type: ignore[arg-type]
                self.flow_runs.append(f"{flow_run_id} {state.name if state else None}")
                assert state is not None
                assert state.is_final(), f"the flow run stays in {state.name}"
                self.said.append(str(state.message))
                if not state.is_completed() and (active := self._active()):
                    if state.is_failed() and self._is_another_ones(active):
                        continue  # its own run has failed, and the other export has asked for the next one
                    told = describe_remote_run(self.output.state_dir, flow_run_id) + str(state.message)
                    assert "platform" in told, f"nobody says that run {active.id} goes on"

    def _is_another_ones(self, run: Run) -> bool:
        """True if an export that is still under way asked for it."""
        records = self.output.records.all()
        return any(record.asked_by in self.under_way and record.run_id in {"", run.id} for record in records)

    def _active(self) -> Run | None:
        run = self.sandbox.state.active_runs.get(SEEDED.plant)
        return run if run is not None and run in self.ours else None

    @property
    def ours(self) -> list[Run]:
        connections = list(self.sandbox.state.connections.values())
        return [run for c in connections if (c.name or "").startswith(OURS) for run in c.runs]

    async def _check_end(self) -> None:
        self._check_runs()
        self._check_files()
        self._check_secrets()

    def _check_runs(self) -> None:
        """At most one run for a changeset, but for those that failed."""
        asked = {run.changeset_id for run in self.ours}
        failed = 0 if self.schedule.is_good_at_first else 1
        for changeset in asked:
            runs = [run.id for run in self.ours if run.changeset_id == changeset]
            assert len(runs) <= 1 + failed, f"{len(runs)} runs of ours for changeset {changeset}: {runs}"
        failed_for_good = self.schedule.on_active_run == "fail" and not self.reports
        assert self.reports or failed_for_good, f"no attempt worked: {self.said}"

    def _check_files(self) -> None:
        """What a reader finds is whole, and from a run of ours, or from a foreign one that was adopted on purpose."""
        found = self.output.files()
        if not self.reports:
            assert not found
            return
        manifest = json.loads(found.pop("manifest.json"))
        listed = {file["path"]: file["sha256"] for file in manifest["files"]}
        assert {name: hashlib.sha256(content).hexdigest() for name, content in found.items()} == listed
        self._check_origin(manifest, found)

    def _check_origin(self, manifest: dict[str, Any], found: dict[str, bytes]) -> None:
        (model,) = [content for name, content in found.items() if name.endswith(".ifc")]
        run = next(run for run in self.sandbox.state.runs if run.id == manifest["run_id"])
        blob = self.sandbox.state.blobs.get("files", run.output_file_id or "")
        assert blob is not None
        assert blob.read() == model
        if run.id == self.foreign_run_id:
            assert self.schedule.on_active_run == "adopt"
            assert (manifest["changeset_id"], manifest["adopted"]) == (None, True)
        else:
            assert run in self.ours
            assert manifest["changeset_id"].encode() in model
        assert all(report.run_id in {run.id for run in self.sandbox.state.runs} for report in self.reports)

    def _check_secrets(self) -> None:
        traces = [trace for text in [*self.said, *self.output.texts()] for trace in traces_of_secrets(text, SECRET)]
        assert not traces


SECRET = IDENTITY.service.secret or ""


async def run_scenario(schedule: Schedule, output: FolderOutput) -> str:
    """Run a schedule; empty if everything held, else what did not and how to see it again."""
    with running_sandbox(options=Options(run_seconds=schedule.run_seconds)) as sandbox:
        scenario = FaultScenario(schedule, sandbox, output)
        try:
            await scenario.run()
        except (AssertionError, Exception) as error:  # noqa: BLE001  whatever it is belongs to this seed
            runs = [f"{run.id} {run.changeset_id}" for run in scenario.ours]
            what = str(error) or traceback.extract_tb(error.__traceback__)[-1].line
            return f"{schedule}\n  {type(error).__name__}: {what}\n  ours: {runs}\n  flow runs: {scenario.flow_runs}\n"
    return ""
