"""Deliveries as the platform makes them, and worse ones."""

import hmac
import json
from typing import Any

from pydantic import SecretStr

SECRET = SecretStr("a-secret-of-thirty-two-characters!")
IMODEL = "81164cf7-69cf-5639-8248-55c4350919e6"
PRIVATE = "private-words-of-the-body"


def delivery(message_id: str = "m-1", changeset_id: str = "c-1", **members: Any) -> bytes:
    """The raw body of a delivery."""
    return json.dumps(
        {
            "content": {"imodelId": IMODEL, "changesetId": changeset_id, "changesetIndex": "12", "note": PRIVATE},
            "eventType": "iModels.changesReady.v1",
            "enqueuedDateTime": "3/2/2026 8:07:01 PM",
            "iTwinId": "23b8b24c-3edc-5c02-827e-22a6d63f6d7e",
            "messageId": message_id,
            "webhookId": "6481f77e-8887-59b3-b506-faa5c6154a4e",
            **members,
        }
    ).encode()


def signed(body: bytes, secret: SecretStr = SECRET) -> dict[str, str]:
    """The header that belongs to a body."""
    return {"Signature": "sha256=" + hmac.new(secret.get_secret_value().encode(), body, "sha256").hexdigest()}
