"""The service that marks cut flow runs as Crashed and frees slots that nobody holds."""

import asyncio
import logging

from prefect.client.orchestration import PrefectClient

from blocks.prefect_server.look import look_once
from blocks.prefect_server.staleness import ObservedTime
from deployments.recovery.lost_flow_runs import Tolerance, mark_crashed, read_signs_of_life
from deployments.recovery.slots import correct_slots, find_slot_mismatches

MISMATCH_SECONDS = 360.0
"""Longer than a lease lasts that nobody renews: until then the server may free the slot itself."""

log = logging.getLogger(__name__)


class Recovery:
    """Looks at a Prefect server again and again."""

    def __init__(self, interval_seconds: float, tolerance: Tolerance) -> None:
        self._interval = interval_seconds
        self._tolerance = tolerance
        self._runs = ObservedTime(longest_step=2 * interval_seconds)
        self._slots = ObservedTime(longest_step=2 * interval_seconds)

    async def run(self) -> None:
        """Look for ever; a server that is away is asked again."""
        while True:
            await look_once(self.look, log)
            await asyncio.sleep(self._interval)

    async def look(self, client: PrefectClient) -> None:
        """Look once."""
        is_marked = await self._clear_runs(client)
        await self._clear_slots(client, take_back=is_marked)

    async def _clear_runs(self, client: PrefectClient) -> bool:
        """Whether a run was marked as Crashed."""
        is_marked = False
        signs = {(sign.flow_run.id, sign.at): sign for sign in await read_signs_of_life(client, self._tolerance)}
        self._runs.advance()
        self._runs.keep(signs)
        for key, sign in signs.items():
            if self._runs.age(key) > sign.longest_silence.total_seconds():
                await mark_crashed(client, sign)
                is_marked = True
                log.warning("Marked flow run %s as Crashed: silent since %s.", sign.flow_run.name, sign.at)
        return is_marked

    async def _clear_slots(self, client: PrefectClient, *, take_back: bool) -> None:
        """Correct what has been wrong for long, and what marking a run as Crashed just now has made wrong.

        If that run's lease had expired and another run has taken the slot since, the server gave free the slot of that
        one; a third run must not get it, so it is taken back at once.
        """
        mismatches = await find_slot_mismatches(client)
        self._slots.advance()
        self._slots.keep(mismatches)
        for mismatch in mismatches:
            is_given_away = take_back and mismatch.taken < mismatch.held
            if is_given_away or self._slots.age(mismatch) > MISMATCH_SECONDS:
                await correct_slots(client, mismatch)
                log.warning("Corrected the slots of %s: %s", mismatch.limit_name, mismatch)
