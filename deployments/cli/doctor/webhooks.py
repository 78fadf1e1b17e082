"""Outgoing webhooks: what waits for them, and what was given up."""

from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import PrefectClient

from blocks.errors import ConfigurationError
from deployments.deliveries.event_reader import read_webhooks
from deployments.deliveries.report import ARTIFACT, FAILED_EVENT

RECENT = timedelta(days=7)


async def check_webhooks(client: PrefectClient) -> str:
    """What the server shows of deliveries.

    Raises:
        ConfigurationError: Some were given up within a week, or wait for a webhook that does not take them.
    """
    names = [saved.name for saved in await read_webhooks(client)]
    if not names:
        return "No Outgoing Webhook is saved; events go to no other program."
    since = (datetime.now(UTC) - RECENT).isoformat()
    wanted = {"event": {"name": [FAILED_EVENT]}, "occurred": {"since": since}, "order": "DESC"}
    found = (await client.request("POST", "/events/filter", json={"filter": wanted, "limit": 1})).json()
    if found["total"]:
        last = found["events"][0]["payload"]
        raise ConfigurationError(
            f"{found['total']} deliveries were given up within a week, the last one to {last['webhook']}: "
            f"{last['error']}. Correct the receiver or the block; the events {FAILED_EVENT} name each of them."
        )
    latest = {"artifacts": {"key": {"any_": [ARTIFACT]}}, "limit": 1, "sort": "UPDATED_DESC"}
    shown = (await client.request("POST", "/artifacts/filter", json=latest)).json()
    if shown and "waiting" in shown[0]["description"]:
        raise ConfigurationError(f"Deliveries wait: {shown[0]['description']}. Correct the receiver or the block.")
    return f"Nothing was given up or waits for {', '.join(names)}. python -m deployments.deliveries sends to them."
