"""CORS headers for browser clients such as CesiumJS."""

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Send

from deployments.sandbox.state.options import Options

_EVERY = ("*",)


class SandboxCorsMiddleware(CORSMiddleware):
    """Lets every origin read every answer, errors included unless the option says otherwise."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        super().__init__(app, allow_origins=_EVERY, allow_methods=_EVERY, allow_headers=_EVERY, expose_headers=_EVERY)
        self._options = options

    async def send(self, message: Message, send: Send, request_headers: Headers) -> None:  # type: ignore[override]
        """Add the headers to the start of an answer."""
        if message["type"] == "http.response.start" and message["status"] >= 400 and not self._options.cors_on_errors:
            await send(message)
            return
        await super().send(message, send, request_headers)
