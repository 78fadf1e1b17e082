"""`itwin-export doctor --orphans` lists runs that go on although nobody follows them."""

import json

import httpx
import pytest

from deployments.cli.app import run
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from tests.prefect_api import end_leftovers

pytestmark = pytest.mark.usefixtures("prefect_server")


def start_by_hand(sandbox: RunningSandbox, name: str) -> str:
    """A run on a connection of this name that no flow run follows."""
    form = {"grant_type": "client_credentials", "scope": "itwin-platform"}
    with httpx.Client(base_url=sandbox.url, trust_env=False, timeout=60) as client:
        token = client.post("/connect/token", data=form, auth=("sandbox-service", "sandbox-secret")).json()
        client.headers["Authorization"] = f"Bearer {token['access_token']}"
        asked = {"iModelId": SEEDED.plant, "displayName": name, "authenticationType": "Service"}
        connection = client.post("/export/connections", json=asked).json()["connection"]["id"]
        started = client.post(f"/export/connections/{connection}/runs", json={"exportType": "IFC"})
        return started.headers["Location"].rpartition("/")[2]


@pytest.fixture(autouse=True)
def _nobody_follows(prefect_server: str) -> None:
    end_leftovers(prefect_server)


@pytest.mark.parametrize("where", [("--imodel-id", "Campus/Plant A"), ("--itwin-id", SEEDED.itwin)])
@pytest.mark.parametrize("name", ["itwin-export IFC4.3 STORAGE 0123456789abcdef", "somebody else's"])
def test_runs_nobody_follows_are_listed(
    sandbox: RunningSandbox, where: tuple[str, str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An active run on a connection of ours is listed for its iModel and its iTwin; one of somebody else is not."""
    sandbox.state.options.run_seconds = 60
    run_id = start_by_hand(sandbox, name)
    assert run(["doctor", "--orphans", *where, "--json"]) == 0
    listed = [orphan["run_id"] for orphan in json.loads(capsys.readouterr().out)]
    assert listed == ([run_id] if name.startswith("itwin-export") else [])


@pytest.mark.usefixtures("sandbox")
def test_no_orphans_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nothing goes on unfollowed, one sentence says so."""
    assert run(["doctor", "--orphans", "--imodel-id", SEEDED.plant]) == 0
    assert "No run of ours goes on" in capsys.readouterr().out


def test_somebodys_runs_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an iModel or iTwin the command says what to name."""
    assert run(["doctor", "--orphans"]) == 2
    assert "--itwin-id" in capsys.readouterr().err
