"""`python -m deployments.local.automations`: the automations of `make up`, with notices to its own receiver."""

import asyncio
import os
import sys
from typing import Any

from prefect import get_client
from prefect.blocks.notifications import CustomWebhookNotificationBlock

from deployments.automations.automation_file import read_automations
from deployments.automations.server_automations import apply_automations
from deployments.output_streams import keep_streams_open
from deployments.printed_lines import print_lines

BLOCK = "itwin-notices"
ADDRESS = "ITWIN_NOTICES_ADDRESS"
"""Variable with the address of the receiver; it holds a key, which an argument would show to every user."""


async def set_up(address: str) -> str:
    """Apply the automations with notices to the block that a person has saved, else to one of the receiver."""
    async with get_client() as client:
        wanted = {"block_documents": {"name": {"any_": [BLOCK]}}}
        saved: list[dict[str, Any]] = (await client.request("POST", "/block_documents/filter", json=wanted)).json()
        slugs = [str(one["block_type"]["slug"]) for one in saved if not _is_of_the_receiver(one["data"])]
        if not slugs:
            notice = {"subject": "{{subject}}", "body": "{{body}}"}
            block = CustomWebhookNotificationBlock(
                name=BLOCK, url=address, json_data=notice, headers=None, cookies=None
            )
            await block.asave(BLOCK, overwrite=True)
        notify = f"{slugs[0] if slugs else block_slug()}/{BLOCK}"
        states = await apply_automations(client, read_automations(None, notify))
    return f"Automations, with notices to {notify}: {', '.join(state.described.name for state in states)}."


def block_slug() -> str:
    """The type of block that calls the receiver."""
    return CustomWebhookNotificationBlock.get_block_type_slug()


def _is_of_the_receiver(data: dict[str, Any]) -> bool:
    return str(data.get("url", "")).startswith("http://127.0.0.1:")


def main() -> int:
    """Say what was done; 2 when the server refuses."""
    return print_lines(lambda: [asyncio.run(set_up(os.environ[ADDRESS]))])


if __name__ == "__main__":
    keep_streams_open()
    sys.exit(main())
