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
        query=_SECRETS.sub(r"\1REDACTED", scope["query_string"].decode("latin-1")),
        headers={name: value for name, value in headers.items() if name not in _HIDDEN},
        had_token="authorization" in headers,
    )
    state.log.append(entry)
    return entry
