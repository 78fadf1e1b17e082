"""The Prefect API of a command: its own server, or the one that somebody named."""

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deployments.loopback import reach_loopback_directly
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from tests.prefect_database import add_database

NOWHERE = "http://127.0.0.1:9/api"


def itwin_export(*arguments: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as somebody without a Prefect server of their own, in a home of this test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    own = {"PREFECT_HOME": str(home)}
    command = [sys.executable, "-m", "deployments", *arguments]
    return subprocess.run(
        command, env=kept | own | environment, capture_output=True, text=True, check=False, timeout=500
    )


class _Refusal(BaseHTTPRequestHandler):
    """A company's proxy that lets nobody through to loopback, and writes down who asked."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(403)

    do_POST = do_CONNECT = do_GET  # noqa: N815  http.server's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  http.server's name
        pass


@contextmanager
def refusing_proxy() -> Generator[tuple[str, list[str]]]:
    """The address of such a proxy, and what it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (_Refusal,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_the_own_server_is_not_asked_through_a_proxy(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """Without a Prefect server the command brings its own, and with a proxy in every variable reaches it directly."""
    with refusing_proxy() as (proxy, asked):
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), proxy)
        done = itwin_export("ifc", SEEDED.bridge, "--json", home=tmp_path / "home", NO_PROXY="", no_proxy="", **proxies)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"] == "Success"
    assert len(list(sandbox.state.runs)) == 1
    assert asked == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"NO_PROXY": "example.com"}, "example.com"),
        ({"http_proxy": "p:1"}, "localhost,127.0.0.1,::1"),
        ({"ALL_PROXY": "p:1", "NO_PROXY": "example.com, localhost"}, "example.com,localhost,127.0.0.1,::1"),
        ({"HTTPS_PROXY": "p:1", "no_proxy": "*"}, None),
        ({"HTTP_PROXY": ""}, None),
    ],
)
def test_loopback_is_added_where_a_proxy_is_set(given: dict[str, str], expected: str | None) -> None:
    """NO_PROXY keeps what it names and gains loopback, in both spellings, only where a proxy is set."""
    environment = dict(given)
    reach_loopback_directly(environment)
    assert environment.get("NO_PROXY") == expected
    assert environment.get("no_proxy") == (given.get("no_proxy") if expected in {None, "example.com"} else expected)


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize("command", [("ifc", SEEDED.plant), ("doctor",)])
def test_a_database_of_a_newer_prefect_is_named(tmp_path: Path, command: tuple[str, ...]) -> None:
    """A database whose revision this Prefect does not know is named before a server is started, with exit code 2."""
    with closing(sqlite3.connect(tmp_path / "prefect.db")) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('ffffffffffff')")
        database.commit()
    done = itwin_export(*command, home=tmp_path)
    said = " ".join((done.stdout + done.stderr).replace("│", " ").split())
    assert (done.returncode, "Traceback" in said) == (2, False), done.stderr
    assert "written by a newer Prefect (its revision is ffffffffffff)" in said


@pytest.mark.usefixtures("sandbox")
def test_a_home_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A home that cannot be written to is named before a server is started, with exit code 2."""
    (tmp_path / "file").touch()
    done = itwin_export("ifc", SEEDED.plant, home=tmp_path / "file" / "home")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "cannot be written to (Not a directory)" in done.stderr


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("setting", "folder"),
    [
        ({}, "file/home/storage"),
        ({"PREFECT_RESULTS_LOCAL_STORAGE_PATH": "/proc/x"}, "/proc/x"),
    ],
)
def test_results_that_cannot_be_kept_are_named(
    prefect_server: str, tmp_path: Path, setting: dict[str, str], folder: str
) -> None:
    """Beside a named server too, a folder of results that cannot be written to is one sentence with exit code 2."""
    (tmp_path / "file").touch()
    done = itwin_export("ifc", SEEDED.plant, home=tmp_path / "file" / "home", PREFECT_API_URL=prefect_server, **setting)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert f"{folder} cannot be written to" in done.stderr
    assert f"set {next(iter(setting), 'PREFECT_HOME')} to a folder that is" in done.stderr


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "nosuch.broker"}, "No module named 'nosuch'"),
        ({"PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "1"}, "was not ready within 1 seconds"),
    ],
)
def test_a_server_that_does_not_start_has_its_last_words(
    tmp_path: Path, setting: dict[str, str], sentence: str
) -> None:
    """An own server that ends or is too slow costs one sentence with what it said last, and exit code 2."""
    add_database(tmp_path)
    done = itwin_export("ifc", SEEDED.plant, home=tmp_path, **setting)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert sentence in done.stderr.splitlines()[-1]


@pytest.mark.usefixtures("sandbox")
def test_a_dead_address_of_a_profile_is_laid_at_its_door(tmp_path: Path) -> None:
    """An address that a Prefect profile names is not called that of PREFECT_API_URL."""
    profiles = f'active = "team"\n[profiles.team]\nPREFECT_API_URL = "{NOWHERE}"\n'
    (tmp_path / "profiles.toml").write_text(profiles)
    done = itwin_export("ifc", SEEDED.plant, home=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert f"{NOWHERE}, named by the Prefect profile “team”, does not answer" in done.stderr
    assert "prefect profile use ephemeral" in done.stderr


@pytest.mark.usefixtures("sandbox")
def test_an_address_without_api_is_corrected(prefect_server: str, tmp_path: Path) -> None:
    """PREFECT_API_URL that names the UI is answered with the address of the API."""
    done = itwin_export("ifc", SEEDED.plant, home=tmp_path, PREFECT_API_URL=prefect_server.removesuffix("/api"))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert f"its API is at {prefect_server}." in done.stderr
