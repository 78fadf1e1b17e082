"""Pages that people see in the Prefect UI; what they say is also in reports, so no export depends on them."""

from typing import Any

import httpx
from prefect import get_client, get_run_logger
from prefect.artifacts import acreate_markdown_artifact
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun, State

from blocks.errors import without_secrets
from blocks.prefect_server.availability import while_it_answers


async def show_page(page: str, *, key: str, description: str) -> None:
    """Create a markdown artifact; where the Prefect server does not take it, the log says so and the export goes on."""
    try:
        await while_it_answers(acreate_markdown_artifact(page, key=key, description=description))
    except httpx.HTTPError as error:
        reason = without_secrets(str(error)) or type(error).__name__
        get_run_logger().warning("The Prefect server did not take the artifact “%s” (%s).", key, reason)


async def show_page_of(flow_run: FlowRun, page: str, *, key: str, description: str) -> None:
    """Create a markdown artifact of a flow run that has ended, for hooks, which may run in another process."""
    created = ArtifactCreate(key=key, type="markdown", description=description, data=page, flow_run_id=flow_run.id)
    async with get_client() as client:
        await client.create_artifact(created)


def how_it_ended(state: State[Any]) -> str:
    """The end of a flow run in words, for the state that a hook gets."""
    return "crashed" if state.is_crashed() else "was cancelled"
