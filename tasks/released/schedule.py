"""The schedule of `follow-runs/every-minute`: active while flow runs wait without a process, and not otherwise.

A look takes a process some seconds of CPU, too much for every minute of a server on which nobody releases workers.
`prefect deploy` replaces the schedule, also while flow runs wait; therefore it is deployed as active, and the first
look after that turns it off where none waits.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound

from blocks.errors import ConfigurationError

FOLLOWER = "follow-runs/every-minute"
IDLE_AFTER = timedelta(minutes=10)
"""A flow run that is about to be suspended turns the schedule on first; until then nobody turns it off."""
DEPLOYED_WITHIN = timedelta(milliseconds=1)
"""Between the two times of a schedule that nobody has changed since it was deployed."""


@dataclass(frozen=True)
class FollowerSchedule:
    """A schedule of the deployment `follow-runs/every-minute`."""

    deployment_id: UUID
    schedule_id: UUID
    is_active: bool
    deployed_at: datetime
    changed_at: datetime

    @property
    def is_idle(self) -> bool:
        """True if no flow run has turned it on lately: it is as it was deployed, or was changed long ago."""
        is_as_deployed = self.changed_at - self.deployed_at < DEPLOYED_WITHIN
        return is_as_deployed or datetime.now(UTC) - self.changed_at > IDLE_AFTER

    async def set_active(self, client: PrefectClient, *, active: bool) -> None:
        """Turn it on or off; turning it on again renews `changed_at`."""
        await client.update_deployment_schedule(self.deployment_id, self.schedule_id, active=active)


async def read_schedules(client: PrefectClient) -> list[FollowerSchedule]:
    """The schedules of the deployment; none where it is not deployed."""
    try:
        found = await client.read_deployment_by_name(FOLLOWER)
    except ObjectNotFound:
        return []
    long_ago = datetime.min.replace(tzinfo=UTC)
    return [
        FollowerSchedule(found.id, one.id, one.active, one.created or long_ago, one.updated or long_ago)
        for one in found.schedules
    ]


async def keep_following() -> None:
    """Turn the schedule on, before a flow run is suspended that it must resume.

    Raises:
        ConfigurationError: There is no such deployment, so nobody would resume the flow run.
    """
    async with get_client() as client:
        schedules = await read_schedules(client)
        if not schedules:
            raise ConfigurationError(
                f"while_waiting=release needs the deployment {FOLLOWER} with its schedule, which resumes flow runs. "
                f"This server has none: deploy it (prefect deploy --all), or choose while_waiting=hold."
            )
        for schedule in schedules:
            await schedule.set_active(client, active=True)


async def stop_following() -> None:
    """Turn the schedule off, unless a flow run has turned it on lately."""
    async with get_client() as client:
        for schedule in await read_schedules(client):
            if schedule.is_active and schedule.is_idle:
                await schedule.set_active(client, active=False)
