"""The sandbox on a port of this machine: for the command line, for demos, for tests with real sockets."""

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Literal, TextIO

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from deployments.sandbox.api.control_key import ControlKeyMiddleware
from deployments.sandbox.api.middleware import CUT
from deployments.sandbox.app import create_app
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED, USER_CONTAINER, seeded_state

HOST = "127.0.0.1"
_BACKLOG = 2048


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that serves."""

    url: str
    state: SandboxState

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point `itwin-export` at this sandbox, as the service application."""
        return environment(self.url, self.state)

    @property
    def user_environment(self) -> dict[str, str]:
        """The same for the user, who signed in once and has not consented yet."""
        return environment(self.url, self.state, "User")

    def signed_url(
        self, container: str, blob: str | None = None, *, permissions: str = "rcw", seconds: float = 3600
    ) -> str:
        """A SAS URL of the blob account as the user's own storage; creates the container if there is none."""
        self.state.blobs.create_container(container)
        path = self.state.blobs.signed_path(container, blob, permissions=permissions, seconds=seconds)
        return self.url + path


def environment(
    url: str, state: SandboxState, authentication_type: Literal["Service", "User"] = "Service"
) -> dict[str, str]:
    """`ITWIN_*` variables for this sandbox."""
    common = {
        "ITWIN_API_URL": url,
        "ITWIN_ISSUER_URL": url,
        "ITWIN_AUTHENTICATION_TYPE": authentication_type,
        "ITWIN_BLOB_CONNECTION_STRING": state.blobs.connection_string(url),
        "ITWIN_BLOB_CONTAINER": USER_CONTAINER,
    }
    if authentication_type == "User":
        return common | {"ITWIN_CLIENT_ID": IDENTITY.native.id, "ITWIN_REFRESH_TOKEN": IDENTITY.refresh_token}
    service = IDENTITY.service
    return common | {"ITWIN_CLIENT_ID": service.id, "ITWIN_CLIENT_SECRET": service.secret or ""}


def serve(
    port: int = 0,
    *,
    host: str = HOST,
    state: SandboxState | None = None,
    options: Options | None = None,
    output: TextIO | None = None,
    control_key: str | None = None,
) -> None:
    """Serve until interrupted; writes the address and the variables to `output` (standard output).

    With a control key, the control API answers only who sends it as a bearer token.
    """
    state = state or seeded_state(options=options)
    listener = _listen(host, port)
    url = _url(listener)
    server = _server(state, control_key)
    print(_greeting(url, state), file=output or sys.stdout, flush=True)
    with contextlib.suppress(KeyboardInterrupt), listener:
        server.run(sockets=[listener])


@contextlib.contextmanager
def running_sandbox(
    state: SandboxState | None = None, *, options: Options | None = None, port: int = 0, host: str = HOST
) -> Generator[RunningSandbox]:
    """Serve from a thread with its own event loop for as long as the block lasts."""
    state = state or seeded_state(options=options)
    listener = _listen(host, port)
    server = _server(state)
    thread = threading.Thread(target=_serve_in_thread, args=(server, listener), name="sandbox", daemon=True)
    thread.start()
    try:
        # The socket listens already: a client that comes early waits in the backlog.
        yield RunningSandbox(_url(listener), state)
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


class _CuttableProtocol(H11Protocol):
    """Lets the application end its connection, which ASGI cannot express."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio leaves this out for a socket made elsewhere; without it every answer takes 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        inner: ASGIApp = self.app

        def cut(flush: bool) -> None:
            (transport.close if flush else transport.abort)()

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[CUT] = cut
            await inner(scope, receive, send)

        self.app: Any = app


def _server(state: SandboxState, control_key: str | None = None) -> uvicorn.Server:
    app = create_app(state)
    config = uvicorn.Config(
        ControlKeyMiddleware(app, control_key) if control_key else app,
        http=_CuttableProtocol,
        ws="none",
        loop="asyncio",
        log_level="error",
        access_log=False,
        log_config=None,
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def _serve_in_thread(server: uvicorn.Server, listener: socket.socket) -> None:
    asyncio.run(server.serve(sockets=[listener]))


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.create_server((host, port), backlog=_BACKLOG)
    listener.setblocking(False)  # noqa: FBT003 - the standard library wants it so
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{host}:{port}"


def _greeting(url: str, state: SandboxState) -> str:
    lines = [f"Sandbox of the iTwin Platform: {url}", "", *_assignments(environment(url, state)), ""]
    names = {value: key for key, value in vars(SEEDED).items()}
    lines.append(f"iTwin    {SEEDED.itwin}")
    lines += [f"iModel   {m.id}  {m.name}" for m in state.imodels.values() if m.id in names]
    return "\n".join([*lines, "", "Ctrl-C stops it."])


def _assignments(variables: dict[str, str]) -> list[str]:
    return [f"{name}='{value}'" for name, value in variables.items()]
