"""A run that is suspended until its user consents, under a real process worker."""

import asyncio
import stat
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psutil
import pytest
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.flow_runs import aresume_flow_run
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from pydantic import SecretStr

from blocks.itwin.credentials import ItwinCredentials
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tests.prefect_api import ask
from tests.processes.recording import RecordingTokens, files_with, recording_world
from tests.processes.server import REPOSITORY, PrefectServer
from tests.processes.workers import running_prefect_worker, settled_state

POOL = "process-pool"
BLOCK = "ada-suspended"


@dataclass
class SuspendedExport:
    """One run: suspended, resumed too early, consented to, resumed, finished."""

    sandbox: RunningSandbox
    tokens: RecordingTokens
    folder: Path
    states: list[str] = field(default_factory=list[str])
    processes_while_suspended: int = -1
    tokens_before: int = 0
    link: str = ""


@pytest.fixture(scope="module")
def export(server: PrefectServer) -> Generator[SuspendedExport]:
    """The whole export under a worker; access tokens live for five seconds of the export's ten."""
    state, tokens = recording_world(Options(run_seconds=10, token_seconds=5))
    with running_sandbox(state) as sandbox:
        save_block(sandbox)
        asyncio.run(make_pool())
        with running_prefect_worker(server, POOL) as worker:
            export = SuspendedExport(sandbox, tokens, server.home)
            asyncio.run(run_to_completion(export, worker))
            export.link = ask("GET", f"{server.url}/artifacts/export-consent/latest")["data"]
        yield export


def save_block(sandbox: RunningSandbox) -> None:
    ItwinCredentials(
        authentication_type="User",
        client_id=IDENTITY.native.id,
        refresh_token=SecretStr(IDENTITY.refresh_token),
        api_url=sandbox.url,
        issuer_url=sandbox.url,
    ).save(BLOCK)


async def make_pool() -> None:
    async with get_client() as client:
        await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))


async def run_to_completion(export: SuspendedExport, worker: psutil.Process) -> None:
    async with get_client() as client:
        run_id = await deploy_and_run(client, export.folder / "exports")
        export.states.append(await settled_state(client, run_id, worker))
        export.processes_while_suspended = len(worker.children(recursive=True))
        await aresume_flow_run(run_id)
        export.states.append(await settled_state(client, run_id, worker))
        export.sandbox.state.consents.add(IDENTITY.user)
        export.tokens_before = export.tokens.minted
        await aresume_flow_run(run_id)
        export.states.append(await settled_state(client, run_id, worker))


async def deploy_and_run(client: PrefectClient, output: Path) -> UUID:
    deployment_id = await client.create_deployment(
        await client.create_flow(export_ifc),
        "suspending",
        work_pool_name=POOL,
        entrypoint="flows/export_ifc.py:export_ifc",
        pull_steps=[{"prefect.deployments.steps.set_working_directory": {"directory": str(REPOSITORY)}}],
        job_variables={"env": {"ITWIN_POLL_SECONDS": "0.5", "ITWIN_POLL_MAX_SECONDS": "0.5", "ITWIN_PREVIEW": "off"}},
    )
    asked = {"imodel_id": SEEDED.bridge, "credentials": BLOCK, "consent": "suspend", "output_dir": str(output)}
    return (await client.create_flow_run_from_deployment(deployment_id, parameters=asked)).id


def test_a_suspended_run_goes_on_once_its_user_consents(export: SuspendedExport) -> None:
    """Resumed without consent it is suspended again; resumed with consent it finishes."""
    assert export.states == ["Suspended", "Suspended", "Completed"]


def test_a_suspended_run_holds_no_process(export: SuspendedExport) -> None:
    """While a run is suspended, the worker runs nothing for it."""
    assert export.processes_while_suspended == 0


def test_suspending_makes_exactly_one_remote_run(export: SuspendedExport) -> None:
    """However often the run is resumed, the platform exports once."""
    assert len(list(export.sandbox.state.runs)) == 1


def test_a_suspended_run_leaves_the_link_to_consent(export: SuspendedExport) -> None:
    """The person responsible finds the consent page among the run's artifacts."""
    assert "/sandbox/consent" in export.link


def test_an_export_outlives_its_access_tokens(export: SuspendedExport) -> None:
    """The export takes twice as long as an access token lives; the run renews it and finishes."""
    assert export.tokens.minted - export.tokens_before >= 3


def test_no_token_is_found_where_others_can_read_it(export: SuspendedExport) -> None:
    """No token stands in the database, logs, results, artifacts or exports, or in any file but private ones."""
    database = Path(str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition("///")[2]).parent
    found = [path for folder in (export.folder, database) for path in files_with(export.tokens.given_out, folder)]
    assert [path for path in found if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)] == []
    assert files_with([export.link], database), "the search would have missed a token as well"
