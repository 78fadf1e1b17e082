"""Two nightly runs at once, where a cut one is marked as Crashed late."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL

from deployments.recovery.lost_flow_runs import Tolerance
from deployments.recovery.service import Recovery
from tests.deployments.cli.test_repair import Nightly
from tests.prefect_api import ask

SECOND = timedelta(seconds=1)


def let_lease_expire(nightly: Nightly, flow_run_id: str) -> None:
    """What the server does with a lease that nobody has renewed for five minutes: it is gone, and the slot is free."""
    path = str(PREFECT_API_DATABASE_CONNECTION_URL.value()).partition(":///")[2]
    lease = "$.deployment_concurrency_lease_id"
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        change = "UPDATE flow_run_state SET state_details = json_set(state_details, ?, ?) WHERE flow_run_id = ?"
        assert database.execute(change, [lease, str(uuid4()), flow_run_id]).rowcount
    limit = ask("GET", f"{nightly.api}/deployments/{nightly.id}")["global_concurrency_limit"]["id"]
    ask("PATCH", f"{nightly.api}/v2/concurrency_limits/{limit}", {"active_slots": 0})


@pytest.mark.asyncio(loop_scope="session")
async def test_a_late_crash_gives_no_third_run_the_slot(nightly: Nightly) -> None:
    """A cut run that is marked after its lease expired does not give free the slot of the run that is on since."""
    cut = nightly.start("RUNNING")
    recovery = Recovery(1, Tolerance(heartbeat=SECOND / 10, leeway=SECOND / 10, longest_heartbeat=SECOND / 10))
    async with get_client() as client:
        await recovery.look(client)
        await asyncio.sleep(1)
        let_lease_expire(nightly, cut)
        following = nightly.start("RUNNING")
        assert nightly.taken == 1
        await recovery.look(client)
    assert (nightly.state_of(cut), nightly.state_of(following)) == ("CRASHED", "RUNNING")
    assert nightly.taken == 1
