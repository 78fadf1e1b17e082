"""The Prefect server, its database, and somebody who does the work."""

from collections.abc import AsyncIterator
from importlib.metadata import version

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from blocks.errors import ConfigurationError, without_secrets
from deployments.cli.doctor.finding import Finding, look
from deployments.pull import POOL


async def prefect_findings() -> AsyncIterator[Finding]:
    """The server, its database, and somebody who does the work."""
    if not (url := PREFECT_API_URL.value()):
        says = (
            "PREFECT_API_URL is not set: commands bring a server of their own; schedules and the UI need one (make up)."
        )
        yield Finding("Prefect API", is_ok=True, says=says)
        return
    async with get_client() as client:
        api = await look("Prefect API", _api(client, url))
        yield api
        if api.is_ok:
            yield await look("Worker", _worker(client))


async def _api(client: PrefectClient, url: str) -> str:
    try:
        ready = await client.request("GET", "/ready")
        ready.raise_for_status()
        served = await client.api_version()
    except (httpx.HTTPError, RuntimeError) as error:
        raise ConfigurationError(
            f"{url} does not answer, or has lost its database ({without_secrets(str(error))}). Start it (make up), or "
            f"correct PREFECT_API_URL."
        ) from None
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
        raise ConfigurationError(f"No worker of “{POOL}” is alive. Start one: prefect worker start --pool {POOL}")
    beats = [worker.last_heartbeat_time for worker in online if worker.last_heartbeat_time]
    seen = f", last heard {max(beats):%H:%M:%S} UTC" if beats else ""
    return f"{len(online)} of {len(workers)} alive{seen}."
