"""The command `login`: how it ends, and where the token goes."""

import asyncio
import re
import socket
import threading
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from blocks.itwin.credentials import ItwinCredentials
from deployments.cli.app import run
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Generator[RunningSandbox]:
    """A sign-in service that asks no questions, and a user who has never signed in."""
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running_sandbox(options=Options(auto_sign_in=True)) as running:
        for name, value in running.user_environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("ITWIN_CLIENT_SECRET", raising=False)
        monkeypatch.delenv("ITWIN_REFRESH_TOKEN")
        monkeypatch.setenv("ITWIN_REDIRECT_URL", f"http://localhost:{port}/callback")
        yield running


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A browser that opens what the command asks it to; the addresses it was given."""
    opened: list[str] = []

    def visit(address: str) -> bool:
        opened.append(address)
        threading.Thread(target=httpx.get, args=(address,), kwargs={"follow_redirects": True, "timeout": 60}).start()
        return True

    monkeypatch.setattr("webbrowser.open", visit)
    return opened


Capture = pytest.CaptureFixture[str]


def test_the_line_for_the_environment_is_printed(sandbox: RunningSandbox, browser: list[str], capsys: Capture) -> None:
    """Without a block the token goes to standard output as a line for the environment, and nowhere else."""
    assert run(["login", "--show-token"]) == 0
    printed = capsys.readouterr()
    found = re.search(r"^ITWIN_REFRESH_TOKEN=(\S+)$", printed.out, re.MULTILINE)
    assert found is not None
    assert found[1] in sandbox.state.tokens.refresh_tokens
    assert found[1] not in printed.err
    assert len(browser) == 1


@pytest.mark.usefixtures("sandbox")
def test_a_token_is_not_printed_into_a_log(browser: list[str], capsys: Capture) -> None:
    """Where standard output is no terminal, a token is printed on demand only, and nobody signs in for nothing."""
    assert run(["login"]) == 2
    assert "--block" in capsys.readouterr().err
    assert browser == []


@pytest.mark.usefixtures("sandbox")
def test_without_a_browser_the_link_is_printed(browser: list[str], capsys: Capture) -> None:
    """With --no-browser nothing is opened; the link is shown, and the command waits until its time is up."""
    assert run(["login", "--show-token", "--no-browser", "--timeout-seconds", "0.3"]) == 3
    said = capsys.readouterr().err
    assert re.search(r"^Sign in: http://127\.0\.0\.1:\d+/connect/authorize\?", said, re.MULTILINE)
    assert "Nobody signed in within 0.3 seconds" in said
    assert browser == []


@pytest.mark.usefixtures("sandbox")
def test_a_browser_that_cannot_be_opened_is_said(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Where no browser can be opened, the person is asked to open the link."""
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setattr("webbrowser.open", never_opens)
    assert run(["login", "--show-token", "--timeout-seconds", "0.3"]) == 3
    assert "open the link yourself" in capsys.readouterr().err


def never_opens(address: str) -> bool:
    return not address


@pytest.mark.usefixtures("browser")
def test_a_refusal_ends_as_not_authorised(
    sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """An application that the service does not let sign in ends with a sentence and 3."""
    monkeypatch.setenv("ITWIN_SCOPE", "no-such-scope")
    assert run(["login", "--show-token"]) == 3
    assert "invalid_scope" in capsys.readouterr().err
    assert sandbox.state.counters["tokens issued"] == 0


@pytest.mark.usefixtures("sandbox")
def test_a_port_in_use_is_bad_configuration(monkeypatch: pytest.MonkeyPatch, browser: list[str]) -> None:
    """When something else listens on the redirect address, the command ends with 2 before a browser opens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setenv("ITWIN_REDIRECT_URL", f"http://127.0.0.1:{taken.getsockname()[1]}/")
        assert run(["login", "--show-token"]) == 2
    assert browser == []


@pytest.mark.usefixtures("prefect_server", "browser")
def test_a_block_is_made_and_kept_up_to_date(sandbox: RunningSandbox, capsys: Capture) -> None:
    """Signing in makes the block from the environment, and again only replaces its token."""
    assert run(["login", "--block", "made-by-login"]) == 0
    first = token_in("made-by-login")
    assert run(["login", "--block", "made-by-login"]) == 0
    second = token_in("made-by-login")
    assert first != second
    assert {first, second} <= sandbox.state.tokens.refresh_tokens.keys()
    printed = capsys.readouterr()
    assert printed.out == ""
    assert second not in printed.err


def token_in(name: str) -> str:
    block = asyncio.run(ItwinCredentials.aload(name))
    assert (block.authentication_type, block.client_id) == ("User", IDENTITY.native.id)
    assert block.refresh_token is not None
    return block.refresh_token.get_secret_value()


@pytest.mark.usefixtures("prefect_server")
def test_a_service_needs_no_sign_in(sandbox: RunningSandbox, browser: list[str], capsys: Capture) -> None:
    """A block of a service application is not signed in with."""
    service = ItwinCredentials.model_validate(
        {"client_id": IDENTITY.service.id, "client_secret": IDENTITY.service.secret, "api_url": sandbox.url}
    )
    asyncio.run(service.asave("a-service", overwrite=True))
    assert run(["login", "--block", "a-service"]) == 2
    assert "Service" in capsys.readouterr().err
    assert browser == []


def test_suspending_is_refused_at_the_command_line(sandbox: RunningSandbox, capsys: Capture) -> None:
    """A run at the command line has no worker to free: --consent suspend ends with 2."""
    assert run(["ifc", SEEDED.bridge, "--consent", "suspend"]) == 2
    assert "consent=wait" in capsys.readouterr().err
    assert not sandbox.state.log
