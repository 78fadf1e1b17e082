"""`python -m deployments.recovery`: what to run beside a Prefect server, so that its schedules survive a power cut."""

import asyncio
import logging
import os
import sys
from datetime import timedelta

from cyclopts import App

from deployments.loopback import reach_loopback_directly

app = App(name="deployments.recovery", help_format="plaintext", result_action="return_value")


@app.default
def recover(
    *,
    interval_seconds: float = 30,
    heartbeat_seconds: float = 180,
    leeway_seconds: float = 60,
    longest_heartbeat_seconds: float = 180,
) -> int:
    """Mark flow runs of ours whose process has gone as Crashed, and free slots that no flow run holds.

    Args:
        interval_seconds: Pause between two looks at the server of PREFECT_API_URL.
        heartbeat_seconds: PREFECT_FLOWS_HEARTBEAT_FREQUENCY of the workers; three missed ones,
        leeway_seconds: and so many seconds more, make a flow run a cut one.
        longest_heartbeat_seconds: The longest PREFECT_FLOWS_HEARTBEAT_FREQUENCY of other processes, Prefect's default
            if they do not set it; a flow run that has had one heartbeat may be of such a process.
    """
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415  reads the environment on import

    from deployments.recovery.lost_flow_runs import Tolerance  # noqa: PLC0415
    from deployments.recovery.service import Recovery  # noqa: PLC0415

    if not PREFECT_API_URL.value():
        sys.stderr.write("PREFECT_API_URL is not set: the Prefect server to look after.\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    seconds = (heartbeat_seconds, leeway_seconds, longest_heartbeat_seconds)
    tolerance = Tolerance(*(timedelta(seconds=each) for each in seconds))
    asyncio.run(Recovery(interval_seconds, tolerance).run())
    return 0


if __name__ == "__main__":
    reach_loopback_directly(os.environ)
    sys.exit(app(sys.argv[1:]))
