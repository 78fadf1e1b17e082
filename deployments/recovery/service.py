"""The service that marks cut flow runs as Crashed and frees slots that nobody holds."""

import asyncio
import logging

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import PrefectException

from blocks.errors import without_secrets
from blocks.prefect_server.staleness import ObservedTime
from deployments.recovery.cut_runs import Tolerance, mark_crashed, read_signs_of_life
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
            try:
                async with get_client() as client:
                    await self._clear_runs(client)
                    await self._clear_slots(client)
            except (httpx.HTTPError, PrefectException, RuntimeError, OSError) as error:
                log.warning("The Prefect server cannot be asked now: %s", without_secrets(str(error)))
            await asyncio.sleep(self._interval)

    async def _clear_runs(self, client: PrefectClient) -> None:
        signs = {(sign.flow_run.id, sign.at): sign for sign in await read_signs_of_life(client, self._tolerance)}
        self._runs.advance()
        self._runs.keep(signs)
        for key, sign in signs.items():
            if self._runs.age(key) > sign.longest_silence.total_seconds():
                await mark_crashed(client, sign)
                log.warning("Marked flow run %s as Crashed: silent since %s.", sign.flow_run.name, sign.at)

    async def _clear_slots(self, client: PrefectClient) -> None:
        mismatches = await find_slot_mismatches(client)
        self._slots.advance()
        self._slots.keep(mismatches)
        for mismatch in mismatches:
            if self._slots.age(mismatch) > MISMATCH_SECONDS:
                await correct_slots(client, mismatch)
                log.warning("Corrected the slots of %s: %s", mismatch.limit_name, mismatch)
