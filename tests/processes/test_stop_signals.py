"""Ctrl-C and termination signals where no flow runs: a sentence and exit code 130, from the first moment on."""

import signal

import pytest

from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import CliSandbox, Command, Ended, until

PROMISED = 30.0  # seconds until a command that was told to end has ended


def assert_interrupted(ended: Ended) -> None:
    """One sentence at the end, the exit code of interruptions, and no stack trace."""
    assert ended.exit_code == 130, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("itwin-export: Interrupted.")
    assert "Traceback" not in ended.stderr


def end(command: Command, number: signal.Signals) -> Ended:
    command.process.send_signal(number)
    return command.ended(PROMISED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("module", ["asyncio.constants", "deployments.output_streams", "prefect.settings"])
def test_a_command_that_is_still_importing_ends(cli_sandbox: CliSandbox, number: signal.Signals, module: str) -> None:
    """A signal in the first second, while modules are being imported, ends the command."""
    command = cli_sandbox.begin("-X", "importtime", "-m", "deployments", "ifc", SEEDED.plant, "--force")
    until(lambda: f" {module}\n" in command.log.read_text(), f"the import of {module}")
    assert_interrupted(end(command, number))


@pytest.mark.parametrize(
    ("arguments", "waits_for", "number"),
    [
        (["doctor"], "/connect/token", signal.SIGTERM),
        (["webhooks", "list"], "/webhooks", signal.SIGINT),
        (["login", "--no-browser", "--show-token"], "", signal.SIGTERM),
    ],
)
def test_a_command_without_a_flow_ends(
    cli_sandbox: CliSandbox, arguments: list[str], waits_for: str, number: signal.Signals
) -> None:
    """A signal ends doctor, webhooks and login while they wait for an answer or for the user."""
    held = cli_sandbox.hold(waits_for, "*") if waits_for else None
    command = cli_sandbox.begin("-m", "deployments", *arguments)
    until(lambda: held.hits if held else "Sign in" in command.log.read_text(), "the wait")
    assert_interrupted(end(command, number))
