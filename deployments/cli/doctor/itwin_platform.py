"""The iTwin Platform, as these credentials see it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx

from blocks.errors import (
    ConfigurationError,
    ConsentRequiredError,
    ExportError,
    NotAuthorizedError,
    NotFoundError,
    SignInRequiredError,
    without_secrets,
)
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.settings import Settings
from deployments.cli.doctor.finding import Finding, look
from tasks.load_blocks import load_saved
from tasks.names import imodel_id_of

NIL_GUID = "00000000-0000-0000-0000-000000000000"
SKEW_SECONDS = 60.0


async def platform_findings(
    settings: Settings, imodel: str | None, name: str, *, is_api_there: bool
) -> AsyncIterator[Finding]:
    """The iTwin Platform, as these credentials see it; without a Prefect API, as those of the environment do."""
    try:
        saved = await load_saved(ItwinCredentials, name) if is_api_there else None
        known = saved or _from_environment(settings, name)
    except (ExportError, httpx.HTTPError, RuntimeError) as error:
        yield Finding("Configuration", is_ok=False, says=without_secrets(str(error)))
        return
    origin = f"saved block “{name}”, not of the environment" if saved else "environment"
    if not is_api_there:
        origin += f"; a block “{name}” cannot be looked for without a Prefect API"
    yield Finding(
        "Configuration", is_ok=True, says=f"{known.authentication_type}, client {known.client_id} of the {origin}."
    )
    async with known.get_client() as itwin:
        signed_in = await look("Sign-in", _sign_in(itwin, known))
        yield signed_in
        if not signed_in.is_ok:
            return
        yield await look("Clock", _clock(itwin))
        yield await look("Consent", _consent(itwin, known))
        if imodel:
            yield await look("iModel", _imodel(itwin, imodel))
            yield await look("Storage", _storage(itwin, imodel))


def _from_environment(settings: Settings, name: str) -> ItwinCredentials:
    if name != "default":
        raise ConfigurationError(f"The block “{name}” cannot be read without a Prefect API; see its finding.")
    return ItwinCredentials.from_settings(settings)


async def _sign_in(itwin: ItwinApis, known: ItwinCredentials) -> str:
    """A refusal to show an iModel that nobody has proves that the token is accepted."""
    try:
        await itwin.imodels.get_imodel(NIL_GUID)
    except SignInRequiredError:
        raise
    except (NotFoundError, NotAuthorizedError):
        pass
    return f"Signed in at {known.issuer_url} with scope “{known.identity.scopes}”."


async def _clock(itwin: ItwinApis) -> str:
    skew = (itwin.client.server_now() - datetime.now(UTC)).total_seconds()
    if abs(skew) > SKEW_SECONDS:
        raise ConfigurationError(f"This machine's clock is {abs(skew):.0f} seconds off. Set it, or let NTP do it.")
    return f"Within {max(1, round(abs(skew)))} seconds of the platform's."


async def _consent(itwin: ItwinApis, known: ItwinCredentials) -> str:
    if known.authentication_type == "Service":
        return "A service application needs none."
    given = await itwin.exports.get_authorization_information(known.redirect_url)
    if not given.is_user_authorized:
        raise ConsentRequiredError(
            f"The platform holds no consent to export on your behalf. Open this page and agree: "
            f"{given.authorization_url}",
            given.authorization_url,
        )
    return "Given."


async def _imodel(itwin: ItwinApis, subject: str) -> str:
    imodel_id = await imodel_id_of(itwin, subject)
    imodel = await itwin.imodels.get_imodel(imodel_id)
    if imodel.state not in {None, "initialized"}:
        raise ConfigurationError(f"“{imodel.display_name}” is {imodel.state}; it cannot be exported yet.")
    async for _ in itwin.exports.list_connections(imodel_id):
        break
    return f"“{imodel.display_name}” and its export connections can be read."


async def _storage(itwin: ItwinApis, subject: str) -> str:
    """Writing is the platform's own part of an export and shows there; a missing role shows here already."""
    imodel = await itwin.imodels.get_imodel(await imodel_id_of(itwin, subject))
    async for _ in itwin.storage.list_files(folder_id=None, itwin_id=imodel.itwin_id or ""):
        break
    return "The iTwin's Storage can be read; whether the platform may write there, the first export shows."
