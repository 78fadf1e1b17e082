"""`python -m deployments.local.prefect_server`: Prefect's server, for those only who have its password.

Loopback is open to every user of the machine and to every page in a browser. Therefore: the password of
`PREFECT_SERVER_API_AUTH_STRING`, no origin but its own, no Host but its names, files readable by their owner only.
"""

import argparse
import asyncio
import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from deployments.local.busy_database import BusyDatabaseMiddleware
from deployments.local.encryption_key import EncryptionKeyMiddleware

HOST = "127.0.0.1"
NAMES = [HOST, "localhost"]
STOP_SECONDS = 3.0
"""Time to answer what was asked before, once the command is gone."""


def main(arguments: Sequence[str]) -> None:
    """Serve until interrupted or, with `--until-stdin-closes`, until the process at its other end is gone."""
    options = _parser().parse_args(arguments)
    closed = threading.Event()
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_stdin, args=(closed,), daemon=True).start()
    os.umask(0o077)
    with _listen(options.host, options.port) as listener:
        names = [*NAMES, *options.name]
        origins = [f"http://{name}:{listener.getsockname()[1]}" for name in names]
        os.environ["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] = ",".join(origins)
        server = _Server(_config(names, options.key_file), origins[0], closed)
        asyncio.run(server.serve(sockets=[listener]))


class _Server(uvicorn.Server):
    """Says on standard output where it serves, and ends once standard input is closed."""

    def __init__(self, config: uvicorn.Config, url: str, closed: threading.Event) -> None:
        super().__init__(config)
        self._url = url
        self._closed = closed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._url, flush=True)  # noqa: T201  for whoever started this process
            os.dup2(2, 1)  # who started it reads one line

    async def on_tick(self, counter: int) -> bool:
        return await super().on_tick(counter) or self._closed.is_set()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="deployments.local.prefect_server")
    parser.add_argument("--host", default=HOST, help="Address to listen on.")
    parser.add_argument("--port", type=int, default=0, help="Port to listen on; 0 takes a free one.")
    parser.add_argument("--name", action="append", default=[], help="A host name of this server besides loopback's.")
    parser.add_argument("--until-stdin-closes", action="store_true", help="End when standard input does.")
    parser.add_argument("--key-file", type=Path, help="Where the key that blocks are encrypted with is kept.")
    return parser


def _end_with_stdin(closed: threading.Event) -> None:
    """The other end of the pipe closes when its process ends, however that ends."""
    sys.stdin.buffer.read()
    closed.set()
    time.sleep(STOP_SECONDS)
    os._exit(1)


def _listen(host: str, port: int) -> socket.socket:
    # With the protocol named, asyncio sends small answers at once instead of 40 ms later.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if os.name != "nt":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def _config(names: list[str], key_file: Path | None) -> uvicorn.Config:
    from prefect.server.api.server import create_app  # noqa: PLC0415  it reads the environment when it is imported
    from prefect.settings import get_current_settings  # noqa: PLC0415

    settings = get_current_settings()
    if settings.server.api.auth_string is None:
        raise SystemExit(
            "PREFECT_SERVER_API_AUTH_STRING is not set: the password that clients must know, as user:password."
        )
    settings.home.mkdir(parents=True, exist_ok=True)
    settings.home.chmod(0o700)  # the database, results and profiles: secrets of blocks among them
    app = TrustedHostMiddleware(BusyDatabaseMiddleware(create_app(final=True)), allowed_hosts=names)
    return uvicorn.Config(
        EncryptionKeyMiddleware(app, key_file) if key_file else app,
        log_level=settings.server.logging_level.lower(),
        lifespan="on",
        proxy_headers=False,
        timeout_keep_alive=settings.server.api.keepalive_timeout,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main(sys.argv[1:])
