"""Webhooks API v2, for service applications only.

Vendor page: https://developer.bentley.com/apis/webhooks-v2/operations/.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pydantic import Field, SecretStr

from blocks.itwin.client import V2_JSON, ItwinClient, list_of_objects, model_from
from blocks.itwin.models import PlatformModel


class Webhook(PlatformModel):
    """A webhook subscription; the platform returns `secret` only when it is created."""

    id: str
    active: bool = False
    callback_url: str = ""
    scope: str = ""
    scope_id: str | None = None
    event_types: tuple[str, ...] = ()
    secret: SecretStr | None = Field(default=None, repr=False)


@dataclass(frozen=True)
class WebhooksApi:
    """Client for the caller's webhook subscriptions."""

    client: ItwinClient

    async def create_webhook(
        self, callback_url: str, *, itwin_id: str, event_types: Sequence[str], secret: SecretStr
    ) -> Webhook:
        """Create an inactive webhook for events of an iTwin; call `activate_webhook` to start deliveries."""
        what = f"Create a webhook for iTwin {itwin_id}"
        body = {
            "callbackUrl": callback_url,
            "scope": "iTwin",
            "scopeId": itwin_id,
            "eventTypes": list(event_types),
            "secret": secret.get_secret_value(),
        }
        answer = await self.client.post("/webhooks", body, what=what, accept=V2_JSON)
        return model_from(Webhook, answer.body, what)

    async def activate_webhook(self, webhook_id: str, *, event_types: Sequence[str], secret: SecretStr) -> Webhook:
        """Start deliveries of these events, signed with this secret."""
        what = f"Activate webhook {webhook_id}"
        body = {"active": True, "eventTypes": list(event_types), "secret": secret.get_secret_value()}
        answer = await self.client.call("PATCH", _path(webhook_id), what=what, headers={"Accept": V2_JSON}, json=body)
        return model_from(Webhook, answer.body, what)

    async def list_webhooks(self) -> list[Webhook]:
        """List all webhooks of the caller."""
        what = "List the webhooks"
        page = await self.client.get("/webhooks", what=what, accept=V2_JSON)
        return [model_from(Webhook, item, what) for item in list_of_objects(page, "webhooks", what)]

    async def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook."""
        what = f"Delete webhook {webhook_id}"
        await self.client.call("DELETE", _path(webhook_id), what=what, headers={"Accept": V2_JSON})


def _path(webhook_id: str) -> str:
    return f"/webhooks/{quote(webhook_id, safe='')}"
