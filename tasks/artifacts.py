"""Tables that people see in the Prefect UI; what they show is also in reports, so no export depends on them."""

from collections.abc import Sequence
from typing import Any

import httpx
from prefect import get_run_logger
from prefect.artifacts import acreate_table_artifact

from blocks.errors import without_secrets
from blocks.prefect_server.availability import while_it_answers


async def show_table(rows: Sequence[dict[str, Any]], *, key: str, description: str) -> None:
    """Create a table artifact; where the Prefect server does not take it, the log says so and the export goes on."""
    try:
        await while_it_answers(acreate_table_artifact(table=list(rows), key=key, description=description))
    except httpx.HTTPError as error:
        reason = without_secrets(str(error)) or type(error).__name__
        get_run_logger().warning("The Prefect server did not take the artifact “%s” (%s).", key, reason)
