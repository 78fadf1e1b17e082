"""Check and wait for a user's consent to exports on the user's behalf."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta
from uuid import uuid4

from prefect import get_run_logger, task
from prefect.artifacts import acreate_link_artifact
from prefect.cache_policies import NO_CACHE
from prefect.flow_runs import asuspend_flow_run
from prefect.runtime import deployment

from blocks.errors import ConsentRequiredError, ExportError, InputError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.models import AuthorizationInformation
from blocks.settings import read_settings
from tasks.ifc.options import RunPolicy
from tasks.options import needs_deployment
from tasks.polling import PollBackoff
from tasks.retry import retries_after


async def _show_nothing(url: str, redirect_url: str) -> None:
    """Default: a worker has no browser to open."""


consent_shown_by: ContextVar[Callable[[str, str], Awaitable[None]]] = ContextVar(
    "consent_shown_by", default=_show_nothing
)
"""Function called with the URL of the consent page and the redirect URL; the command line sets it to open a browser."""


async def verify_authorization(credentials: ItwinCredentials, policy: RunPolicy) -> None:
    """Check that the user has consented to exports; a service application needs no consent.

    Vendor page: https://developer.bentley.com/apis/export/operations/get-authorizationinformation/

    Raises:
        ConsentRequiredError: The user has not consented (in time); the message and a link artifact contain the page.
        InputError: `suspend` in a run without a deployment.
    """
    if credentials.authentication_type == "User" and policy.consent == "suspend" and not deployment.id:
        raise InputError(needs_deployment("consent"))
    known = await read_consent(credentials)
    if known.is_user_authorized:
        return
    await _announce(known.authorization_url)
    match policy.consent:
        case "fail":
            raise missing_consent("The platform holds no consent to export on behalf of this user.", known)
        case "wait":
            await wait_for_consent(credentials, policy.timeout, known.authorization_url)
        case "suspend":
            # A resumed run starts from the beginning and suspends again while the consent is missing.
            await asuspend_flow_run(key=str(uuid4()))


@task(
    name="verify_authorization",
    **retries_after(1, 3, 8),
    cache_policy=NO_CACHE,  # consent can be withdrawn at any time
    persist_result=False,
)
async def read_consent(credentials: ItwinCredentials) -> AuthorizationInformation:
    """Read whether the user has consented, and the URL of the consent page; a service application needs no consent."""
    if credentials.authentication_type == "Service":
        get_run_logger().debug("A service application needs no consent.")
        return AuthorizationInformation(is_user_authorized=True)
    async with credentials.get_client() as itwin:
        return await _ask(itwin, credentials)


@task(cache_policy=NO_CACHE, persist_result=False)
async def wait_for_consent(credentials: ItwinCredentials, longest: timedelta, url: str) -> None:
    """Poll with back-off until the user has consented.

    Raises:
        ConsentRequiredError: The user did not consent within `longest`.
    """
    settings = read_settings()
    backoff = PollBackoff(settings.poll_seconds, settings.poll_max_seconds)
    get_run_logger().warning("Waiting for your consent to export. Open this page and agree: %s", url)
    await consent_shown_by.get()(url, credentials.redirect_url)
    started = time.monotonic()
    async with credentials.get_client() as itwin:
        while (left := started + longest.total_seconds() - time.monotonic()) > 0:
            await asyncio.sleep(min(left, backoff.pause(time.monotonic() - started)))
            if await _is_given(itwin, credentials):
                get_run_logger().info("The consent is there; going on.")
                return
    waited = f"{longest.total_seconds() / 60:g} minutes"
    raise ConsentRequiredError(f"Nobody consented within {waited}. Open this page, agree, then run again: {url}", url)


async def explain_missing_consent(itwin: ItwinApis, credentials: ItwinCredentials, run_id: str) -> ConsentRequiredError:
    """The error for a run that failed with UserNotAuthenticated, with the consent page."""
    known = await _ask(itwin, credentials)
    said = f"Export run {run_id} failed because the platform may not act for this user (UserNotAuthenticated)."
    if known.authorization_url:
        await _announce(known.authorization_url)
    return missing_consent(said, known)


def missing_consent(said: str, known: AuthorizationInformation) -> ConsentRequiredError:
    """The error whose message contains the consent page."""
    url = known.authorization_url
    page = url or "the platform named no page"
    return ConsentRequiredError(f"{said} Open this page, agree, then run the export again: {page}", url)


async def _announce(url: str) -> None:
    if url:
        await acreate_link_artifact(url, "Consent to exports", key="export-consent")


async def _is_given(itwin: ItwinApis, credentials: ItwinCredentials) -> bool:
    try:
        return (await _ask(itwin, credentials)).is_user_authorized
    except ExportError as error:
        if not error.is_transient:
            raise
        get_run_logger().debug("Asking for the consent failed; asking on. %s", error)
        return False


async def _ask(itwin: ItwinApis, credentials: ItwinCredentials) -> AuthorizationInformation:
    return await itwin.exports.get_authorization_information(credentials.redirect_url)
