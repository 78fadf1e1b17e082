"""A receiver of notices and webhooks on loopback, which answers as a test says."""

import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, Self

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Keeps what arrives; the server says how to answer."""

    server: "Receiver"  # type: ignore[assignment]
    content: bytes = b""

    def do_POST(self) -> None:
        """One request."""
        self.content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append((dict(self.headers), self.content))
        self.server.answer(self)

    def reply(self, status: int, **headers: str) -> None:
        """Answer with a status."""
        if status == 200:
            self.server.taken.append(self.content)  # before the other side can know
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name in the base class
        """Leave the test's output alone."""


class Receiver(ThreadingHTTPServer):
    """Use as a context manager."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.taken: list[bytes] = []
        self.answer: Answer = lambda handler: handler.reply(200)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def arrived(self, least: int, seconds: float = 60) -> list[dict[str, Any]]:
        """The bodies, once there are so many."""
        end = time.monotonic() + seconds
        while len(self.requests) < least and time.monotonic() < end:
            time.sleep(0.1)
        return [json.loads(content) for _, content in self.requests]

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shutdown()
        self.server_close()
