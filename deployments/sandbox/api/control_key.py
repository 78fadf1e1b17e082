"""A key for the control API, for a sandbox that others on the machine can reach too."""

import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class ControlKeyMiddleware:
    """Answers requests of the control API only if they carry the key as a bearer token; all others as usual."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._expected = f"Bearer {key}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of the ASGI server."""
        if scope["type"] == "http" and scope["path"].startswith("/sandbox/"):
            given = Headers(scope=scope).get("authorization", "").encode()
            if not hmac.compare_digest(given, self._expected):
                refusal = JSONResponse({"error": "The control API needs its key: Authorization: Bearer …"}, 401)
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)
