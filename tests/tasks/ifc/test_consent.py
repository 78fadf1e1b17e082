"""Consent as a step of a run: asked for users, never for services, waited for, explained when it is missing."""

import asyncio

import httpx
import pytest

from blocks.errors import ConsentRequiredError, InputError
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc

CONSENT_PAGE = "/sandbox/consent?"
ASKED = "/export/authorizationinformation"


pytestmark = [pytest.mark.usefixtures("prefect_server", "user"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def user(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is that of the sandbox's user, who has not consented."""
    monkeypatch.delenv("ITWIN_CLIENT_SECRET")
    for name, value in sandbox.user_environment.items():
        monkeypatch.setenv(name, value)


def times_asked(sandbox: RunningSandbox) -> int:
    return sum(entry.path == ASKED for entry in sandbox.state.log)


async def test_missing_consent_fails_with_the_link(sandbox: RunningSandbox) -> None:
    """Without consent nothing is started, and the error leads to the page where it is given."""
    with pytest.raises(ConsentRequiredError) as caught:
        await export_ifc(SEEDED.bridge)
    assert CONSENT_PAGE in caught.value.url
    assert caught.value.url in str(caught.value)
    assert not list(sandbox.state.runs)


async def test_a_service_is_never_asked_for_consent(sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service application exports without consent, and the platform is not asked for any."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    report = await export_ifc(SEEDED.bridge)
    assert report.files
    assert times_asked(sandbox) == 0


async def test_a_waiting_run_goes_on_when_consent_is_given(sandbox: RunningSandbox) -> None:
    """With consent=wait the run asks until the user has consented, then exports."""
    export = asyncio.ensure_future(export_ifc(SEEDED.bridge, consent="wait"))
    while times_asked(sandbox) < 4:  # noqa: ASYNC110  the sandbox counts in another thread
        await asyncio.sleep(0.05)
    sandbox.state.consents.add(IDENTITY.user)
    assert (await export).files


async def test_a_waiting_run_gives_up_at_its_deadline(sandbox: RunningSandbox) -> None:
    """With consent=wait and nobody consenting, the run ends as not authorised, with the link."""
    with pytest.raises(ConsentRequiredError, match="Nobody consented") as caught:
        await export_ifc(SEEDED.bridge, consent="wait", timeout_minutes=0.01)
    assert CONSENT_PAGE in caught.value.url
    assert times_asked(sandbox) > 1


async def test_suspending_needs_a_deployment(sandbox: RunningSandbox) -> None:
    """A run that no deployment stands behind cannot be suspended, and says so."""
    with pytest.raises(InputError, match="needs a deployment"):
        await export_ifc(SEEDED.bridge, consent="suspend")
    assert times_asked(sandbox) == 0


async def test_a_run_without_authentication_is_reported_as_missing_consent(sandbox: RunningSandbox) -> None:
    """A run that fails with UserNotAuthenticated leads to the consent page; it is no broken export."""
    sandbox.state.consents.add(IDENTITY.user)
    sandbox.state.script(SEEDED.bridge, Outcome(result="Error", error_key="UserNotAuthenticated"))
    with pytest.raises(ConsentRequiredError, match="UserNotAuthenticated") as caught:
        await export_ifc(SEEDED.bridge)
    assert CONSENT_PAGE in caught.value.url
    assert caught.value.exit_code == 3
    assert (await export_ifc(SEEDED.bridge)).files, "the next run starts anew"


async def test_the_link_stands_among_the_artifacts(sandbox: RunningSandbox, prefect_server: str) -> None:
    """The consent page is kept as an artifact, where the person responsible finds it."""
    with pytest.raises(ConsentRequiredError) as caught:
        await export_ifc(SEEDED.bridge)
    async with httpx.AsyncClient(timeout=60) as client:
        latest = (await client.get(f"{prefect_server}/artifacts/export-consent/latest")).json()
    assert caught.value.url in latest["data"]
    assert sandbox.url in latest["data"]
