"""A command whose Prefect server is gone ends as promised: at once when it is told to, and rightly when it is done."""

import signal
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tasks.reports import BatchReport, ExportReport
from tests.processes.batch_runs import add_imodels, start_night
from tests.processes.commands import HOUR, CliSandbox, running_commands, until
from tests.processes.relay import Relay, running_relay
from tests.processes.server import PrefectServer

PROMISED = 30.0  # seconds until a command has ended that was told to, or is done; Prefect's client alone takes 62


@pytest.fixture
def relay(server: PrefectServer) -> Generator[Relay]:
    """The way of one test's commands to the session's Prefect server."""
    with running_relay(urlsplit(server.url).port or 0) as relay:
        yield relay


@pytest.fixture
def cut_off(server: PrefectServer, relay: Relay, tmp_path: Path) -> Generator[CliSandbox]:
    """Commands that use a stand-in platform, and reach the Prefect server through the relay."""
    behind = replace(server, url=f"http://127.0.0.1:{relay.port}/api")
    with running_commands(behind, tmp_path / "exports") as running:
        yield running


@pytest.mark.parametrize("gone", [Relay.cut, pytest.param(Relay.silence, marks=pytest.mark.crash)])
def test_a_signal_ends_commands_whose_server_is_gone(
    cut_off: CliSandbox,
    relay: Relay,
    gone: Callable[[Relay], None],
    record_property: Callable[[str, object], None],
) -> None:
    """An export and a batch that a signal reaches end with 130 and say what goes on, although Prefect is gone."""
    cut_off.sandbox.state.options.run_seconds = HOUR
    add_imodels(cut_off, 2)
    commands = [cut_off.start(), start_night(cut_off)]
    until(lambda: len(cut_off.runs) == 3 and all(run.polls > 1 for run in cut_off.runs), "waiting for the runs")
    gone(relay)
    for command, number in zip(commands, [signal.SIGINT, signal.SIGTERM], strict=True):
        command.process.send_signal(number)
    single, batch = [command.ended(PROMISED) for command in commands]
    record_property("seconds until the processes were gone", round(max(single.seconds, batch.seconds), 1))
    for ended in (single, batch):
        assert ended.exit_code == 130
        assert "Traceback" not in ended.stderr
        assert ended.stderr.splitlines()[-1].startswith("itwin-export: Interrupted. ")
    assert "goes on at the platform, which cannot cancel it" in single.stderr.splitlines()[-1]
    assert "Runs that were started go on at the platform" in batch.stderr.splitlines()[-1]


def test_an_export_is_done_although_its_server_is_gone(
    cut_off: CliSandbox, relay: Relay, record_property: Callable[[str, object], None]
) -> None:
    """What is published while Prefect is gone ends soon, with 0, its report, and a sentence about the server."""
    cut_off.sandbox.state.options.run_seconds = HOUR
    add_imodels(cut_off, 2)
    held = cut_off.hold("/sandboxblobs/", count=3)
    commands = [cut_off.start(), start_night(cut_off)]
    until(lambda: len(cut_off.runs) == 3, "all three runs")
    for run in cut_off.runs:
        run.seconds = 0
    until(lambda: held.hits == 3, "fetching")
    relay.cut()
    single, batch = [command.ended(PROMISED) for command in commands]
    record_property("seconds until both had fetched, published and ended", round(single.seconds + batch.seconds, 1))
    for ended in (single, batch):
        assert ended.exit_code == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "The Prefect server no longer answers" in ended.stderr
        assert "EventsWorker" not in ended.stderr
    report = ExportReport.model_validate_json(single.stdout)
    assert (Path(report.output_dir) / report.files[0].path).is_file()
    assert BatchReport.model_validate_json(batch.stdout).exported == 2
