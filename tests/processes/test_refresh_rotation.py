"""Refresh tokens that work once, spent by several processes through one block."""

import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import cast

import pytest
from pydantic import SecretStr

from blocks.itwin.credentials import ItwinCredentials
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.identity import IDENTITY, SCOPE
from deployments.sandbox.state.tokens import Grant
from tests.processes.server import PrefectServer

pytestmark = pytest.mark.timeout(600)

TOKEN_PATH = "/connect/token"
HANGS_SECONDS = 400
"""How long the processes take is no claim here: a lease that is not released costs the next one 20 s."""


@contextmanager
def signed_in_sandbox(block: str) -> Generator[RunningSandbox]:
    """A sandbox and a block of its user, at a web application, which has a secret as well."""
    with running_sandbox() as sandbox:
        tokens = sandbox.state.tokens
        first = tokens.mint_refresh_token(Grant(IDENTITY.web.id, IDENTITY.user, (SCOPE, "offline_access")))
        ItwinCredentials(
            authentication_type="User",
            client_id=IDENTITY.web.id,
            client_secret=SecretStr(IDENTITY.web.secret or ""),
            refresh_token=SecretStr(first),
            api_url=sandbox.url,
            issuer_url=sandbox.url,
        ).save(block, overwrite=True)
        yield sandbox


def refusals(sandbox: RunningSandbox) -> list[int | None]:
    """Statuses of the token endpoint that are not 200; none is a process killed before the answer."""
    return [entry.status for entry in sandbox.state.log if entry.path == TOKEN_PATH and entry.status not in {200, None}]


def stored_secrets(block: str) -> list[str]:
    """The refresh token and the client secret that the block holds."""
    saved = cast("ItwinCredentials", ItwinCredentials.load(block))
    return [secret.get_secret_value() for secret in (saved.refresh_token, saved.client_secret) if secret]


def outcomes(processes: list[subprocess.Popen[str]]) -> list[tuple[int, int]]:
    """Exit code and number of renewals of each."""
    try:
        said = [process.communicate(timeout=HANGS_SECONDS)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for process, text in zip(processes, said, strict=True):
        assert process.returncode == 0, text
    return [(process.returncode, text.count("renewed\n")) for process, text in zip(processes, said, strict=True)]


@pytest.mark.parametrize("times", [8, pytest.param(25, marks=pytest.mark.crash)])
def test_four_processes_share_one_single_use_token(server: PrefectServer, times: int) -> None:
    """Four processes refresh the token of one block: each refresh succeeds, and the block has the newest token."""
    with signed_in_sandbox("ada-shared") as sandbox:
        arguments = ["-m", "tests.processes.refresher", "ada-shared", str(times)]
        processes = [server.start(arguments) for _ in range(4)]
        assert outcomes(processes) == [(0, times)] * 4
        token, secret = stored_secrets("ada-shared")
        assert refusals(sandbox) == []
        assert sandbox.state.counters["tokens issued"] == 4 * times
        assert token in sandbox.state.tokens.refresh_tokens
        assert secret == IDENTITY.web.secret


@pytest.mark.crash
def test_a_process_killed_while_refreshing_does_not_stop_the_others(
    server: PrefectServer, record_property: Callable[[str, object], None]
) -> None:
    """One process is killed with its request on the way: the others take over, and no token is refused."""
    with signed_in_sandbox("ada-killed") as sandbox:
        slow = sandbox.state.faults.add(Fault(path=TOKEN_PATH, delay=600))
        arguments = ["-m", "tests.processes.refresher", "ada-killed", "5"]
        victim = server.start(arguments)
        while not slow.hits:
            time.sleep(0.05)
        others = [server.start(arguments) for _ in range(3)]
        for other in others:
            assert other.stdout is not None
            assert other.stdout.readline() == "ready\n"
        victim.kill()
        killed_at = time.monotonic()
        assert outcomes(others) == [(0, 5)] * 3
        record_property("seconds from the kill to the end", round(time.monotonic() - killed_at, 1))
        victim.communicate()
        assert refusals(sandbox) == []
        assert stored_secrets("ada-killed")[0] in sandbox.state.tokens.refresh_tokens
