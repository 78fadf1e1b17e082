"""One batch in one process, measured from inside: `python -m tests.benchmarks.batch_client ITWIN_ID MAX_ACTIVE`."""

import asyncio
import json
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import httpx

from flows.export_itwin import export_itwin

BEAT_SECONDS = 0.1


sent: Counter[str] = Counter()
"""Requests to the Prefect server: all, and those for artifacts, which are the page and the progress."""
_send = httpx.AsyncClient.send


async def counted_send(client: httpx.AsyncClient, request: httpx.Request, **options: Any) -> httpx.Response:
    """Count a request to the Prefect server."""
    if str(request.url).startswith(os.environ["PREFECT_API_URL"]):
        sent["all"] += 1
        sent["artifacts"] += "/artifacts" in request.url.path
    return await _send(client, request, **options)


async def feel_the_loop(lags: list[float]) -> None:
    """Note, ten times a second, how late the event loop is."""
    while True:
        due = time.perf_counter() + BEAT_SECONDS
        await asyncio.sleep(BEAT_SECONDS)
        lags.append(time.perf_counter() - due)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share stays below."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def main(itwin_id: str, max_active: int) -> None:
    """Run the batch and print what it took as one JSON object on stdout."""
    lags: list[float] = []
    feeling = asyncio.create_task(feel_the_loop(lags))
    started = time.perf_counter()
    with patch.object(httpx.AsyncClient, "send", counted_send):
        report = await export_itwin(itwin_id, max_active=max_active, fail_when="never")
    seconds = time.perf_counter() - started
    feeling.cancel()
    measured = {
        "seconds": round(seconds, 1),
        "exported": report.exported,
        "skipped": report.skipped,
        "failed": report.failed,
        "first_failure": report.failures[0].error if report.failures else "",
        "server_requests": sent["all"],
        "artifact_requests": sent["artifacts"],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "loop_lag_p95_ms": round(1000 * percentile(lags, 0.95), 1),
        "loop_lag_max_ms": round(1000 * max(lags), 1),
    }
    sys.stdout.write(json.dumps(measured) + "\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
