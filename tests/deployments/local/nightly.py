"""`make up` of somebody with credentials, and runs of its nightly deployment, started without its schedule."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.local.stack import QUICK_WORKER, REPOSITORY, LocalMachine, clean_environment, wait_for
from tests.prefect_database import add_database

NIGHTLY = "export-ifc/nightly"


def prepared(
    folder: Path, platform: RunningSandbox, *, enter: tuple[str, ...] = (), root: Path = Path("/"), **more: str
) -> LocalMachine:
    """A machine of somebody with credentials, before `make up`."""
    nightly = {"ITWIN_NIGHTLY_IMODEL_ID": SEEDED.plant, "ITWIN_NIGHTLY_ITWIN_ID": "", "ITWIN_WATCH_ITWIN_ID": ""}
    quick = {"ITWIN_POLL_SECONDS": "0.5", "ITWIN_OUTPUT_DIR": str(folder / "exports")} | QUICK_WORKER
    environment = clean_environment(**platform.environment, **nightly, **quick, **more)
    machine = LocalMachine(folder / "state", environment, enter=enter, root=root)
    home = machine.seen(machine.state / "prefect")
    home.mkdir(parents=True)
    add_database(home)
    return machine


def up(machine: LocalMachine) -> LocalMachine:
    """`make up`, with schedules that do not start by the clock on the wall."""
    running = replace(machine, printed=machine.make("up", "PORT=0"))
    for name in ("watch-imodels/every-ten-minutes", "follow-runs/every-minute", NIGHTLY, "export-itwin/nightly"):
        deployment = running.deployment(name)
        for schedule in deployment["schedules"]:
            path = f"/deployments/{deployment['id']}/schedules/{schedule['id']}"
            running.ask("PATCH", path, {"active": False})
    return running


def start_nightly(machine: LocalMachine, at: datetime | None = None) -> str:
    """A flow run of the nightly deployment, as its schedule makes one, now or at that time; its id."""
    deployment = machine.deployment(NIGHTLY)["id"]
    details = {"state_details": {"scheduled_time": at.isoformat()}} if at else {}
    body = {"state": {"type": "SCHEDULED", **details}}
    return machine.ask("POST", f"/deployments/{deployment}/create_flow_run", body)["id"]


def wait_for_state(machine: LocalMachine, flow_run_id: str, *states: str) -> str:
    """The state of a flow run, once it is one of these."""

    def look() -> str | None:
        state = machine.ask("GET", f"/flow_runs/{flow_run_id}")["state_type"]
        return state if state in states else None

    return wait_for(look, f"{flow_run_id} to be {' or '.join(states)}")


@contextmanager
def quick_recovery(machine: LocalMachine) -> Generator[None]:
    """The service that `make up` starts, with shorter times, so that a test need not wait."""
    seconds = {"interval": 1, "heartbeat": 1, "leeway": 2, "longest-heartbeat": 1}
    quick = [f"--{name}-seconds={value}" for name, value in seconds.items()]
    environment = machine.environment | machine.client_environment
    command = [sys.executable, "-m", "deployments.recovery", *quick]
    with subprocess.Popen(command, env=environment, cwd=REPOSITORY) as service:
        try:
            yield
        finally:
            service.terminate()
