"""Pages that people see in the Prefect UI; what they say is also in reports, so no export depends on them."""

import httpx
from prefect import get_run_logger
from prefect.artifacts import acreate_markdown_artifact

from blocks.errors import without_secrets
from blocks.prefect_server.availability import while_it_answers


async def show_page(page: str, *, key: str, description: str) -> None:
    """Create a markdown artifact; where the Prefect server does not take it, the log says so and the export goes on."""
    try:
        await while_it_answers(acreate_markdown_artifact(page, key=key, description=description))
    except httpx.HTTPError as error:
        reason = without_secrets(str(error)) or type(error).__name__
        get_run_logger().warning("The Prefect server did not take the artifact “%s” (%s).", key, reason)
