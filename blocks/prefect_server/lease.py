"""A lease that one process at a time holds among all that share a Prefect server, also after crashes.

The lease is a Prefect variable. Its name is unique, so creating it acquires the lease; deleting it by its id releases
it. The holder updates the variable every few seconds (heartbeat). A waiting process that sees no update for a while
treats the lease as stale and deletes the variable by its id, so that a lease acquired by another process meanwhile is
unaffected. Clocks of different machines are never compared, and time in which the server does not respond does not
count towards staleness.

Prefect's own concurrency leases (https://docs.prefect.io/v3/concepts/global-concurrency-limits) last at least a
minute. Observed with 3.9.1: they expire up to 15 seconds late, and a server that restarts with its default settings
forgets the lease but keeps its slot occupied.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate
from prefect.client.schemas.objects import Variable
from prefect.exceptions import ObjectAlreadyExists

from blocks.errors import TransientError
from blocks.prefect_server.errors import prefect_errors
from blocks.prefect_server.staleness import StalenessDetector

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class LeaseTimes:
    """Intervals of a lease, in seconds.

    Attributes:
        heartbeat: Time between two heartbeats of the holder.
        stale: Time without a heartbeat after which the lease is stale.
        timeout: Maximum wait for the lease.
    """

    heartbeat: float = 4.0
    stale: float = 20.0
    timeout: float = 180.0


@dataclass
class HeldLease:
    """A lease that this process has acquired.

    Attributes:
        client: Client of the Prefect API.
        variable_id: The variable that is the lease.
        times: Intervals of the lease.
        last_heartbeat: When the latest successful heartbeat was sent (seconds of the monotonic clock).
        taken_over: The previous holder's lease was stale; that process may be suspended and resume later.
    """

    client: PrefectClient
    variable_id: UUID
    times: LeaseTimes
    last_heartbeat: float
    taken_over: bool

    async def check(self) -> None:
        """Check that the lease is still held, for example after this process was suspended.

        Raises:
            TransientError: Another process has taken the lease over, or the Prefect API gives no usable response.
        """
        if time.monotonic() - self.last_heartbeat > self.times.stale / 2:
            with prefect_errors("Check the sign-in lease"):
                await self.heartbeat()

    async def heartbeat(self) -> None:
        """Update the variable.

        Raises:
            TransientError: It no longer exists: another process treated the lease as stale and deleted it.
        """
        sent_at = time.monotonic()
        heartbeat = {"value": {"beat": secrets.token_hex(4)}}
        try:
            await self.client.request("PATCH", "/variables/{id}", path_params={"id": self.variable_id}, json=heartbeat)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                raise TransientError(
                    "This process was suspended while it was signing in, and another one took over. Try again."
                ) from None
            raise
        self.last_heartbeat = max(self.last_heartbeat, sent_at)


class Lease:
    """A named lease.

    Args:
        name: Name of the Prefect variable: lower-case letters, digits and underscores.
        times: Intervals; all processes should use the same.
    """

    def __init__(self, name: str, times: LeaseTimes | None = None) -> None:
        self._name = name
        self._times = times or LeaseTimes()

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[HeldLease]:
        """Acquire the lease, send heartbeats until the context ends, and release it.

        Raises:
            TransientError: It was not free within the timeout, or the Prefect API cannot be reached.
        """
        async with get_client() as client:
            with prefect_errors("Acquire the sign-in lease"):
                held = await self._acquire(client)
            heartbeats = asyncio.create_task(_send_heartbeats(held))
            try:
                yield held
            finally:
                heartbeats.cancel()
                await _release(client, held)

    async def _acquire(self, client: PrefectClient) -> HeldLease:
        """Wait until the lease is acquired.

        While another process holds it, the variable is only read. Each rejected creation (409) is a failed write, and
        many of them were observed to block a Prefect server on SQLite for a minute.
        """
        holder_id = secrets.token_hex(8)
        detector = StalenessDetector(self._times.stale)
        deadline = time.monotonic() + self._times.timeout
        pause = FIRST_PAUSE_SECONDS
        taken_over, other = False, None
        while (asked_at := time.monotonic()) < deadline:
            if other is None and (acquired := await self._try_to_acquire(client, holder_id)) is not None:
                return HeldLease(client, acquired, self._times, asked_at, taken_over)
            other = await client.read_variable_by_name(self._name)
            if other is None:
                continue
            if _holder(other) == holder_id:  # our creation succeeded, but its response was lost
                return HeldLease(client, other.id, self._times, asked_at, taken_over)
            if detector.is_stale((other.id, str(other.value))):
                await _delete(client, other.id)
                taken_over, other = True, None
                continue
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  jitter is no secret
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        raise TransientError(
            f"Other processes were signing in for {self._times.timeout:g} seconds (Prefect variable {self._name}). "
            f"Try again later."
        )

    async def _try_to_acquire(self, client: PrefectClient, holder_id: str) -> UUID | None:
        try:
            created = await client.create_variable(VariableCreate(name=self._name, value={"holder": holder_id}))
        except ObjectAlreadyExists:
            return None
        return created.id


async def _send_heartbeats(held: HeldLease) -> None:
    """Send heartbeats until cancelled; one that fails or hangs does not delay the next."""
    async with asyncio.TaskGroup() as group:
        while True:
            await asyncio.sleep(held.times.heartbeat)
            group.create_task(_try_heartbeat(held))


async def _try_heartbeat(held: HeldLease) -> None:
    with contextlib.suppress(httpx.HTTPError, TransientError):
        await held.heartbeat()


async def _release(client: PrefectClient, held: HeldLease) -> None:
    """Release the lease; if that fails, it becomes stale after a while."""
    with contextlib.suppress(httpx.HTTPError):
        await asyncio.shield(_delete(client, held.variable_id))


async def _delete(client: PrefectClient, variable_id: UUID) -> None:
    try:
        await client.request("DELETE", "/variables/{id}", path_params={"id": variable_id})
    except httpx.HTTPStatusError as error:
        if error.response.status_code != 404:
            raise


def _holder(variable: Variable) -> str:
    return str(variable.value.get("holder")) if isinstance(variable.value, dict) else ""
