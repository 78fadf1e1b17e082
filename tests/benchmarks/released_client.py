"""One look of `follow-runs` in one process, measured from inside: `python -m tests.benchmarks.released_client`.

The argument is the time of the look before, in ISO 8601, or nothing for a first look.
"""

import asyncio
import json
import os
import resource
import sys
import time
from collections import Counter
from datetime import datetime
from typing import Any
from unittest.mock import patch

import httpx
from prefect import flow

from flows.follow_runs import follow_once

sent: Counter[str] = Counter()
_send = httpx.AsyncClient.send


async def counted_send(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
    """Note for whom a request is."""
    sent["server" if str(request.url).startswith(os.environ["PREFECT_API_URL"]) else "platform"] += 1
    return await _send(client, request, **options)


@flow(name="one-look", persist_result=False)
async def look(last_look: datetime | None) -> tuple[list[str], int]:
    """What `follow-runs` does each minute."""
    return await follow_once(last_look)


def cpu_seconds() -> float:
    """User and system time of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main(last_look: datetime | None) -> None:
    """Look once and print what it took as one JSON object on stdout."""
    before, started = cpu_seconds(), time.perf_counter()
    with patch.object(httpx.AsyncClient, "send", counted_send):
        resumed, waiting = await look(last_look)
    measured = {
        "waiting": waiting,
        "resumed": len(resumed),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(cpu_seconds() - before, 1),
        "platform_requests": sent["platform"],
        "server_requests": sent["server"],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    asyncio.run(main(datetime.fromisoformat(sys.argv[1]) if sys.argv[1:] else None))
