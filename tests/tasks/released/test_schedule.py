"""When the schedule of `follow-runs/every-minute` is on."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.schedules import CronSchedule

from flows.follow_runs import follow_runs
from tasks.released.schedule import keep_following, read_schedules, stop_following

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]

DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parents[3] / "prefect.yaml").read_text())[
    "deployments"
]
(SCHEDULE,) = next(one["schedules"] for one in DEPLOYMENTS if one["entrypoint"].startswith("flows/follow_runs.py"))


@pytest_asyncio.fixture(loop_scope="session")
async def client() -> AsyncGenerator[PrefectClient]:
    """A client of the session's server."""
    async with get_client() as client:
        yield client


async def deploy(client: PrefectClient) -> None:
    """What `prefect deploy` does with the schedule of prefect.yaml: it replaces the one that is there."""
    cron = CronSchedule(cron=SCHEDULE["cron"], timezone=SCHEDULE["timezone"])
    schedule = DeploymentScheduleCreate(schedule=cron, active=SCHEDULE.get("active", True))
    await client.create_deployment(await client.create_flow(follow_runs), "every-minute", schedules=[schedule])


async def is_on(client: PrefectClient) -> bool:
    (schedule,) = await read_schedules(client)
    return schedule.is_active


async def test_deploying_while_exports_wait_leaves_the_schedule_on(client: PrefectClient) -> None:
    """A deployment replaces the schedule by an active one, so that flow runs which wait already are looked at."""
    await deploy(client)
    await keep_following()
    await deploy(client)
    assert await is_on(client)


async def test_the_schedule_is_off_where_nobody_waits(client: PrefectClient) -> None:
    """The first look after a deployment turns it off; one that a flow run has just turned on stays on."""
    await deploy(client)
    await stop_following()
    assert not await is_on(client)
    await keep_following()
    await stop_following()
    assert await is_on(client)
