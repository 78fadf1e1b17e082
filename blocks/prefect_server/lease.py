"""One holder at a time among all processes that share a Prefect server, killed ones included.

A Prefect variable is the guard: its name is unique, so creating it takes the guard; deleting it by its id gives it
back. The holder changes the variable every few seconds. Who waits and sees no change for a while deletes that very
variable, by its id, so a guard taken anew by somebody else is never touched. No clock is compared with another one, and
the time that the server itself stands still is not held against the holder.

Prefect's own concurrency leases last a minute at least, expire up to 15 seconds late and are forgotten, with the slot
still taken, when a server restarts with its default settings.
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

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 0.5
LONGEST_LOOK = 0.2  # of the time after which a holder is taken for dead


@dataclass(frozen=True)
class GuardTimes:
    """How long things take; seconds.

    Attributes:
        beat: Between two signs of life of the holder.
        stale: Without a sign of life for so long, the holder is taken for dead.
        patience: Longest wait for the guard.
    """

    beat: float = 4.0
    stale: float = 20.0
    patience: float = 180.0


@dataclass
class Hold:
    """The guard, while it is ours.

    Attributes:
        last_beat: When the newest sign of life was sent, by our own clock; seconds.
        taken_over: From somebody who was taken for dead, and may yet come round.
    """

    client: PrefectClient
    variable_id: UUID
    times: GuardTimes
    last_beat: float
    taken_over: bool

    async def check(self) -> None:
        """Make sure that nobody can have taken us for dead, for example because this process stood still.

        Raises:
            TransientError: Somebody has, or the Prefect API does not tell.
        """
        if time.monotonic() - self.last_beat > self.times.stale / 2:
            with prefect_errors("Making sure that it is our turn to sign in"):
                await self.heartbeat()

    async def heartbeat(self) -> None:
        """Change the guard, which only its holder can: for others it is gone.

        Raises:
            TransientError: It is gone for us: others have taken us for dead.
        """
        sent_at = time.monotonic()
        sign = {"value": {"beat": secrets.token_hex(4)}}
        try:
            await self.client.request("PATCH", "/variables/{id}", path_params={"id": self.variable_id}, json=sign)
        except httpx.HTTPStatusError as error:
            if error.response.status_code == HTTPStatus.NOT_FOUND:
                raise TransientError("This process stood still while it was signing in. Try again.") from None
            raise
        self.last_beat = max(self.last_beat, sent_at)


class Lease:
    """The guard of that name: lower-case letters, digits and underscores."""

    def __init__(self, name: str, times: GuardTimes | None = None) -> None:
        self._name = name
        self._times = times or GuardTimes()

    @asynccontextmanager
    async def held(self) -> AsyncGenerator[Hold]:
        """Hold the guard.

        Raises:
            TransientError: Others held it all the time, or the Prefect API cannot be reached.
        """
        async with get_client() as client:
            with prefect_errors("Taking turns to sign in"):
                hold = await self._take(client)
            beating = asyncio.create_task(_beat(hold))
            try:
                yield hold
            finally:
                beating.cancel()
                await _give_back(client, hold)

    async def _take(self, client: PrefectClient) -> Hold:
        """Wait until the guard is ours.

        While another one has it, it is read and not asked for: every refusal is a failed write, and the garbage that
        those leave behind can freeze a Prefect server on SQLite for a minute.
        """
        mine = secrets.token_hex(8)
        watch = _Watch(self._times.stale)
        give_up = time.monotonic() + self._times.patience
        pause = FIRST_PAUSE_SECONDS
        taken_over, other = False, None
        while (asked_at := time.monotonic()) < give_up:
            if other is None and (taken := await self._try_to_take(client, mine)) is not None:
                return Hold(client, taken, self._times, asked_at, taken_over)
            other = await client.read_variable_by_name(self._name)
            if other is None:
                continue
            if _holder(other) == mine:  # our request got through and its answer was lost
                return Hold(client, other.id, self._times, asked_at, taken_over)
            if watch.shows_no_life(other):
                await _delete(client, other.id)
                taken_over, other = True, None
                continue
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  jitter is no secret
            pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
        raise TransientError(
            f"Other processes kept signing in for {self._times.patience:g} seconds (Prefect variable {self._name}). "
            f"Try again later."
        )

    async def _try_to_take(self, client: PrefectClient, mine: str) -> UUID | None:
        try:
            created = await client.create_variable(VariableCreate(name=self._name, value={"holder": mine}))
        except ObjectAlreadyExists:
            return None
        return created.id


class _Watch:
    """Looks at another holder: for how long has nothing changed?

    Between two looks only so much time counts, because a server that left us waiting may have left the holder waiting.
    """

    def __init__(self, stale: float) -> None:
        self._stale = stale
        self._seen: tuple[UUID, str] | None = None
        self._looked_at = 0.0
        self._unchanged = 0.0

    def shows_no_life(self, other: Variable) -> bool:
        now, sign = time.monotonic(), (other.id, str(other.value))
        passed, self._looked_at = now - self._looked_at, now
        if sign != self._seen:
            self._seen, self._unchanged = sign, 0.0
        else:
            self._unchanged += min(passed, self._stale * LONGEST_LOOK)
        return self._unchanged >= self._stale


async def _beat(hold: Hold) -> None:
    """Show signs of life until cancelled; one that fails or hangs is made up for by the next."""
    async with asyncio.TaskGroup() as signs:
        while True:
            await asyncio.sleep(hold.times.beat)
            signs.create_task(_try_to_show_life(hold))


async def _try_to_show_life(hold: Hold) -> None:
    with contextlib.suppress(httpx.HTTPError, TransientError):
        await hold.heartbeat()


async def _give_back(client: PrefectClient, hold: Hold) -> None:
    """Give the guard back; where that fails, it is taken for dead after a while."""
    with contextlib.suppress(httpx.HTTPError):
        await asyncio.shield(_delete(client, hold.variable_id))


async def _delete(client: PrefectClient, variable_id: UUID) -> None:
    try:
        await client.request("DELETE", "/variables/{id}", path_params={"id": variable_id})
    except httpx.HTTPStatusError as error:
        if error.response.status_code != 404:
            raise


def _holder(variable: Variable) -> str:
    return str(variable.value.get("holder")) if isinstance(variable.value, dict) else ""
