"""Waiting for what was just started."""

import socket
import time
from collections.abc import Callable

import httpx

from blocks.errors import ConfigurationError

PATIENCE_SECONDS = 120.0


def wait_until(is_so: Callable[[], bool], what: str, *, still_there: Callable[[], None]) -> None:
    """Look until it is so.

    Raises:
        ConfigurationError: It never was.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        still_there()
        if time.monotonic() > deadline:
            raise ConfigurationError(f"{what} did not start within {PATIENCE_SECONDS:.0f} seconds.")
        time.sleep(0.2)


def answers(url: str, password: str | None = None) -> bool:
    """True if a GET of something on this machine succeeds; the password is of the form `user:password`."""
    auth = httpx.BasicAuth(*password.split(":", 1)) if password else None
    try:
        return httpx.get(url, timeout=5, auth=auth, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def free_port(preferred: int = 0) -> int:
    """The preferred port of loopback if nobody has it, else any."""
    for port in (preferred, 0):
        try:
            with socket.create_server(("127.0.0.1", port)) as listener:
                return int(listener.getsockname()[1])
        except OSError:
            continue
    raise ConfigurationError("There is no free port on this machine.")
