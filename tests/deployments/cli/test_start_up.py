"""What does not need Prefect does not import it: help, the version, and refusals of bad input."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.cli.app import COMMANDS

REPOSITORY = Path(__file__).parents[3]
SCRIPT = """
import sys
from deployments.cli.app import run
code = run(sys.argv[1:])
assert "prefect" not in sys.modules, "Prefect was imported"
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["ifc", "--help"], 0),
        (["mesh", "--help"], 0),
        (["itwin", "--help"], 0),
        (["ifc", "no-guid"], 2),
        (["mesh", "https://elsewhere.example/no-id"], 2),
        (["itwin", "/"], 2),
        (["ifc", "Campus/Plant A", "--named-version", "x" * 256], 2),
        (["ifc", "5e19bee0-3aea-4355-a9f0-c6df9989ee7d", "--changeset-id", "yesterday"], 2),
        (["mesh", "5e19bee0-3aea-4355-a9f0-c6df9989ee7d", "--start", "soon"], 2),
        (["itwin", "5e19bee0-3aea-4355-a9f0-c6df9989ee7d", "--shards", "0"], 2),
        (["itwin", "5e19bee0-3aea-4355-a9f0-c6df9989ee7d", "--federate"], 2),
        (["federate", "/"], 2),
        (["federate", "Campus", "--placements", "nowhere.csv"], 2),
        (["automations", "--help"], 0),
        (["automations", "apply", "nowhere.yaml"], 2),
        (["automations", "show", "README.md"], 2),
        (["view", "nowhere"], 2),
        (["check", "model.ifc", "--ids", "nowhere.ids"], 2),
        (["list", "--help"], 0),
        (["list", "imodels", "/"], 2),
        (["list", "itwins", "--search", "x" * 256], 2),
        (["list", "exports", "nowhere"], 2),
        (["check", "--help"], 0),
        (["check", "nowhere"], 2),
        (["check", "README.md"], 2),
        (["check", "README.md", "--acceptance", "none.toml"], 2),
        (["no-command"], 2),
    ],
)
def test_prefect_is_not_imported(arguments: list[str], exit_code: int, tmp_path: Path) -> None:
    """Help, the version and refusals end with their exit code and without an import of Prefect."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments, *(["--output-dir", str(tmp_path)] if "itwin" in arguments else [])],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == exit_code, ended.stderr


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"automations", "webhooks", "list"}])
def test_the_list_of_commands_says_what_each_command_says(name: str) -> None:
    """The sentence beside a command in `--help` is the first one of the command's own help."""
    place, sentence = COMMANDS[name]
    module, _, attribute = place.partition(":")
    described = inspect.getdoc(getattr(importlib.import_module(module), attribute)) or ""
    assert described.partition("\n")[0] == sentence


def test_a_command_beside_a_server_does_not_import_one() -> None:
    """The modules of a flow run leave out Prefect's own server, which takes two seconds of processor time."""
    code = "import sys, deployments.cli.flow_runs; assert 'prefect.server.api.server' not in sys.modules"
    ended = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
