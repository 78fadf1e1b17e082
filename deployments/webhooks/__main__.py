"""`python -m deployments.webhooks`: receive iTwin webhooks.

It speaks plain HTTP: put it behind what ends TLS for you, the platform delivers to HTTPS only. It asks for no password
and checks no Host, which is the proxy's: a delivery counts by its signature alone, and there is nothing to read.
"""

import logging
import os
import sys
from pathlib import Path

import uvicorn
from cyclopts import App
from pydantic import SecretStr

from blocks.errors import ConfigurationError
from blocks.settings import read_settings
from deployments.output_streams import keep_streams_open
from deployments.webhooks.inbox import Inbox, PendingChange
from deployments.webhooks.protocol import ACCEPTED_AT_ONCE, BoundedProtocol
from deployments.webhooks.receiver import Receiver
from tasks.imodel_events import emit_change

app = App(name="deployments.webhooks", help_format="plaintext", result_action="return_value")


@app.default
def serve(
    *,
    port: int = 3120,
    host: str = "127.0.0.1",
    state_file: Path = Path("webhooks.sqlite"),
    quiet_seconds: float = 60,
    longest_seconds: float = 600,
) -> None:
    """Receive iTwin webhooks and announce them as Prefect events. Needs ITWIN_WEBHOOK_SECRET and PREFECT_API_URL.

    Args:
        port: Port to listen on.
        host: Address to listen on.
        state_file: Where deliveries are written down.
        quiet_seconds: Changes of an iModel are announced once none has followed for so long,
        longest_seconds: but not later than so long after the first.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.umask(0o077)  # nobody else reads what was delivered
    inbox = Inbox(state_file, quiet_seconds=quiet_seconds, longest_seconds=longest_seconds)
    receiver = Receiver(inbox, _secret(), _announce)
    uvicorn.run(
        receiver.app(),
        host=host,
        port=port,
        http=BoundedProtocol,
        backlog=ACCEPTED_AT_ONCE,
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
    )


async def _announce(pending: PendingChange) -> None:
    await emit_change(
        pending.imodel_id,
        changeset_id=pending.changeset_id,
        named_version=pending.version_id,
        reason=pending.event_type,
    )


def _secret() -> SecretStr:
    secret = read_settings().webhook_secret
    if secret is None:
        raise ConfigurationError("ITWIN_WEBHOOK_SECRET is not set: the secret that the webhook was registered with.")
    return secret


def main() -> int:
    """Serve until interrupted; 2 when the environment is not usable."""
    try:
        app(sys.argv[1:])
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201  a command speaks
        return error.exit_code
    return 0


if __name__ == "__main__":
    keep_streams_open()
    sys.exit(main())
