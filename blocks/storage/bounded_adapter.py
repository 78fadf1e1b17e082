"""An adapter of requests whose answers have bounded sizes and times, and that trusts what `blocks.network` trusts."""

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from io import BytesIO
from socket import SHUT_RDWR
from typing import Any, cast

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from blocks.bounds import LONGEST_ANSWER
from blocks.network import tls_context

_PIECE = 64 * 1024


class BoundedAdapter(HTTPAdapter):
    """An adapter with one TLS context; requests would otherwise also trust the certificates of certifi.

    Args:
        seconds: For all requests through this adapter together, from now on.
        seconds_each: For each of them.
    """

    def __init__(self, seconds: float, seconds_each: float = math.inf) -> None:
        self._tls = tls_context()
        self._ends_at = time.monotonic() + seconds
        self._seconds_each = seconds_each
        self._connections: list[Any] = []
        super().__init__(max_retries=0)

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """Make the pools of hosts that are reached directly."""
        super().init_poolmanager(*arguments, **options, ssl_context=self._tls)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The pools of hosts behind a proxy."""
        return super().proxy_manager_for(proxy, **options, ssl_context=self._tls, proxy_ssl_context=self._tls)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Keep the verification settings of the TLS context."""

    def get_connection_with_tls_context(self, *arguments: Any, **options: Any) -> Any:
        """The pool of connections to a host."""
        pool: Any = super().get_connection_with_tls_context(*arguments, **options)
        kind = cast("Any", type(pool)).ConnectionCls
        pool.ConnectionCls = partial(self._new_connection, kind)
        return pool

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Send one request and read its answer.

        Raises:
            requests.RequestException: There is no answer, or it is too long, or it does not end in time.
        """
        seconds = min(self._seconds_each, self._ends_at - time.monotonic())
        if seconds <= 0:
            raise requests.ConnectTimeout("no answer came in time")
        cut = threading.Timer(seconds, self._cut)
        cut.daemon = True
        cut.start()
        try:
            return self._whole(super().send(*arguments, **{**options, "stream": True, "timeout": seconds}))
        except requests.RequestException:
            self._require_time()  # what a connection says that was cut is misleading
            raise
        finally:
            cut.cancel()

    def _whole(self, response: requests.Response) -> requests.Response:
        try:
            response.raw = BytesIO(_content(response.raw))
        except HTTPError as error:
            raise requests.ConnectionError(error) from None
        self._require_time()  # http.client takes headers that were cut for whole ones
        return response

    def _require_time(self) -> None:
        if time.monotonic() >= self._ends_at:
            raise requests.ReadTimeout("no whole answer came in time") from None

    def _new_connection(self, make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        self._connections.append(connection := make(*arguments, **options))
        return connection

    def _cut(self) -> None:
        for connection in self._connections:
            with suppress(OSError, AttributeError):  # it is not connected, or not any more
                connection.sock.shutdown(SHUT_RDWR)


def _content(answer: Any) -> bytes:
    """The decoded body of an answer; its connection is free then, or closed if the body is too long."""
    content = bytearray()
    while piece := answer.read(_PIECE, decode_content=True):
        content += piece
        if len(content) > LONGEST_ANSWER:
            answer.close()
            raise requests.ConnectionError(f"the answer is longer than {LONGEST_ANSWER} bytes")
    answer.release_conn()
    return bytes(content)
