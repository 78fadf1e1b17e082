import re
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from time import monotonic, sleep

import httpx
import pytest

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import signed_in

ROOT = Path(__file__).parents[3]
SERVE = """
import signal, sys, threading
from deployments.sandbox.server import serve
def interrupt():
    sys.stdin.readline()
    signal.raise_signal(signal.SIGINT)
threading.Thread(target=interrupt, daemon=True).start()
serve()
"""


def test_running_sandbox_serves_and_stops() -> None:
    """The address works inside the block and refuses connections after it."""
    with running_sandbox(options=Options(token_seconds=5)) as box:
        url = box.url
        assert httpx.get(f"{url}/sandbox/state", trust_env=False, timeout=60).json()["options"]["token_seconds"] == 5
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False, timeout=60)


def test_environment_is_enough_to_sign_in() -> None:
    """The variables name the issuer and a client it knows, for a service and for a user."""
    with running_sandbox() as box:
        service, user = box.environment, box.user_environment
        assert service["ITWIN_API_URL"] == service["ITWIN_ISSUER_URL"] == box.url
        form = {
            "grant_type": "client_credentials",
            "scope": "itwin-platform",
            "client_id": service["ITWIN_CLIENT_ID"],
            "client_secret": service["ITWIN_CLIENT_SECRET"],
        }
        assert httpx.post(f"{box.url}/connect/token", data=form, trust_env=False, timeout=60).status_code == 200
        form = {
            "grant_type": "refresh_token",
            "client_id": user["ITWIN_CLIENT_ID"],
            "refresh_token": user["ITWIN_REFRESH_TOKEN"],
        }
        assert httpx.post(f"{box.url}/connect/token", data=form, trust_env=False, timeout=60).status_code == 200


def test_ids_are_the_same_in_every_sandbox() -> None:
    """Documentation and scripts may quote them."""
    with running_sandbox() as box:
        assert SEEDED.plant in box.state.imodels
        assert SEEDED.itwin == "fe459af2-e6a0-5cfe-b648-9af1170a2a12"


def test_serve_says_where_it_is_and_leaves_quietly() -> None:
    """The greeting names the address and the variables; an interrupt ends the process with a clean exit."""
    command = [sys.executable, "-c", SERVE]
    process = subprocess.Popen(command, cwd=ROOT, text=True, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    assert process.stdout is not None
    greeting = "".join(iter(process.stdout.readline, "Ctrl-C stops it.\n"))
    url = re.search(r"ITWIN_API_URL='(http://127\.0\.0\.1:\d+)'", greeting)
    assert url
    assert httpx.get(f"{url[1]}/sandbox/state", trust_env=False, timeout=60).status_code == 200
    _, errors = process.communicate("\n", timeout=120)
    assert (process.returncode, errors) == (0, "")


def start(client: httpx.Client, **output: str) -> None:
    body = {"iModelId": SEEDED.plant, "authenticationType": "Service"}
    connection = client.post("/export/connections", json=body).json()["connection"]["id"]
    order = {"exportType": "IFC", "outputOptions": output}
    assert client.post(f"/export/connections/{connection}/runs", json=order).status_code == 202


def wait(box: RunningSandbox) -> str:
    deadline = monotonic() + 30
    while any(run.is_active for run in box.state.runs) and monotonic() < deadline:
        sleep(0.05)
    return box.state.runs_of(SEEDED.plant)[0].outcome.result


def test_runs_finish_without_being_watched() -> None:
    """The exporter works on its own time: the output is there although nobody polled."""
    with running_sandbox(options=Options(run_seconds=0.1)) as box:
        with signed_in(box) as client:
            start(client)
        assert wait(box) == "Success"
        assert [file.name for file in box.state.items.values() if file.type == "file"] == ["Plant A.ifc"]


def test_output_reaches_the_users_storage_over_the_network() -> None:
    """The exporter really sends the file to the signed link it was given."""
    with running_sandbox(options=Options(run_seconds=0.1)) as box:
        target = box.signed_url("mine", "plant.ifc", permissions="cw")
        with signed_in(box) as client:
            start(client, location="USER_BLOB_STORAGE", outputSasUrl=target)
        assert wait(box) == "Success"
        stored = box.state.blobs.get("mine", "plant.ifc")
        assert stored is not None
        assert stored.read().startswith(b"ISO-10303-21;")


def test_storage_that_is_not_there_fails_the_run() -> None:
    """Nobody listens where the file should go: the run ends with an error."""
    with running_sandbox(options=Options(run_seconds=0.1)) as gone:
        target = gone.signed_url("mine", "plant.ifc", permissions="cw")
    with running_sandbox(options=Options(run_seconds=0.1)) as box:
        with signed_in(box) as client:
            start(client, location="USER_BLOB_STORAGE", outputSasUrl=target)
        assert wait(box) == "Error"
