"""`itwin-export webhooks …` against the stand-in platform, and what is delivered then."""

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from deployments.cli.app import run
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from deployments.webhooks.message import is_signed, read_change

pytestmark = pytest.mark.usefixtures("prefect_server")
SECRET = "0123456789abcdef0123456789abcdef"
ADDRESS = "https://hooks.example/webhooks/itwin"


class Mailbox(BaseHTTPRequestHandler):
    """Keeps what is delivered; the first delivery meets an error."""

    got: ClassVar[list[tuple[bytes, str]]]

    def do_POST(self) -> None:
        """One delivery."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((body, self.headers["Signature"]))
        self.send_response(500 if len(self.got) == 1 else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class says so
        """Say nothing."""


@pytest.fixture
def mailbox() -> Generator[str]:
    """The address of a mailbox."""
    Mailbox.got = []
    with HTTPServer(("127.0.0.1", 0), Mailbox) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/webhooks/itwin"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch, sandbox: RunningSandbox) -> None:
    monkeypatch.setenv("ITWIN_WEBHOOK_SECRET", SECRET)
    sandbox.state.options.webhook_retry_seconds = 0.05


def test_a_webhook_is_registered_listed_and_removed(
    sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    """Registering twice, by id and by name, leaves one active webhook; it is listed without its secret, and removed."""
    for itwin in (SEEDED.itwin, "campus"):
        assert run(["webhooks", "register", ADDRESS, "--itwin-id", itwin]) == 0
    capsys.readouterr()
    assert run(["webhooks", "list", "--json"]) == 0
    printed = capsys.readouterr().out
    (webhook,) = json.loads(printed)
    assert (webhook["active"], webhook["callback_url"], webhook["scope_id"]) == (True, ADDRESS, SEEDED.itwin)
    assert SECRET not in printed
    assert run(["webhooks", "remove", webhook["id"]]) == 0
    assert not sandbox.state.webhooks.known


def test_a_wrong_request_is_explained(sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """An address without TLS and an unknown webhook end with 2 and a sentence; nothing is created."""
    assert run(["webhooks", "register", "http://hooks.example", "--itwin-id", SEEDED.itwin]) == 2
    assert "https:// addresses only" in capsys.readouterr().err
    assert run(["webhooks", "remove", "6481f77e-8887-59b3-b506-faa5c6154a4e"]) == 2
    assert "WebhookNotFound" in capsys.readouterr().err
    assert not sandbox.state.webhooks.known


def test_registering_needs_a_secret(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a secret nobody could tell deliveries from forgeries."""
    monkeypatch.delenv("ITWIN_WEBHOOK_SECRET")
    assert run(["webhooks", "register", ADDRESS, "--itwin-id", SEEDED.itwin]) == 2
    assert "ITWIN_WEBHOOK_SECRET is not set" in capsys.readouterr().err


def test_what_is_pushed_is_delivered_signed(sandbox: RunningSandbox, mailbox: str) -> None:
    """A push is delivered with the signature of the raw body, again after an error, and again when asked to."""
    assert run(["webhooks", "register", mailbox, "--itwin-id", SEEDED.itwin]) == 0
    pushed = sandbox.state.push_changeset(SEEDED.plant)
    version = sandbox.state.name_version(SEEDED.plant, "As built")
    sandbox.state.webhooks.repeat(sandbox.state.webhooks.deliveries[0].message_id)
    sandbox.state.webhooks.close()
    read = [read_change(body) for body, _ in Mailbox.got]
    assert all(is_signed(body, signature, SecretStr(SECRET)) for body, signature in Mailbox.got)
    assert [change.changeset_id for change in read if change] == [pushed.id] * 2 + [version.changeset_id] + [pushed.id]
    assert [list(delivery.statuses) for delivery in sandbox.state.webhooks.deliveries] == [[500, 200, 200], [200]]
    assert len({change.message_id for change in read if change}) == 2
