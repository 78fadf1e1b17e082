"""No token, client secret or SAS signature ends up where people or programs read."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prefect.settings import PREFECT_HOME

from blocks.errors import ExportError
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]

SIGNATURE = re.compile(r"sig=(?!…)[^&\s\"'<>]{6,}")
BEARER = re.compile(r"eyJ[\w-]+\.[\w-]+\.")


def traces_of_secrets(text: str, *secrets: str) -> list[str]:
    """What must not be in a text."""
    found = [match[0] for pattern in (SIGNATURE, BEARER) for match in pattern.finditer(text)]
    return found + [secret for secret in secrets if secret in text]


async def what_the_server_knows(api_url: str) -> list[str]:
    """Every state, parameter, log line and artifact on the Prefect server."""
    async with httpx.AsyncClient(timeout=60) as client:
        answers = [
            await client.post(f"{api_url}/{table}/filter", json={"limit": 200})
            for table in ("flow_runs", "task_runs", "logs", "artifacts")
        ]
    return [json.dumps(row) for answer in answers for row in answer.raise_for_status().json()]


def files_below(*folders: Path) -> Iterator[str]:
    """The content of every file a run leaves behind, databases included."""
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield path.read_bytes().decode("latin-1")


async def run_every_way(sandbox: RunningSandbox) -> None:
    """Exports that work, fail at the platform, fail on the way and are refused."""
    await export_ifc(SEEDED.plant)
    await export_ifc(SEEDED.plant, output_location="USER_BLOB_STORAGE")
    await export_mesh(SEEDED.plant)
    sandbox.state.script(
        SEEDED.bridge, Outcome(task_result="Error", error={"message": "upload to https://x/?sig=abcdefg"})
    )
    refused = Fault(
        path="/runs$", method="POST", status=422, body='{"code":"X","message":"https://x/y?sv=1&sig=abcdefgh"}'
    )
    gone = Fault(path="/sandboxblobs/", method="GET", count=None, status=404, body="gone")
    for fault in (None, refused, gone):
        if fault is not None:
            sandbox.state.faults.add(fault)
        with pytest.raises(ExportError):
            await export_ifc(SEEDED.bridge)
    with pytest.raises(ExportError):
        await export_mesh(SEEDED.bridge)


async def test_no_secret_is_left_anywhere(
    prefect_server: str,
    sandbox: RunningSandbox,
    azurite: RunningAzurite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """After runs that succeed and that fail, no secret is in logs, console, states, artifacts, results or files."""
    caplog.set_level("DEBUG", logger="prefect.flow_runs")
    caplog.set_level("DEBUG", logger="prefect.task_runs")
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    await run_every_way(sandbox)
    known = await what_the_server_knows(prefect_server)
    printed = capfd.readouterr()
    everything = [
        *known,
        caplog.text,
        printed.out,
        printed.err,
        *files_below(tmp_path, PREFECT_HOME.value() / "storage"),
    ]
    assert len(known) > 20
    assert not [
        trace for text in everything for trace in traces_of_secrets(text, "sandbox-secret", azurite.key, "sig=abc")
    ]


@pytest.mark.parametrize("text", ["?sv=1&sig=a%2Fbcdefg", "Authorization: Bearer eyJh.eyJi.x", "the sandbox-secret"])
async def test_the_search_finds_what_it_looks_for(text: str) -> None:
    """The search above does find a signature, a bearer token and a secret."""
    assert traces_of_secrets(text, "sandbox-secret")
