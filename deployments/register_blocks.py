"""Save the blocks `default` from the environment: `python -m deployments.register_blocks`.

It can be run as often as you like. Secrets go to the Prefect API and nowhere else.
"""

import asyncio
import sys

from blocks.itwin.credentials import ItwinCredentials
from blocks.prefect_server.outgoing_webhook import OutgoingWebhook
from blocks.settings import Settings, read_settings
from blocks.storage.acceptance.acceptance_rules import AcceptanceRules
from blocks.storage.export_destination import ExportDestination
from blocks.storage.user_blob_storage import UserBlobStorage
from deployments.output_streams import keep_streams_open
from deployments.printed_lines import print_lines

NAME = "default"


async def register_blocks(settings: Settings) -> list[str]:
    """Register the block types, and save what the environment holds; one sentence for each of those blocks."""
    await AcceptanceRules.aregister_type_and_schema()
    await ExportDestination.aregister_type_and_schema()
    await ItwinCredentials.aregister_type_and_schema()
    await OutgoingWebhook.aregister_type_and_schema()
    await UserBlobStorage.aregister_type_and_schema()
    return [await _save_credentials(settings), await _save_blob_storage(settings)]


async def _save_credentials(settings: Settings) -> str:
    if not settings.client_id:
        return "iTwin Credentials: ITWIN_CLIENT_ID is not set; the block type is registered, no block is saved."
    credentials = ItwinCredentials.from_settings(settings)
    saved = await _find_saved()
    if saved and saved.client_id == credentials.client_id and saved.refresh_token:
        # The saved token was renewed since; the one of the environment may be spent.
        credentials.refresh_token = saved.refresh_token
    await credentials.asave(NAME, overwrite=True)
    return f"iTwin Credentials: saved “{NAME}” ({credentials.authentication_type}, client {credentials.client_id})."


async def _find_saved() -> ItwinCredentials | None:
    try:
        return await ItwinCredentials.aload(NAME)
    except ValueError:  # Prefect's word for a block that is not there
        return None


async def _save_blob_storage(settings: Settings) -> str:
    if not (settings.blob_connection_string or settings.blob_output_sas_url):
        return "User Blob Storage: no ITWIN_BLOB_… variable is set; the block type is registered, no block is saved."
    await UserBlobStorage.from_settings(settings).asave(NAME, overwrite=True)
    return f"User Blob Storage: saved “{NAME}”."


def main() -> int:
    """Say what was done; 2 when the environment is not usable."""
    return print_lines(lambda: asyncio.run(register_blocks(read_settings())))


if __name__ == "__main__":
    keep_streams_open()
    sys.exit(main())
