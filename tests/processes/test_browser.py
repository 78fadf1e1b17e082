"""A person with a real browser: Debian's Chromium, driven by Playwright, on the sandbox's pages."""

import re
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.chromium import ARTEFACTS, CHROMIUM, SWITCHES
from tests.processes.server import PrefectServer

BLOCK = "ada-in-a-browser"


@pytest.fixture(scope="module")
def page() -> Generator[Page]:
    """A page of a headless browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser.new_page()
        browser.close()


@pytest.fixture(scope="module")
def sandbox() -> Generator[RunningSandbox]:
    """A platform whose user has neither signed in nor consented."""
    with running_sandbox(options=Options(run_seconds=1)) as sandbox:
        sandbox.state.tokens.refresh_tokens.clear()
        yield sandbox


@pytest.fixture(scope="module")
def environment(sandbox: RunningSandbox) -> dict[str, str]:
    """What that user has set."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    asked = {name: value for name, value in sandbox.user_environment.items() if name != "ITWIN_REFRESH_TOKEN"}
    pace = {"ITWIN_POLL_SECONDS": "0.5", "ITWIN_POLL_MAX_SECONDS": "0.5", "BROWSER": "false"}
    return asked | pace | {"ITWIN_REDIRECT_URL": f"http://localhost:{port}/callback"}


def shown_link(process: subprocess.Popen[str], what: str) -> str:
    """The link that the command prints for a person."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.match(rf"{what}: (http\S+)", line):
            return found[1]
    raise AssertionError(f"The command ended with {process.wait()} and showed no link.")


def test_a_person_signs_in_and_consents(
    server: PrefectServer, sandbox: RunningSandbox, environment: dict[str, str], page: Page, tmp_path: Path
) -> None:
    """With two clicks in a browser, a user signs in, consents, and the waiting export finishes as that user."""
    login = server.start(["-m", "deployments", "login", "--block", BLOCK, "--no-browser"], environment)
    page.goto(shown_link(login, "Sign in"))
    page.click("#yes")
    page.wait_for_selector("text=You are signed in")
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "signed-in.png")
    said, _ = login.communicate(timeout=300)
    assert (login.returncode, said.count(BLOCK)) == (0, 2), said

    arguments = ["ifc", SEEDED.bridge, "--credentials", BLOCK, "--consent", "wait", "--output-dir", str(tmp_path)]
    export = server.start(["-m", "deployments", *arguments], environment)
    page.goto(shown_link(export, "Consent to exports"))
    page.click("#yes")
    page.wait_for_selector("text=Thank you")
    page.screenshot(path=ARTEFACTS / "consented.png")
    said, _ = export.communicate(timeout=300)
    assert export.returncode == 0, said
    assert [run.created_by for run in sandbox.state.runs] == [IDENTITY.user]
    assert list(tmp_path.rglob("*.ifc"))
