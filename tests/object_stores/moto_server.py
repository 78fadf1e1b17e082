"""A real S3 of another project on loopback: moto's server, with conditional writes and multipart uploads."""

import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from urllib.request import Request, urlopen

BUCKET = "exports"
_SECONDS = 60


@contextmanager
def running_moto() -> Generator[str]:
    """Serve from memory, with one bucket, for as long as the block lasts; the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _create_bucket(url)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def _create_bucket(url: str) -> None:
    """Create the bucket as soon as the server answers."""
    until = time.monotonic() + _SECONDS
    while True:
        try:
            with urlopen(Request(f"{url}/{BUCKET}", method="PUT")):  # noqa: S310  our own server
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
