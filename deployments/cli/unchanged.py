"""An export with nothing to do, found before Prefect is imported and its temporary server started.

Only where that server would be started: with `PREFECT_API_URL` every export is a flow run, to be seen in the UI.
"""

import os
import sqlite3
import tomllib
from contextlib import closing
from pathlib import Path

from blocks.errors import ExportError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.apis import apis_of
from blocks.itwin.auth.access_tokens import AccessTokens
from blocks.itwin.auth.token_endpoint import Identity
from blocks.itwin.client import ItwinClient
from blocks.itwin.shared_clients import SHARED_CLIENTS
from blocks.itwin.transport import Transport
from blocks.settings import Settings, read_settings
from deployments.stop_signals import stop_signals
from tasks.addresses import is_id
from tasks.current_export import find_current, report_unchanged
from tasks.exported_changeset import find_changeset
from tasks.ifc.options import IfcRequest
from tasks.names import find_imodel
from tasks.options import ExportRequest
from tasks.reports import ExportReport

_NAMES_A_SERVER = frozenset(
    {
        "PREFECT_API_URL",
        "PREFECT_PROFILE",
        "PREFECT_PROFILES_PATH",
        "PREFECT_API_DATABASE_CONNECTION_URL",
        "PREFECT_SERVER_DATABASE_CONNECTION_URL",
    }
)
"""Variables that may lead to a Prefect server, or to a database with saved blocks, which only Prefect can read."""
_SAVED_BLOCK = """
    SELECT 1 FROM block_document JOIN block_type ON block_type.id = block_document.block_type_id
    WHERE block_type.slug IN ('itwin-credentials', 'user-blob-storage') AND block_document.name = 'default'
"""


def find_unchanged(request: ExportRequest) -> ExportReport | None:
    """The report of an identical export that is already published; none where a flow run has to decide.

    That is also where the platform cannot be asked: the flow run says what is wrong.
    """
    if not _is_decided_here(request):
        return None
    try:
        settings = read_settings()
        return stop_signals.run(_look(request, settings)) if _is_service(settings) else None
    except ExportError:
        return None


async def _look(request: ExportRequest, settings: Settings) -> ExportReport | None:
    identity = Identity(
        issuer_url=settings.issuer_url,
        client_id=str(settings.client_id),
        client_secret=settings.client_secret,
        scope=settings.scope,
    )
    hosts = AllowedHosts(settings.api_url, settings.issuer_url, settings.allowed_hosts)
    transport = Transport(SHARED_CLIENTS.limiter(settings.api_url, settings.requests_per_minute))
    try:
        tokens = AccessTokens(identity, transport, hosts)
        apis = apis_of(ItwinClient(settings.api_url, hosts, transport, tokens))
        if not is_id(request.imodel_id):
            found = await find_imodel(apis, request.imodel_id)
            request = request.with_names(imodel_id=found.id.lower(), imodel=found.imodel.display_name)
        changeset = await find_changeset(apis, request.imodel_id, request.changeset_id, request.named_version)
        request = request.with_names(changeset_index=changeset.index, version=changeset.version)
        manifest = find_current(request, changeset.id, settings.api_url)
    finally:
        await transport.aclose()
    return report_unchanged(manifest, request) if manifest else None


def _is_decided_here(request: ExportRequest) -> bool:
    """False where Prefect is needed to know the credentials, or a request to know the version of the mapping file."""
    if request.policy.force or request.credentials != "default":
        return False
    if isinstance(request, IfcRequest) and not _is_complete(request):
        return False
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect").expanduser()
    return not (_NAMES_A_SERVER & os.environ.keys() or _is_configured_in_files(home) or _has_saved_block(home))


def _is_complete(request: IfcRequest) -> bool:
    """False where the version of the mapping file is in Storage, in a container, or known to a block of a container."""
    if request.output_location == "USER_BLOB_STORAGE" and request.blob_storage != "default":
        return False
    return request.mapping_file_id is None and (request.mapping_file is None or request.hands_over_content)


def _is_service(settings: Settings) -> bool:
    """A user's refresh token may work once only, so it is left to the flow run."""
    return settings.authentication_type == "Service" and bool(settings.client_id and settings.client_secret)


def _is_configured_in_files(home: Path) -> bool:
    """True if a profile or a file of the working directory may configure Prefect."""
    try:
        profiles = tomllib.loads((home / "profiles.toml").read_text("utf-8"))
        in_profile = "PREFECT_API_URL" in profiles.get("profiles", {}).get(profiles.get("active"), {})
    except FileNotFoundError:
        in_profile = False
    except (OSError, ValueError, AttributeError):
        return True
    files = {"prefect.toml": "", "pyproject.toml": "[tool.prefect", ".env": "PREFECT_"}
    return in_profile or any(_holds(Path(name), mark) for name, mark in files.items())


def _holds(path: Path, mark: str) -> bool:
    try:
        return mark in path.read_text("utf-8")
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True


def _has_saved_block(home: Path) -> bool:
    """True if the temporary server's database may hold a block `default`, which counts before the environment."""
    database = home / "prefect.db"
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            return connection.execute(_SAVED_BLOCK).fetchone() is not None
    except sqlite3.Error:
        return True
