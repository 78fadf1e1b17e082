"""What keeps schedules from running: leases in memory, cut flow runs, slots that nobody holds."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import PrefectClient

from blocks.errors import ConfigurationError
from deployments.cli.doctor.finding import Finding, look
from deployments.recovery.lost_flow_runs import find_cut_runs, mark_crashed
from deployments.recovery.slots import SlotMismatch, correct_slots, find_slot_mismatches
from tasks.released.schedule import FOLLOWER
from tasks.released.suspended_runs import find_last_look, find_suspended

REPAIR = "Repair it: itwin-export doctor --repair"
LOOK_AGAIN_SECONDS = 2.0
"""A flow run that starts or ends right now takes no longer to be counted."""
FOLLOWER_SILENCE = timedelta(minutes=10)
IN_MEMORY = "prefect.server.concurrency.lease_storage.memory"


async def schedule_findings(client: PrefectClient, *, is_repair_wanted: bool) -> AsyncIterator[Finding]:
    """The lease storage of the server; flow runs without a process; slots without a flow run."""
    yield await look("Lease storage", _lease_storage(client))
    yield await look("Flow runs", _flow_runs(client, is_repair_wanted=is_repair_wanted))
    yield await look("Slots", _slots(client, is_repair_wanted=is_repair_wanted))
    yield await look("Released exports", _released(client))


async def _lease_storage(client: PrefectClient) -> str:
    settings = (await client.request("GET", "/admin/settings")).json()
    storage = settings.get("server", {}).get("concurrency", {}).get("lease_storage")
    if storage is None:
        return "The server does not tell where it keeps the leases of concurrency limits."
    if storage == IN_MEMORY:
        raise ConfigurationError(
            "The server keeps the leases of concurrency limits in memory: after a power cut the slot of a deployment "
            "stays taken. Start it with PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE="
            "prefect.server.concurrency.lease_storage.filesystem (several servers: prefect_redis.lease_storage)."
        )
    return f"Leases of concurrency limits outlive the server ({storage})."


async def _flow_runs(client: PrefectClient, *, is_repair_wanted: bool) -> str:
    cut = await find_cut_runs(client)
    if not cut:
        return "None of ours looks alive without a heartbeat."
    names = ", ".join(f"{sign.flow_run.name} (silent since {sign.at:%Y-%m-%d %H:%M} UTC)" for sign in cut)
    _require_repair(f"These look alive but have no process any more: {names}.", is_wanted=is_repair_wanted)
    for sign in cut:
        await mark_crashed(client, sign)
    return f"Marked as Crashed: {names}."


async def _slots(client: PrefectClient, *, is_repair_wanted: bool) -> str:
    mismatches = await _lasting_mismatches(client)
    if not mismatches:
        return "Each slot of our deployments that is taken is held by a flow run."
    told = ", ".join(f"{one.limit_name}: {one.taken} taken, {one.held} held by a flow run" for one in mismatches)
    _require_repair(f"Slots of deployments do not agree with their flow runs ({told}).", is_wanted=is_repair_wanted)
    for mismatch in mismatches:
        await correct_slots(client, mismatch)
    return f"Corrected: {told}."


async def _released(client: PrefectClient) -> str:
    released = await find_suspended(client)
    if not released:
        return "No export waits without a process."
    waiting = "An export waits" if len(released) == 1 else f"{len(released)} exports wait"
    last_look = await find_last_look(client) or min(one.wait.since for one in released)
    silence = datetime.now(UTC) - last_look
    if silence > FOLLOWER_SILENCE:
        raise ConfigurationError(
            f"{waiting} without a process, and the deployment {FOLLOWER}, which resumes them, has not looked for "
            f"{silence.total_seconds() / 60:.0f} minutes. Start a worker, and turn its schedule on in the UI."
        )
    return f"{waiting} without a process; the deployment {FOLLOWER} looks after them."


def _require_repair(problem: str, *, is_wanted: bool) -> None:
    if not is_wanted:
        raise ConfigurationError(f"{problem} {REPAIR}")


async def _lasting_mismatches(client: PrefectClient) -> list[SlotMismatch]:
    first = await find_slot_mismatches(client)
    if not first:
        return []
    await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return [mismatch for mismatch in await find_slot_mismatches(client) if mismatch in first]
