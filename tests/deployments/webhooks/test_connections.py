"""The receiver as a process of its own: what unfinished requests and forged headers do to it."""

import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from deployments.local.waiting import answers, free_port
from deployments.webhooks.protocol import HEAD_SECONDS, MOST_UNFINISHED
from tests.deployments.local.stack import wait_for
from tests.deployments.webhooks.deliveries import SECRET, delivery, signed
from tests.processes.server import REPOSITORY

HALF_A_HEAD = b"POST /webhooks/itwin HTTP/1.1\r\nHost: r"
FILES = 400  # that the receiver may have open


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the receiver writes."""
    return tmp_path_factory.mktemp("receiver") / "log"


@pytest.fixture(scope="module")
def receiver(log: Path) -> Generator[str]:
    """Where deliveries go."""
    url = f"http://127.0.0.1:{free_port()}"
    command = ["prlimit", f"--nofile={FILES}", sys.executable, "-m", "deployments.webhooks"]
    environment = os.environ | {"ITWIN_WEBHOOK_SECRET": SECRET.get_secret_value(), "PYTHONPATH": str(REPOSITORY)}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--port", url.rpartition(":")[2]], env=environment, cwd=log.parent, stdout=file, stderr=file
        )
    wait_for(lambda: answers(f"{url}/health") or None, "the receiver")
    yield f"{url}/webhooks/itwin"
    process.terminate()
    process.wait(30)


def half_open(receiver: str, stack: ExitStack) -> socket.socket:
    """A connection that sends the beginning of a request and no more."""
    address = urlsplit(receiver)
    connection = stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=30))
    connection.sendall(HALF_A_HEAD)
    return connection


def is_ended(connection: socket.socket) -> bool:
    """True if the receiver has ended a connection."""
    connection.setblocking(False)  # noqa: FBT003  the standard library wants it so
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def test_unfinished_requests_do_not_hold_the_receiver(receiver: str) -> None:
    """Beside 800 half-open requests, twice what it may have open, a delivery is taken; the oldest are ended."""
    with ExitStack() as stack:
        connections = [half_open(receiver, stack) for _ in range(800)]
        body = delivery("m-unfinished")
        answer = httpx.post(receiver, content=body, headers=signed(body), timeout=30)
        assert answer.json() == {"status": "taken"}
        assert sum(is_ended(connection) for connection in connections) >= len(connections) - MOST_UNFINISHED
        assert is_ended(connections[0])


def test_a_head_that_does_not_arrive_ends_its_connection(receiver: str) -> None:
    """A connection that dribbles its head is ended after a few seconds."""
    with ExitStack() as stack:
        connection = half_open(receiver, stack)
        connection.settimeout(HEAD_SECONDS * 6)
        assert connection.recv(1) == b""


def test_a_forged_sender_writes_no_control_characters(receiver: str, log: Path) -> None:
    """What X-Forwarded-For says is logged if it is an address, and in no other case."""
    for sender in ("\x1b[31mred\x1b[0m", "203.0.113.7"):
        encoded = [(b"X-Forwarded-For", sender.encode()), (b"Signature", b"sha256=0")]
        assert httpx.post(receiver, content=b"{}", headers=encoded, timeout=60).status_code in {400, 401}
    text = log.read_text()
    assert "\x1b" not in text
    assert "Refused a delivery from 203.0.113.7 with 401" in text
