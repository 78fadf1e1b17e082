"""Wait without a process: the flow run is suspended while the platform works, and `follow-runs` resumes it.

What it waits for stands in the key of its suspended state on the Prefect server: nothing else has to outlive it.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID, uuid4

import httpx
from prefect import get_client, get_run_logger
from prefect.client.schemas.objects import State
from prefect.flow_runs import asuspend_flow_run
from prefect.runtime import deployment, flow_run
from pydantic import BaseModel, ConfigDict, ValidationError

from blocks.errors import InputError, without_secrets
from blocks.settings import read_settings
from tasks.artifacts import show_page
from tasks.export_page import PageFacts, released_page
from tasks.export_progress import current_progress
from tasks.flow_run_facts import own_facts
from tasks.options import Policy, needs_deployment
from tasks.platform_slots import in_batch
from tasks.released.schedule import keep_following
from tasks.reports import ExportFormat

MARK = "itwin-export:"
GRACE = timedelta(hours=1)
"""A flow run stays suspended for so long beyond its deadline: it is to be resumed and to say what has happened."""

Found = TypeVar("Found")


class ReleasedWait(BaseModel):
    """What a suspended flow run waits for: an export run, or the tiles of a changeset.

    `since` and `deadline` are by the platform's clock. Of a mesh, `export_id` is empty while none has turned up.
    `is_foreign`: the export run is not ours and holds the iModel; ours is started after it. `blob_name` is where a run
    for `USER_BLOB_STORAGE` writes; `is_adopted` if another flow run had asked for it.
    """

    model_config = ConfigDict(frozen=True)

    format: ExportFormat
    imodel_id: str
    changeset_id: str
    since: datetime
    deadline: datetime
    connection_id: str = ""
    export_id: str = ""
    blob_name: str = ""
    is_adopted: bool = False
    is_foreign: bool = False

    @property
    def key(self) -> str:
        """A new key for a suspended state; Prefect takes each only once."""
        return f"{MARK}{uuid4().hex}:{self.model_dump_json()}"

    def __str__(self) -> str:
        name = "export run" if self.format == "ifc" else "mesh export"
        if self.is_foreign:
            return f"export run {self.export_id}, which is not ours and holds the iModel,"
        return f"{name} {self.export_id}" if self.export_id else "tiles that the platform is to make"


def released_wait_of(state: State | None) -> ReleasedWait | None:
    """What a flow run in this state waits for; None if it is not suspended by `while_waiting=release`."""
    key = state.state_details.pause_key if state else None
    if key is None or not key.startswith(MARK):
        return None
    try:
        return ReleasedWait.model_validate_json(key.removeprefix(MARK).partition(":")[2])
    except ValidationError:
        return None


async def require_resumable(policy: Policy) -> None:
    """Check that a flow run with `while_waiting=release` can be resumed: it and `follow-runs` have a deployment.

    Raises:
        InputError: The flow run has no deployment.
        ConfigurationError: The server has no deployment of `follow-runs`.
    """
    if policy.while_waiting == "hold":
        return
    if not deployment.id:
        raise InputError(needs_deployment("while_waiting"))
    await keep_following()


def longest_wait(policy: Policy) -> timedelta:
    """Age of a remote run at which a process stops waiting for it; `timedelta.max` if it waits to the end."""
    if policy.while_waiting == "hold" or in_batch():
        return timedelta.max
    return timedelta(seconds=read_settings().release_after_seconds)


async def found_or_released(wait: Callable[[], Awaitable[Found | ReleasedWait]]) -> Found:
    """What was waited for; where the process is not to wait longer, the flow run is suspended until it is there.

    While the Prefect server does not take that, the process waits on. If only its answer was lost, the next try ends
    the process: the server tells that the flow run is suspended.
    """
    while isinstance(outcome := await wait(), ReleasedWait):
        try:
            await _suspend(outcome)
        except httpx.HTTPError as error:
            reason = without_secrets(str(error)) or type(error).__name__
            get_run_logger().warning("The Prefect server did not suspend this flow run (%s). It waits on.", reason)
            await asyncio.sleep(read_settings().poll_max_seconds)
    return outcome


async def earlier_waits() -> list[ReleasedWait]:
    """What this flow run has waited for while it was suspended, the first one first.

    Results of tasks say the same where the worker that goes on has the same result storage; another has this.
    """
    if in_batch() or not flow_run.run_count:  # of the runs before this one
        return []
    async with get_client() as client:
        states = await client.read_flow_run_states(UUID(str(flow_run.id)))
    return [wait for state in states if (wait := released_wait_of(state))]


async def earlier_changeset() -> str:
    """The changeset that this flow run exported before it was suspended; empty if it was not."""
    waits = await earlier_waits()
    return waits[-1].changeset_id if waits else ""


async def earlier_start(policy: Policy) -> datetime | None:
    """When this flow run first started, by the platform's clock, as its first wait tells; None if that does not."""
    waits = await earlier_waits()
    is_told = waits and (waits[0].format == "mesh" or waits[0].is_foreign)
    return waits[0].deadline - policy.timeout if is_told else None


async def _suspend(wait: ReleasedWait) -> None:
    """End this process until `follow-runs` resumes the flow run."""
    await keep_following()
    get_run_logger().info("Waiting for %s without a process, until %s UTC at the latest.", wait, _minute(wait.deadline))
    progress = current_progress()
    waited_for = f"{wait} since {_minute(wait.since)} UTC, until {_minute(wait.deadline)} UTC at the latest"
    page = released_page(waited_for, PageFacts(progress, own_facts()))
    await show_page(page, key=progress.key, description=f"waits for {wait}")
    left = wait.deadline + GRACE - datetime.now(UTC)
    await asuspend_flow_run(timeout=max(60, math.ceil(left.total_seconds())), key=wait.key)


def _minute(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"
