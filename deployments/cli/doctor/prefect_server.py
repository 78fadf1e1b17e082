"""The Prefect server, its database, and somebody who does the work."""

from collections.abc import AsyncIterator
from importlib.metadata import version

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, get_current_settings

from blocks.errors import ConfigurationError, without_secrets
from deployments.cli.doctor.finding import Finding, look
from deployments.cli.doctor.schedules import schedule_findings
from deployments.cli.doctor.webhooks import check_webhooks
from deployments.cli.prefect_api import require_prefect_api, unreachable
from deployments.pull import POOL

API = "Prefect API"
"""What is said about the server itself; the other findings need it to be there."""


async def prefect_findings(*, is_repair_wanted: bool) -> AsyncIterator[Finding]:
    """The server, its database, somebody who does the work, and what keeps schedules from running."""
    url = PREFECT_API_URL.value()
    api = await look(API, _api(url) if url else _own_server())
    yield api
    if url and api.is_ok:
        async with get_client() as client:
            yield await look("Worker", _worker(client))
            async for finding in schedule_findings(client, is_repair_wanted=is_repair_wanted):
                yield finding
            yield await look("Webhooks", check_webhooks(client))


async def _own_server() -> str:
    """Start the server that a command would start."""
    require_prefect_api()
    async with get_client() as client:
        await client.api_version()
    return (
        f"PREFECT_API_URL is not set: commands bring a server of their own, which starts, with its data in "
        f"{get_current_settings().home}; schedules and the UI need one that stays (make up)."
    )


async def _api(url: str) -> str:
    require_prefect_api()
    try:
        async with get_client() as client:
            ready = await client.request("GET", "/ready")
            ready.raise_for_status()
            served = await client.api_version()
    except (httpx.HTTPError, RuntimeError) as error:
        raise ConfigurationError(unreachable(without_secrets(str(error)))) from None
    if served.split(".")[:2] != version("prefect").split(".")[:2]:
        raise ConfigurationError(f"{url} runs Prefect {served}, this is {version('prefect')}. Install the same.")
    return f"{url} answers and has its database; Prefect {served}."


async def _worker(client: PrefectClient) -> str:
    try:
        await client.read_work_pool(POOL)
    except ObjectNotFound:
        raise ConfigurationError(
            f"There is no work pool “{POOL}”. Create it: prefect work-pool create {POOL} --type process"
        ) from None
    workers = await client.read_workers_for_work_pool(POOL, limit=100, offset=0)
    online = [worker for worker in workers if str(getattr(worker.status, "value", worker.status)) == "ONLINE"]
    if not online:
        raise ConfigurationError(
            f"No worker of “{POOL}” is alive. Start one: python -m deployments.worker --pool {POOL}"
        )
    beats = [worker.last_heartbeat_time for worker in online if worker.last_heartbeat_time]
    seen = f", last heard {max(beats):%H:%M:%S} UTC" if beats else ""
    return f"{len(online)} of {len(workers)} alive{seen}."
