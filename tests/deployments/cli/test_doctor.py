"""`itwin-export doctor` tells what is wrong and what to do."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.errors import ConfigurationError
from blocks.itwin.credentials import ItwinCredentials
from blocks.settings import read_settings
from blocks.storage.preview import drawing
from deployments.cli.app import run
from deployments.cli.doctor.pictures import check_pictures
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from tests.prefect_api import ask, end_leftovers

pytestmark = pytest.mark.usefixtures("prefect_server")


def examine(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the findings by name."""
    exit_code = run(["doctor", "--json", *arguments])
    findings = json.loads(capsys.readouterr().out)
    return exit_code, {finding["what"]: finding for finding in findings}


def pictures(choice: Literal["auto", "on", "off"]) -> str:
    """What is said of pictures with this setting."""
    return check_pictures(read_settings().model_copy(update={"preview": choice}))


@pytest.fixture(scope="module")
def _with_a_pool(prefect_server: str) -> None:
    """The work pool of the deployments."""
    ask("POST", f"{prefect_server}/work_pools/", {"name": "itwin-export", "type": "process"})


@pytest.fixture
def _with_a_worker(prefect_server: str, _with_a_pool: None) -> None:
    """A worker that has just been heard, and nothing that other tests have killed."""
    end_leftovers(prefect_server)
    beat = {"name": "here", "heartbeat_interval_seconds": 30}
    ask("POST", f"{prefect_server}/work_pools/itwin-export/workers/heartbeat", beat)


@pytest.mark.usefixtures("_with_a_worker", "sandbox")
@pytest.mark.parametrize("imodel", [SEEDED.plant, "Campus/Plant A"])
def test_all_is_well(imodel: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Where everything is in order each finding says so and the exit code is 0; the iModel may be given by name."""
    exit_code, findings = examine(capsys, "--imodel-id", imodel)
    assert [name for name, finding in findings.items() if not finding["is_ok"]] == []
    assert exit_code == 0
    looks = {"Prefect API", "Worker", "Sign-in", "Consent", "Clock", "iModel", "Storage", "Output folder", "Pictures"}
    assert looks <= set(findings)
    assert "sandbox-secret" not in str(findings)


@pytest.mark.usefixtures("_with_a_worker")
def test_a_wrong_secret_is_found(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Refused credentials are named with the variables to correct, and nothing is tried with them afterwards."""
    monkeypatch.setenv("ITWIN_CLIENT_SECRET", "wrong")
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert "ITWIN_CLIENT_SECRET" in findings["Sign-in"]["says"]
    assert "Clock" not in findings
    assert not any(entry.path.startswith("/imodels") for entry in sandbox.state.log)


@pytest.mark.usefixtures("_with_a_worker")
def test_missing_access_is_found(sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """An iModel this caller may not see is told apart from a failed sign-in."""
    sandbox.state.denied.add(SEEDED.plant)
    exit_code, findings = examine(capsys, "--imodel-id", SEEDED.plant)
    assert exit_code == 2
    assert findings["Sign-in"]["is_ok"]
    assert "administrator" in findings["iModel"]["says"]


@pytest.mark.usefixtures("_with_a_worker")
def test_a_wrong_clock_is_found(sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """A clock that is minutes off is found by the platform's own."""
    sandbox.state.clock.advance(600)
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert "Set it" in findings["Clock"]["says"]


@pytest.mark.usefixtures("_with_a_worker", "sandbox")
def test_a_folder_that_cannot_be_written_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output folder that is no folder is found by writing to it."""
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("ITWIN_OUTPUT_DIR", str(tmp_path / "taken"))
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert str(tmp_path / "taken") in findings["Output folder"]["says"]


@pytest.mark.usefixtures("_with_a_worker", "sandbox")
def test_a_link_to_a_disk_that_is_away_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An output folder that is a link to a folder on a disk that is not mounted is named with its target."""
    (tmp_path / "exports").symlink_to(tmp_path / "disk" / "exports")
    monkeypatch.setenv("ITWIN_OUTPUT_DIR", str(tmp_path / "exports"))
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert f"is a link to {tmp_path}/disk/exports" in findings["Output folder"]["says"]
    (tmp_path / "disk").mkdir()
    assert examine(capsys)[1]["Output folder"]["is_ok"]


@pytest.mark.usefixtures("_with_a_pool", "sandbox")
def test_a_missing_work_pool_is_one_finding(prefect_server: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server without our work pool is told how to make it, and everything else is looked at all the same."""
    ask("DELETE", f"{prefect_server}/work_pools/itwin-export")
    try:
        exit_code, findings = examine(capsys)
    finally:
        ask("POST", f"{prefect_server}/work_pools/", {"name": "itwin-export", "type": "process"})
    assert exit_code == 2
    assert "prefect work-pool create itwin-export" in findings["Worker"]["says"]
    assert findings["Output folder"]["is_ok"]


@pytest.mark.usefixtures("sandbox")
def test_an_error_nobody_foresaw_is_one_finding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a look raises is that look's finding, and the next look goes on."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nosuch.pem"))
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert [name for name, finding in findings.items() if not finding["is_ok"]] != []
    assert findings["Output folder"]["is_ok"]


@pytest.mark.usefixtures("_with_a_worker", "sandbox")
def test_the_way_to_each_host_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every host has its proxy, or why it has none, without the proxy's password; and what is trusted is named."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", f"me:secret@{address}")
        exit_code, findings = examine(capsys)
    assert exit_code == 0
    assert findings["Way to API"]["says"] == "Requests to 127.0.0.1 go directly (loopback)."
    assert f"http://{address} (HTTPS_PROXY)" in findings["Way to files"]["says"]
    assert findings["Certificates"]["says"].startswith("Trusted is ")
    assert "secret@" not in str(findings)


@pytest.mark.usefixtures("_with_a_worker", "sandbox")
def test_a_proxy_that_is_not_there_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A proxy that nothing listens for is named with its variable, although only files would go through it."""
    monkeypatch.setenv("HTTPS_PROXY", "127.0.0.1:9")
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert [name for name, finding in findings.items() if not finding["is_ok"]] == ["Way to files"]
    assert "(HTTPS_PROXY), which cannot be reached (Connection refused)" in findings["Way to files"]["says"]


@pytest.mark.usefixtures("sandbox")
def test_without_a_prefect_api_the_platform_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    """Where the Prefect API does not answer, the credentials of the environment are tried, and said to be theirs."""
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert [name for name, finding in findings.items() if not finding["is_ok"]] == ["Prefect API"]
    assert "of the environment" in findings["Configuration"]["says"]


@pytest.mark.usefixtures("_with_a_worker", "sandbox")
def test_the_origin_of_the_credentials_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Whether the credentials are those of a saved block or of the environment is said."""
    asyncio.run(ItwinCredentials.from_settings(read_settings()).asave("elsewhere"))
    try:
        said = [examine(capsys, *more)[1]["Configuration"]["says"] for more in ((), ("--credentials", "elsewhere"))]
    finally:
        asyncio.run(ItwinCredentials.adelete("elsewhere"))
    assert said[0].endswith(" of the environment.")
    assert said[1].endswith(" of the saved block “elsewhere”, not of the environment.")


@pytest.mark.usefixtures("sandbox")
def test_a_missing_certificate_file_hides_nothing() -> None:
    """A command that Prefect cannot be imported for as usual has the findings of every look all the same."""
    command = [sys.executable, "-m", "deployments", "doctor", "--json"]
    done = subprocess.run(
        command, env=os.environ | {"SSL_CERT_FILE": "/nosuch.pem"}, capture_output=True, text=True, check=False
    )
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert done.returncode == 2
    assert all("SSL_CERT_FILE names /nosuch.pem" in findings[name]["says"] for name in ("Certificates", "Prefect API"))
    assert findings["Output folder"]["is_ok"]


@pytest.mark.usefixtures("_with_a_worker", "sandbox")
def test_a_network_that_cannot_work_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Certificates that are not there and a SOCKS proxy are findings that name the variables."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nosuch.pem")
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.example:1080")
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert "SSL_CERT_FILE names /nosuch.pem" in findings["Certificates"]["says"]
    assert "SOCKS" in findings["Way to files"]["says"]
    monkeypatch.delenv("SSL_CERT_FILE")
    assert "SOCKS" in examine(capsys)[1]["Prefect API"]["says"]


def test_pictures_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said whether exports get a picture: a small one is drawn; nothing is tried where none is wanted."""
    assert pictures("auto") == "Exports get a picture (ITWIN_PREVIEW=auto); one was drawn as a trial."
    monkeypatch.setattr(sys, "executable", "/nosuch")
    assert pictures("auto").startswith("Exports are published without a picture (ITWIN_PREVIEW=auto): the process that")
    assert pictures("off") == "Exports get no picture (ITWIN_PREVIEW=off)."
    assert "vtkmodules" not in sys.modules


def test_a_missing_package_for_pictures_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra it is said what to install, and that is wrong only where every export must have a picture."""
    monkeypatch.setattr(drawing, "PACKAGES", ("os", "no_such_package"))
    install = (
        r"no_such_package, not installed here\. Install the extra “preview”: pip install 'itwin-export\[preview\]'"
    )
    assert re.search(install, pictures("auto"))
    with pytest.raises(ConfigurationError, match=f"ITWIN_PREVIEW=on, and no picture can be drawn here: .*{install}"):
        pictures("on")


def test_nonsense_in_the_environment_is_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable that cannot be read is named."""
    monkeypatch.setenv("ITWIN_POLL_SECONDS", "soon")
    exit_code, findings = examine(capsys)
    assert exit_code == 2
    assert "ITWIN_POLL_SECONDS" in findings["Configuration"]["says"]
