"""The request log, without secrets."""

import re

from starlette.datastructures import Headers
from starlette.types import Scope

from deployments.sandbox.state.entities import LoggedRequest
from deployments.sandbox.state.sandbox_state import SandboxState

_SECRETS = re.compile(r"((?:sig|code|code_verifier|refresh_token|client_secret)=)[^&]+", re.IGNORECASE)
_HIDDEN = {"authorization", "cookie"}


def log_request(state: SandboxState, scope: Scope) -> LoggedRequest:
    """Log a request; its status is set later."""
    headers = Headers(scope=scope)
    entry = LoggedRequest(
        number=state.next_number("request"),
        at=state.clock.now(),
        method=scope["method"],
        path=scope["path"],
        query=_without_secrets(scope["query_string"].decode("latin-1")),
        headers={name: _without_secrets(value) for name, value in headers.items() if name not in _HIDDEN},
        had_token="authorization" in headers,
    )
    state.log.append(entry)
    return entry


def _without_secrets(text: str) -> str:
    """A query, or a header that may name a signed URL (`x-ms-copy-source`)."""
    return _SECRETS.sub(r"\1REDACTED", text)
