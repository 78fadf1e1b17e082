"""An export with nothing to do, found before Prefect is imported and its temporary server started.

Only where that server would be started: with `PREFECT_API_URL` every export is a flow run, to be seen in the UI.
"""

from dataclasses import dataclass

from blocks.errors import ExportError, InputError, NotFoundError
from blocks.itwin.apis import ItwinApis
from blocks.settings import Settings, read_settings
from deployments.cli.platform_access import is_decided_without_prefect, is_service, service_apis
from deployments.stop_signals import stop_signals
from tasks.addresses import is_id
from tasks.current_export import find_current, report_unchanged
from tasks.exported_changeset import ExportedChangeset, find_changeset
from tasks.ifc.options import IfcRequest
from tasks.judged_export import judge_again, needs_imodel
from tasks.known_imodel import KnownIModel, ReadChangeset
from tasks.names import find_imodel, names_of
from tasks.options import ExportRequest, Names
from tasks.output_place import access_of_environment
from tasks.reports import ExportReport


@dataclass(frozen=True)
class FirstLook:
    """What is found before Prefect is imported: the report of an unchanged export, else what a flow run need not read.

    Neither, where a flow run has to decide. That is also where the platform cannot be asked: it says what is wrong.
    """

    unchanged: ExportReport | None = None
    known: KnownIModel | None = None


def look_first(request: ExportRequest) -> FirstLook:
    """Look for an identical export that is already published.

    Raises:
        InputError: What was asked for does not exist, or several things have the name; no flow run could change that.
    """
    if not _is_decided_here(request):
        return FirstLook()
    try:
        settings = read_settings()
        return stop_signals.run(_look(request, settings)) if is_service(settings) else FirstLook()
    except ExportError as error:
        if _is_final(error):
            raise
        return FirstLook()


def _is_final(error: ExportError) -> bool:
    return isinstance(error, NotFoundError) or type(error) is InputError


async def _look(request: ExportRequest, settings: Settings) -> FirstLook:
    async with service_apis(settings) as apis:
        known, changeset = await _read(apis, request)
        try:
            unchanged = await _find_current(apis, known, changeset, request, settings.api_url)
        except ExportError as error:  # such as a damaged file
            if _is_final(error):
                raise
            unchanged = None
    return FirstLook(unchanged, known)


async def _read(apis: ItwinApis, request: ExportRequest) -> tuple[KnownIModel, ExportedChangeset]:
    """The iModel, with its names if it was given by name, and the changeset that is asked for."""
    imodel_id, names = request.imodel_id, Names()
    if not is_id(imodel_id):
        found = await find_imodel(apis, imodel_id)
        imodel_id, names = found.id.lower(), found.names
    changeset = await find_changeset(apis, imodel_id, request.changeset_id, request.named_version)
    read = ReadChangeset(changeset, apis.client.server_now())
    return KnownIModel(request.imodel_id, imodel_id, names, read), changeset


async def _find_current(
    apis: ItwinApis, known: KnownIModel, changeset: ExportedChangeset, request: ExportRequest, api_url: str
) -> ExportReport | None:
    names = known.names.model_copy(update={"changeset_index": changeset.index, "version": changeset.version})
    request = request.model_copy(update={"imodel_id": known.id, "names": names}).opened(access_of_environment())
    published = find_current(request, changeset.id, api_url)
    if published and needs_imodel(published, request):
        place = names_of(await apis.imodels.get_imodel(request.imodel_id)).place
        request = request.with_names(place=place)
    return report_unchanged(judge_again(published, request), request) if published else None


def _is_decided_here(request: ExportRequest) -> bool:
    """False where Prefect is needed to know credentials or rules, or a request to know the mapping file."""
    if request.policy.force or (isinstance(request, IfcRequest) and not _is_complete(request)):
        return False
    has_rules = request.acceptance is None or request.rules is not None
    is_default = request.destination == "default"
    return has_rules and is_default and is_decided_without_prefect(request.credentials)


def _is_complete(request: IfcRequest) -> bool:
    """False where the version of the mapping file is in Storage, in a container, or known to a block of a container."""
    if request.output_location == "USER_BLOB_STORAGE" and request.blob_storage != "default":
        return False
    return request.mapping_file_id is None and (request.mapping_file is None or request.hands_over_content)
