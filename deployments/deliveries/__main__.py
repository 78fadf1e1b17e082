"""`python -m deployments.deliveries`: deliver the events of exports to the saved blocks `Outgoing Webhook`."""

import asyncio
import logging
import os
import sys
from pathlib import Path

from cyclopts import App

from blocks.errors import ExportError
from deployments.loopback import reach_loopback_directly
from deployments.output_streams import keep_streams_open

app = App(name="deployments.deliveries", help_format="plaintext", result_action="return_value")


@app.default
def deliver(*, state_file: Path = Path("deliveries.sqlite")) -> int:
    """Deliver the events of the server of PREFECT_API_URL until the process is ended; one such process is enough.

    Args:
        state_file: Where deliveries are kept until they have been taken.
    """
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415  reads the environment on import

    from deployments.deliveries.delivery_queue import DeliveryQueue  # noqa: PLC0415
    from deployments.deliveries.service import DeliveryService  # noqa: PLC0415

    if not PREFECT_API_URL.value():
        sys.stderr.write("PREFECT_API_URL is not set: the Prefect server whose events are delivered.\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(DeliveryService(DeliveryQueue(state_file)).run())
    except ExportError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    keep_streams_open()
    reach_loopback_directly(os.environ)
    sys.exit(app(sys.argv[1:]))
