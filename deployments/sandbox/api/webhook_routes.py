"""The Webhooks API v2.

https://developer.bentley.com/apis/webhooks-v2/operations/
"""

import secrets
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deployments.sandbox.api.responses import (
    JSON,
    Detail,
    RefusedError,
    caller_of,
    check_access,
    forbidden,
    read_body,
    sandbox_of,
)
from deployments.sandbox.clock import precise
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.webhooks import Webhook

CREATE_CODE = "InvalidCreateWebhookRequest"
UPDATE_CODE = "InvalidUpdateWebhookRequest"
SHORTEST_SECRET = 32
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


async def create_webhook(request: Request) -> JSONResponse:
    """Create an inactive webhook."""
    owner = _service(request)
    body = _checked(await read_body(request, CREATE_CODE), CREATE_CODE, {"callbackUrl", "scope", "eventTypes"})
    scope_id = body.get("scopeId")
    if body["scope"] == "iTwin":
        if not isinstance(scope_id, str):
            raise _refused(CREATE_CODE, "scopeId")
        check_access(request, scope_id.lower())
    state = sandbox_of(request)
    now = state.clock.now()
    webhook = Webhook(
        id=str(uuid4()),
        owner=owner,
        callback_url=body["callbackUrl"],
        scope=body["scope"],
        scope_id=scope_id.lower() if isinstance(scope_id, str) else None,
        secret=body.get("secret") or secrets.token_hex(SHORTEST_SECRET),
        event_types=body["eventTypes"],
        created_at=now,
        modified_at=now,
    )
    state.webhooks.known[webhook.id] = webhook
    return JSONResponse(_shown(webhook) | {"secret": webhook.secret}, 201)


async def list_webhooks(request: Request) -> JSONResponse:
    """The webhooks of the caller."""
    caller = caller_of(request).client_id
    found = [webhook for webhook in list(sandbox_of(request).webhooks.known.values()) if webhook.owner == caller]
    return JSONResponse({"webhooks": [_shown(webhook) for webhook in found]})


async def get_webhook(request: Request) -> JSONResponse:
    """One webhook of the caller."""
    return JSONResponse(_shown(_find(request)))


async def update_webhook(request: Request) -> JSONResponse:
    """Activate, deactivate or change a webhook."""
    webhook = _find(request)
    body = _checked(await read_body(request, UPDATE_CODE), UPDATE_CODE, set())
    webhook.active = body.get("active", webhook.active)
    webhook.callback_url = body.get("callbackUrl", webhook.callback_url)
    webhook.secret = body.get("secret", webhook.secret)
    webhook.event_types = body.get("eventTypes", webhook.event_types)
    webhook.modified_at = sandbox_of(request).clock.now()
    return JSONResponse(_shown(webhook))


async def delete_webhook(request: Request) -> Response:
    """Delete a webhook."""
    del sandbox_of(request).webhooks.known[_find(request).id]
    return Response(status_code=204)


def _service(request: Request) -> str:
    caller = caller_of(request)
    if caller.client_id != IDENTITY.service.id:
        raise forbidden()
    return caller.client_id


def _find(request: Request) -> Webhook:
    webhook = sandbox_of(request).webhooks.known.get(str(request.path_params["webhook_id"]).lower())
    if webhook is None or webhook.owner != caller_of(request).client_id:
        raise RefusedError(404, "WebhookNotFound", "Webhook is not available.")
    return webhook


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in LOOPBACK))


def _are_events(value: object) -> bool:
    events = cast("list[object]", value) if isinstance(value, list) else []
    return bool(events) and all(isinstance(event, str) for event in events)


_ACCEPTABLE: dict[str, Callable[[object], bool]] = {
    "callbackUrl": _is_address,
    "scope": lambda value: value in ("Account", "iTwin"),
    "scopeId": lambda value: value is None or isinstance(value, str),
    "secret": lambda value: isinstance(value, str) and len(value) >= SHORTEST_SECRET,
    "eventTypes": _are_events,
    "active": lambda value: isinstance(value, bool),
}


def _checked(body: JSON, code: str, required: set[str]) -> JSON:
    for name in required - body.keys():
        raise _refused(code, name)
    for name, is_acceptable in _ACCEPTABLE.items():
        if name in body and not is_acceptable(body[name]):
            raise _refused(code, name)
    return body


def _refused(code: str, target: str) -> RefusedError:
    detail = Detail("InvalidRequestBody", f"{target} is not acceptable.", target)
    return RefusedError(422, code, "Request rejected.", detail)


def _shown(webhook: Webhook) -> JSON:
    return {
        "id": webhook.id,
        "scope": webhook.scope,
        "scopeId": webhook.scope_id,
        "active": webhook.active,
        "callbackUrl": webhook.callback_url,
        "eventTypes": webhook.event_types,
        "created": precise(webhook.created_at),
        "modified": precise(webhook.modified_at),
    }


ROUTES = [
    Route("/webhooks", create_webhook, methods=["POST"]),
    Route("/webhooks", list_webhooks),
    Route("/webhooks/{webhook_id}", get_webhook),
    Route("/webhooks/{webhook_id}", update_webhook, methods=["PATCH"]),
    Route("/webhooks/{webhook_id}", delete_webhook, methods=["DELETE"]),
]
