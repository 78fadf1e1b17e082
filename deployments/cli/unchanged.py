"""An export with nothing to do, found before Prefect is imported and its temporary server started.

Only where that server would be started: with `PREFECT_API_URL` every export is a flow run, to be seen in the UI.
"""

from blocks.errors import ExportError, InputError, NotFoundError
from blocks.settings import Settings, read_settings
from deployments.cli.platform_access import is_decided_without_prefect, is_service, service_apis
from deployments.stop_signals import stop_signals
from tasks.addresses import is_id
from tasks.current_export import find_current, report_unchanged
from tasks.exported_changeset import find_changeset
from tasks.ifc.options import IfcRequest
from tasks.judged_export import judge_again, needs_imodel
from tasks.names import find_imodel, names_of
from tasks.options import ExportRequest
from tasks.output_place import access_of_environment
from tasks.reports import ExportReport


def find_unchanged(request: ExportRequest) -> ExportReport | None:
    """The report of an identical export that is already published; none where a flow run has to decide.

    That is also where the platform cannot be asked: the flow run says what is wrong.

    Raises:
        InputError: What was asked for does not exist, or several things have the name; no flow run could change that.
    """
    if not _is_decided_here(request):
        return None
    try:
        settings = read_settings()
        return stop_signals.run(_look(request, settings)) if is_service(settings) else None
    except ExportError as error:
        if isinstance(error, NotFoundError) or type(error) is InputError:
            raise
        return None


async def _look(request: ExportRequest, settings: Settings) -> ExportReport | None:
    async with service_apis(settings) as apis:
        if not is_id(request.imodel_id):
            found = await find_imodel(apis, request.imodel_id)
            request = request.with_names(
                imodel_id=found.id.lower(), imodel=found.imodel.display_name, place=names_of(found.imodel).place
            )
        changeset = await find_changeset(apis, request.imodel_id, request.changeset_id, request.named_version)
        request = request.with_names(changeset_index=changeset.index, version=changeset.version)
        request = request.opened(access_of_environment())
        published = find_current(request, changeset.id, settings.api_url)
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
