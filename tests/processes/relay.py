"""A relay in front of a server, for a server that is gone for one client and there for all the others."""

import contextlib
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager


class Relay:
    """Passes bytes between its own port and another one of loopback, until it is cut or silenced.

    Attributes:
        passed: Bytes so far, in both directions.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._is_silent = False
        self.passed = 0
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Close every connection and refuse new ones, as if the server's process had ended."""
        for each in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def silence(self) -> None:
        """Keep every connection, accept new ones, and answer nothing, as if the server's process stood still."""
        self._is_silent = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                self.passed += len(piece)
                if not self._is_silent:
                    sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_relay(target: int) -> Generator[Relay]:
    """A relay for as long as the block lasts."""
    relay = Relay(target)
    try:
        yield relay
    finally:
        relay.cut()
