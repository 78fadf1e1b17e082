"""How many requests to the platform a command takes, by step."""

import asyncio
from collections import Counter

import pytest

from deployments.cli.unchanged import FirstLook, look_first
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.signatures import ifc_request
from tasks.known_imodel import known_imodel
from tests.benchmarks.request_counts import BLOBS, counted

pytestmark = [
    pytest.mark.usefixtures("prefect_server", "no_prefect"),
    pytest.mark.asyncio(loop_scope="session"),
]
FETCH = {"read the file's properties": 1, "search the log": 1, "get a download link": 2, BLOBS: 4}
START = {"list the export connections": 1, "create a connection": 1, "start a run": 1, "look at the run": 1}


async def look(imodel: str) -> FirstLook:
    """What a command does before it imports Prefect."""
    return await asyncio.to_thread(look_first, ifc_request(imodel))


async def export(imodel: str) -> None:
    """What a command does, with the flow run in this process."""
    with known_imodel((await look(imodel)).known):
        await export_ifc(imodel)


async def test_a_new_export_takes_one_request_a_step(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all steps only the looks at the run and the links to both files take several requests.

    The command's first look and its flow run share the sign-in, the names and the changeset; a new connection is
    neither read again nor searched for runs; and a run is looked at first when a pause has passed.
    """
    monkeypatch.setenv("ITWIN_POLL_SECONDS", "0.6")  # the run takes 0.3
    await export(SEEDED.plant)
    signing_in = {"find the sign-in service": 1, "sign in": 1}
    reading = {"find the changeset": 1, "read the iModel's name and iTwin": 1}
    assert counted(sandbox.state.log) == signing_in | reading | START | FETCH


async def test_an_unchanged_export_takes_one_request(sandbox: RunningSandbox) -> None:
    """The latest changeset proves that nothing has changed; the sign-in is that of an earlier command.

    After a push the export needs no sign-in, and lists the runs of the connection that it knows.
    """
    await export("Campus/Bridge")
    asked = len(sandbox.state.log)
    assert (await look(SEEDED.bridge)).unchanged
    assert counted(list(sandbox.state.log)[asked:]) == Counter({"find the changeset": 1})
    sandbox.state.push_changeset(SEEDED.bridge)
    asked = len(sandbox.state.log)
    await export(SEEDED.bridge)
    steps = counted(list(sandbox.state.log)[asked:])
    reading = {"find the changeset": 1, "read the iModel's name and iTwin": 1}
    again = {"list its runs": 1, "start a run": 1}
    assert {step: count for step, count in steps.items() if step != "look at the run"} == reading | again | FETCH
