"""The end of a command is not decided by its output: by the console's code page, or by whoever reads it."""

import json
import os
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from deployments.sandbox.server import running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED

NAME = "東京駅"
SAYS = "from deployments.output_streams import *; stream = keep_streams_open();"


@dataclass(frozen=True)
class Person:
    """Somebody at a console who exports an iModel with a Japanese name."""

    environment: dict[str, str]

    def export(self, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, encoding: str = "utf-8") -> "Ended":
        """Run `itwin-export ifc` on a console of this code page."""
        return self.run("-m", "deployments", "ifc", SEEDED.plant, *arguments, stdout=stdout, encoding=encoding)

    def run(self, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, encoding: str = "utf-8") -> "Ended":
        """Run Python."""
        settings = self.environment | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(
            [sys.executable, *arguments], env=settings, stdout=stdout, stderr=subprocess.PIPE, check=False, timeout=500
        )
        return Ended(done.returncode, done.stdout or b"", done.stderr.decode(errors="replace"))


@dataclass(frozen=True)
class Ended:
    """How it ended."""

    exit_code: int
    stdout: bytes
    stderr: str


@pytest.fixture(scope="module")
def person(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Person]:
    """A person with a stand-in platform and an export of it, whose report a command shows without a flow run."""
    folder = tmp_path_factory.mktemp("exports")
    with running_sandbox(options=Options(run_seconds=0.3)) as sandbox:
        sandbox.state.imodels[SEEDED.plant].name = NAME
        quick = {"ITWIN_OUTPUT_DIR": str(folder), "ITWIN_POLL_SECONDS": "0.1", "PREFECT_HOME": str(folder / "home")}
        person = Person(dict(os.environ) | sandbox.environment | quick)
        exported = Person(person.environment | {"PREFECT_API_URL": prefect_server}).export(encoding="ascii")
        assert (exported.exit_code, b"???.ifc" in exported.stdout) == (0, True), exported.stderr
        yield person


def closed_pipe() -> IO[bytes]:
    """A pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "wb")


@pytest.mark.parametrize("encoding", ["cp1252", "cp437", "ascii"])
def test_a_table_is_shown_on_every_console(person: Person, encoding: str) -> None:
    """A console that lacks the characters of a name shows others in their place, and the export has succeeded."""
    ended = person.export(encoding=encoding)
    assert (ended.exit_code, b"???.ifc" in ended.stdout) == (0, True), ended.stderr


def test_json_is_utf_8_on_every_console(person: Person) -> None:
    """The report as JSON leaves in UTF-8, whatever the console's code page."""
    ended = person.export("--json", encoding="ascii")
    assert NAME in json.loads(ended.stdout.decode())["files"][0]["path"]


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_reader_that_has_gone_changes_no_result(person: Person, arguments: tuple[str, ...]) -> None:
    """With its output into a closed pipe, as of `| head`, the command ends with 0 and without a complaint."""
    with closed_pipe() as pipe:
        ended = person.export(*arguments, stdout=pipe)
    assert ended.exit_code == 0
    assert "Broken" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_report_that_cannot_be_written_is_said(person: Person) -> None:
    """With its output onto a full device, the command says so in one sentence and ends with 1."""
    with Path("/dev/full").open("wb") as full:
        ended = person.export("--json", stdout=full)
    assert ended.exit_code == 1
    assert "Standard output cannot be written to (No space left on device)" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_closed_streams_change_no_result(person: Person) -> None:
    """Started without standard output and error (`>&-`), the command ends with 0."""
    shell = ["sh", "-c", 'exec "$0" -m deployments --version >&- 2>&-', sys.executable]
    assert subprocess.run(shell, env=person.environment, check=False, timeout=300).returncode == 0


@pytest.mark.parametrize("unbuffered", [(), ("-u",)])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_process_outlives_its_reader(person: Person, stream: str, unbuffered: tuple[str, ...]) -> None:
    """After it wrote into a closed pipe a process goes on, with and without buffers, for output and error output."""
    code = f"{SAYS} [(print('{NAME}' * 9999, file=sys.{stream}), sys.{stream}.flush()) for _ in range(3)]; sys.exit(7)"
    with closed_pipe() as pipe:
        process = subprocess.Popen(
            [sys.executable, *unbuffered, "-c", code],
            env=person.environment | {"PYTHONIOENCODING": "cp1252"},
            stdout=pipe if stream == "stdout" else None,
            stderr=pipe if stream == "stderr" else None,
        )
    assert process.wait(timeout=300) == 7


def test_a_receiver_that_cannot_start_says_so_to_nobody(person: Person, tmp_path: Path) -> None:
    """The receiver of webhooks without its secret ends with 2, also when nobody reads why."""
    with closed_pipe() as pipe:
        settings = {name: value for name, value in person.environment.items() if name != "ITWIN_WEBHOOK_SECRET"}
        receiver = [sys.executable, "-m", "deployments.webhooks", "--state-file", str(tmp_path / "webhooks.sqlite")]
        process = subprocess.Popen(receiver, env=settings, stderr=pipe)
    assert process.wait(timeout=300) == 2


def test_what_was_printed_before_json_stays_before_it(person: Person) -> None:
    """Text and JSON arrive in the order they were written."""
    ended = person.run("-c", f"{SAYS} print('before'); write_json('{{}}'); print('after')", encoding="cp437")
    assert ended.stdout.split() == [b"before", b"{}", b"after"]


def test_the_viewer_serves_on_every_console(person: Person, tmp_path: Path) -> None:
    """The viewer of a folder with a Japanese name says where it serves on a console that lacks the characters."""
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "model.ifc").touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "deployments", "view", str(tmp_path / NAME), "--port", "0"],
        env=person.environment | {"PYTHONIOENCODING": "cp1252"},
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
    assert said.startswith(b"http://127.0.0.1:")
    assert b"???" in said
