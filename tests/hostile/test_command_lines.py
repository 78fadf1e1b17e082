"""Hundreds of command lines that nobody means well: each ends with a sentence and a promised exit code."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from tests.bombs.server import Answer, Query, serving
from tests.hostile.case import Case, faults_of, run_case
from tests.hostile.command_lines import GROUPS
from tests.hostile.platform_answers import ANSWERS

AT_ONCE = 2
FEWEST = 400
NEED_SERVER = {"ifc", "mesh", "itwin", "federate", "webhooks", "automations", "doctor", "login"}


async def answer(path: str, query: Query) -> Answer:
    """Whatever the first part of the path names."""
    del query
    yield ANSWERS[path.split("/")[1].replace("%20", " ")]


def surroundings(case: Case, sandbox: RunningSandbox, host: str, server: str) -> tuple[Case, dict[str, str]]:
    """The case with the address of the hostile host, and a platform and a server that work."""
    quick = {"ITWIN_POLL_SECONDS": "0.1", "ITWIN_REQUESTS_PER_MINUTE": "60000"}
    prefect = {"PREFECT_API_URL": server} if NEED_SERVER & set(case.arguments[:1]) else {}
    named = {name: value.replace("{host}", host) for name, value in case.environment.items()}
    return replace(case, environment=named), sandbox.environment | quick | prefect


def test_there_are_enough() -> None:
    """The tables hold at least 400 command lines."""
    assert sum(len(list(cases())) for cases in GROUPS.values()) >= FEWEST


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("group", GROUPS)
async def test_every_command_line_ends_well(group: str, prefect_server: str, tmp_path: Path) -> None:
    """No stack trace, a promised exit code, one sentence that names the input, no secret, and nothing left behind."""
    faults: list[str] = []
    two = asyncio.Semaphore(AT_ONCE)

    async def try_one(number: int, case: Case) -> None:
        async with two:
            case, environment = surroundings(case, sandbox, host, prefect_server)
            ended = await asyncio.to_thread(run_case, case, environment, tmp_path / str(number))
        if found := faults_of(case, ended):
            faults.append(f"{case.title}\n    {'; '.join(found)}\n    {ended.errors[-700:]!a}")

    with running_sandbox(options=Options(run_seconds=0.3)) as sandbox:
        async with serving(answer) as host, asyncio.TaskGroup() as tasks:
            for number, case in enumerate(GROUPS[group]()):
                tasks.create_task(try_one(number, case))
    assert not faults, "\n".join([f"{len(faults)} faults", *sorted(faults)])
