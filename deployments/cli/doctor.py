"""`itwin-export doctor`: what is in order, what is not, and what to do about it."""

import asyncio
import json as json_module
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL
from rich.table import Table

from blocks.disk import disk_errors, write_whole
from blocks.errors import (
    ConfigurationError,
    ConsentRequiredError,
    ExportError,
    NotAuthorizedError,
    NotFoundError,
    SignInRequiredError,
    without_secrets,
)
from blocks.itwin.credentials import ItwinApis, ItwinCredentials
from blocks.settings import Settings, read_settings
from deployments.cli.orphans import show_orphans
from deployments.cli.tables import human_size, wide_console
from deployments.pull import POOL
from tasks.load_blocks import load_credentials
from tasks.options import check_guid

NOBODYS_IMODEL = "00000000-0000-0000-0000-000000000000"
SKEW_SECONDS = 60.0
LEAST_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `says` holds the next step where it is not in order."""

    what: str
    is_ok: bool
    says: str


def doctor(
    *,
    imodel_id: str | None = None,
    itwin_id: str | None = None,
    orphans: bool = False,
    credentials: str = "default",
    json: bool = False,
) -> None:
    """Check configuration, sign-in, access, disk, Prefect API and worker; ends with 2 if something is wrong.

    Args:
        imodel_id: Check access to this iModel and to its Storage too.
        itwin_id: With --orphans: look at every iModel of this iTwin.
        orphans: Instead, list runs of ours that go on at the platform although no flow run follows them.
        credentials: Name of an iTwin Credentials block.
        json: Print one JSON document.
    """
    if orphans:
        show_orphans(imodel_id, itwin_id, credentials, as_json=json)
        return
    findings = asyncio.run(_examine(check_guid(imodel_id, "iModel id") if imodel_id else None, credentials))
    if json:
        sys.stdout.write(json_module.dumps([asdict(finding) for finding in findings]) + "\n")
    else:
        wide_console().print(_table(findings))
    if wrong := [finding.what for finding in findings if not finding.is_ok]:
        raise ConfigurationError(f"Not in order: {', '.join(wrong)}. What to do stands above.")


async def _examine(imodel_id: str | None, name: str) -> list[Finding]:
    versions = (
        f"itwin-export {version('itwin-export')}, Prefect {version('prefect')}, Python {platform.python_version()}"
    )
    findings = [Finding("Versions", is_ok=True, says=versions)]
    try:
        settings = read_settings()
    except ConfigurationError as error:
        return [*findings, Finding("Configuration", is_ok=False, says=str(error))]
    findings += [finding async for finding in _prefect()]
    findings += [finding async for finding in _platform(settings, imodel_id, name)]
    return [*findings, await _look("Output folder", asyncio.to_thread(_disk, settings.output_dir))]


async def _look(what: str, found: Awaitable[str]) -> Finding:
    try:
        return Finding(what, is_ok=True, says=await found)
    except ExportError as error:
        return Finding(what, is_ok=False, says=str(error))


async def _prefect() -> AsyncIterator[Finding]:
    """The server, its database, and somebody who does the work."""
    if not (url := PREFECT_API_URL.value()):
        says = (
            "PREFECT_API_URL is not set: commands bring a server of their own; schedules and the UI need one (make up)."
        )
        yield Finding("Prefect API", is_ok=True, says=says)
        return
    async with get_client() as client:
        api = await _look("Prefect API", _api(client, url))
        yield api
        if api.is_ok:
            yield await _look("Worker", _worker(client))


async def _api(client: PrefectClient, url: str) -> str:
    try:
        ready = await client.request("GET", "/ready")
        ready.raise_for_status()
        served = await client.api_version()
    except (httpx.HTTPError, RuntimeError) as error:
        raise ConfigurationError(
            f"{url} does not answer, or has lost its database ({without_secrets(str(error))}). Start it (make up), or "
            f"correct PREFECT_API_URL."
        ) from None
    if served.split(".")[:2] != version("prefect").split(".")[:2]:
        raise ConfigurationError(f"{url} runs Prefect {served}, this is {version('prefect')}. Install the same.")
    return f"{url} answers and has its database; Prefect {served}."


async def _worker(client: PrefectClient) -> str:
    try:
        workers = await client.read_workers_for_work_pool(POOL, limit=100, offset=0)
    except ObjectNotFound:
        raise ConfigurationError(
            f"There is no work pool “{POOL}”. Create it: prefect work-pool create {POOL} --type process"
        ) from None
    online = [worker for worker in workers if str(getattr(worker.status, "value", worker.status)) == "ONLINE"]
    if not online:
        raise ConfigurationError(f"No worker of “{POOL}” is alive. Start one: prefect worker start --pool {POOL}")
    beats = [worker.last_heartbeat_time for worker in online if worker.last_heartbeat_time]
    seen = f", last heard {max(beats):%H:%M:%S} UTC" if beats else ""
    return f"{len(online)} of {len(workers)} alive{seen}."


async def _platform(settings: Settings, imodel_id: str | None, name: str) -> AsyncIterator[Finding]:
    """The iTwin Platform, as these credentials see it."""
    try:
        known = await load_credentials(name) if PREFECT_API_URL.value() else ItwinCredentials.from_settings(settings)
    except (ExportError, httpx.HTTPError, RuntimeError) as error:
        yield Finding("Configuration", is_ok=False, says=without_secrets(str(error)))
        return
    yield Finding("Configuration", is_ok=True, says=f"{known.authentication_type}, client {known.client_id}.")
    async with known.get_client() as itwin:
        signed_in = await _look("Sign-in", _sign_in(itwin, known))
        yield signed_in
        if not signed_in.is_ok:
            return
        yield await _look("Clock", _clock(itwin))
        yield await _look("Consent", _consent(itwin, known))
        if imodel_id:
            yield await _look("iModel", _imodel(itwin, imodel_id))
            yield await _look("Storage", _storage(itwin, imodel_id))


async def _sign_in(itwin: ItwinApis, known: ItwinCredentials) -> str:
    """A refusal to show an iModel that nobody has proves that the token is accepted."""
    try:
        await itwin.imodels.get_imodel(NOBODYS_IMODEL)
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


async def _imodel(itwin: ItwinApis, imodel_id: str) -> str:
    imodel = await itwin.imodels.get_imodel(imodel_id)
    if imodel.state not in {None, "initialized"}:
        raise ConfigurationError(f"“{imodel.display_name}” is {imodel.state}; it cannot be exported yet.")
    async for _ in itwin.exports.list_connections(imodel_id):
        break
    return f"“{imodel.display_name}” and its export connections can be read."


async def _storage(itwin: ItwinApis, imodel_id: str) -> str:
    """Writing is the platform's own part of an export and shows there; a missing role shows here already."""
    imodel = await itwin.imodels.get_imodel(imodel_id)
    async for _ in itwin.storage.list_files(folder_id=None, itwin_id=imodel.itwin_id or ""):
        break
    return "The iTwin's Storage can be read; whether the platform may write there, the first export shows."


def _disk(folder: Path) -> str:
    """Written to for real: permissions alone do not tell."""
    place = folder.expanduser().absolute()
    probe = place / f".doctor-{datetime.now(UTC):%H%M%S%f}"
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        write_whole(probe, b"")
        probe.unlink()
        free = shutil.disk_usage(place).free
    if free < LEAST_BYTES:
        raise ConfigurationError(f"{place} has only {human_size(free)} left. Make room, or set ITWIN_OUTPUT_DIR.")
    return f"{place} can be written to, {human_size(free)} free."


def _table(findings: list[Finding]) -> Table:
    table = Table(title="Examination", title_justify="left")
    for column in ("What", "", "Finding"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding.what, "OK" if finding.is_ok else "WRONG", finding.says)
    return table
