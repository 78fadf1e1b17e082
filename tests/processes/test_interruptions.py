"""Ending an export early: by Ctrl-C, by a termination signal, from the Prefect server; and what is said then."""

import signal
import time
from collections.abc import Callable

import pytest

from deployments.sandbox.state.seed import SEEDED
from tests.prefect_api import ask
from tests.processes.commands import HOUR, CliSandbox, until
from tests.processes.kill_points import EFFECT


def polls(cli_sandbox: CliSandbox) -> int:
    return cli_sandbox.runs[0].polls if cli_sandbox.runs else 0


def flow_runs(api: str) -> list[dict[str, str]]:
    """The newest flow run first."""
    return ask("POST", f"{api}/flow_runs/filter", {"sort": "START_TIME_DESC", "limit": 1})


def artifact(api: str, flow_run_id: str) -> str:
    asked = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}, "type": {"any_": ["markdown"]}}}
    (found,) = ask("POST", f"{api}/artifacts/filter", asked)
    return found["data"]


def end_by(how: str, cli_sandbox: CliSandbox, api: str) -> float:
    """End a waiting export in this way; seconds until the process is gone."""
    cli_sandbox.sandbox.state.imodels[SEEDED.plant].run_seconds = HOUR
    command = cli_sandbox.start()
    until(lambda: polls(cli_sandbox) > 1, "waiting for the run")
    since = time.monotonic()
    if how == "cancel":
        cancel = {"state": {"type": "CANCELLING"}}
        ask("POST", f"{api}/flow_runs/{flow_runs(api)[0]['id']}/set_state", cancel)
        ended = command.ended()
    else:
        ended = command.interrupt(getattr(signal, how))
    seconds = time.monotonic() - since
    (run,) = cli_sandbox.runs
    last = ended.stderr.splitlines()[-1]
    assert ended.exit_code == 130
    assert last.startswith("itwin-export: ")
    assert f"Export run {run.id} on connection {run.connection_id} goes on" in last
    assert "Run the same command again" in last
    assert "Traceback" not in ended.stderr
    return seconds


@pytest.mark.parametrize("how", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.crash), "cancel"])
def test_an_export_that_is_ended_says_what_goes_on(
    cli_sandbox: CliSandbox, prefect_server: str, how: str, record_property: Callable[[str, object], None]
) -> None:
    """It stops at once, names the run that goes on, publishes nothing, and the same command adopts that run."""
    record_property("seconds until the process was gone", round(end_by(how, cli_sandbox, prefect_server), 1))
    (flow_run,) = flow_runs(prefect_server)
    assert flow_run["state_type"] == ("CANCELLED" if how == "cancel" else "CRASHED")
    assert cli_sandbox.runs[0].id in artifact(prefect_server, flow_run["id"])
    assert cli_sandbox.published == []
    cli_sandbox.sandbox.state.clock.advance(HOUR)
    report = cli_sandbox.export()
    cli_sandbox.assert_right(report)
    assert report.adopted


@pytest.mark.crash
def test_an_export_ended_while_it_fetches_leaves_nothing_half(cli_sandbox: CliSandbox) -> None:
    """Ctrl-C during the download publishes nothing; the same command fetches the same run's file."""
    held = cli_sandbox.hold("/sandboxblobs/")
    command = cli_sandbox.start()
    until(lambda: held.hits, "fetching")
    ended = command.interrupt()
    assert ended.exit_code == 130
    assert "has finished at the platform" in ended.stderr.splitlines()[-1]
    assert cli_sandbox.published == []
    cli_sandbox.assert_right(cli_sandbox.export())


def test_an_export_ended_before_it_asked_for_a_run_says_so(cli_sandbox: CliSandbox) -> None:
    """Ctrl-C before a run was asked for leaves nothing behind to report."""
    held = cli_sandbox.hold("/export/connections$")
    command = cli_sandbox.start()
    until(lambda: held.hits, "looking for the connection")
    ended = command.interrupt()
    assert (ended.exit_code, cli_sandbox.runs) == (130, [])
    assert (
        ended.stderr.splitlines()[-1] == "itwin-export: Interrupted. Nothing is half done; run the same command again."
    )


@pytest.mark.crash
def test_an_export_ended_while_it_asks_for_a_run_says_what_may_be(cli_sandbox: CliSandbox) -> None:
    """Ctrl-C while the answer to create-run is awaited says that a run may go on; the same command adopts it."""
    cli_sandbox.hold("/runs$", "POST", **EFFECT)
    command = cli_sandbox.start()
    until(lambda: cli_sandbox.runs, "asking for a run")
    ended = command.interrupt()
    assert "may go on at the platform" in ended.stderr.splitlines()[-1]
    report = cli_sandbox.export()
    cli_sandbox.assert_right(report)
    assert report.adopted
