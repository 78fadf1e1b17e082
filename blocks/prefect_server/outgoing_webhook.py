"""The `Outgoing Webhook` block: where the events of exports are sent, and what they are signed with."""

from typing import Any, ClassVar

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, field_validator

from blocks.urls import host_of

SHORTEST_SECRET = 32


class OutgoingWebhook(Block):
    """An address that gets the events of exports, each signed with a secret, until it has taken them.

    Example:
        Save one:
        ```python
        from blocks.prefect_server.outgoing_webhook import OutgoingWebhook

        OutgoingWebhook(url="https://example.com/hook", secret="at least 32 random characters").save("BLOCK_NAME")
        webhook = OutgoingWebhook.load("BLOCK_NAME")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Outgoing Webhook"
    _block_type_slug: ClassVar[str | None] = "outgoing-webhook"
    _description: ClassVar[str | None] = (
        "An address that gets the events of exports, each signed with a secret, until it has taken them."
    )
    _documentation_url: ClassVar[Any] = "https://developer.bentley.com/apis/webhooks-v2/overview/"
    _logo_url: ClassVar[Any] = (
        "https://cdn.sanity.io/images/3ugk85nk/production/54e3fa7e00197a4fbd1d82ed62494cb58d08c96a-250x250.png"
    )

    url: SecretStr = Field(title="Address", description="https://…; http:// and addresses of the own network work too.")
    secret: SecretStr = Field(
        title="Secret", description="At least 32 characters; Signature: sha256=… is the HMAC of the body with it."
    )
    events: tuple[str, ...] = Field(
        default=("itwin.export.published",),
        title="Events",
        description="Names of the events to send, as itwin.export.published; one with a dot at its end stands for all "
        "that begin so, as itwin.export.",
    )
    allow_refused_addresses: bool = Field(
        default=False,
        title="Allow refused addresses",
        description="Send to link-local addresses and metadata services of clouds too.",
    )

    @field_validator("url")
    @classmethod
    def _require_http(cls, value: SecretStr) -> SecretStr:
        url = value.get_secret_value()
        if not url.startswith(("https://", "http://")) or not host_of(url):
            raise ValueError("the address has to begin with https:// or http:// and name a host")
        return value

    @field_validator("secret")
    @classmethod
    def _require_length(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"the secret needs at least {SHORTEST_SECRET} characters")
        return value

    def wants(self, event: str) -> bool:
        """Whether events of that name are sent."""
        return any(event == one or (one.endswith(".") and event.startswith(one)) for one in self.events)
