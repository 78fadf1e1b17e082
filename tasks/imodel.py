"""Look up iTwins and iModels that are given by name; one that is given by id costs no request."""

from typing import TypeVar

from prefect import get_run_logger, task
from pydantic import BaseModel, ConfigDict

from blocks.itwin.credentials import ItwinCredentials
from blocks.storage.acceptance.imodel_place import IModelPlace
from tasks.addresses import is_id
from tasks.export_progress import current_progress
from tasks.known_imodel import find_known
from tasks.names import find_imodel, find_itwin, names_of
from tasks.options import ExportRequest
from tasks.retry import once_per_flow_run

Request = TypeVar("Request", bound=ExportRequest)


class NamedITwin(BaseModel):
    """An iTwin with its name."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str


class NamedIModel(NamedITwin):
    """An iModel with its name, the iTwin that it is in, and where it lies, which results of earlier releases lack."""

    itwin: NamedITwin
    place: IModelPlace | None = None


async def with_imodel(credentials: ItwinCredentials, request: Request) -> Request:
    """The request with the id of its iModel.

    Raises:
        NotFoundError: Nothing is called so.
        InputError: Several iModels are called so.
    """
    if known := find_known(request):
        request = request.model_copy(update={"imodel_id": known.id, "names": known.names})
    if is_id(request.imodel_id):
        current_progress().note_request(request, api_url=credentials.api_url)
        return request
    found = await resolve_imodel(credentials, request.imodel_id)
    get_run_logger().info("“%s” is iModel %s.", request.imodel_id, found.id)
    named = request.with_names(
        imodel_id=found.id,
        imodel=found.name,
        itwin=found.itwin.name,
        itwin_id=found.itwin.id.lower(),
        place=found.place,
    )
    current_progress().note_request(named, api_url=credentials.api_url)
    return named


async def with_imodel_name(credentials: ItwinCredentials, request: Request) -> Request:
    """The request with the name of its iModel and the id of its iTwin, which are read where they are not known yet.

    It is the only reading of the iModel in a flow run.
    """
    if not (request.names.imodel and request.names.itwin_id):
        found = await read_imodel(credentials, request.imodel_id)
        request = request.with_names(imodel=found.name, itwin_id=found.itwin.id, place=found.place)
    current_progress().note_request(request)
    return request


@task(**once_per_flow_run(1, 3, 8))
async def read_imodel(credentials: ItwinCredentials, imodel_id: str) -> NamedIModel:
    """An iModel by its id; the name of its iTwin is left empty."""
    async with credentials.get_client() as itwin:
        found = await itwin.imodels.get_imodel(imodel_id)
    names = names_of(found)
    owner = NamedITwin(id=names.itwin_id, name="")
    return NamedIModel(id=imodel_id, name=names.imodel, itwin=owner, place=names.place)


@task(
    **once_per_flow_run(1, 3, 8),  # a retry exports the same iModel, though it may be renamed meanwhile
)
async def resolve_imodel(credentials: ItwinCredentials, name: str) -> NamedIModel:
    """The iModel of a name like `Campus/Plant A`.

    Raises:
        NotFoundError: Nothing is called so.
        InputError: Several iModels are called so.
    """
    async with credentials.get_client() as itwin:
        found = await find_imodel(itwin, name)
    owner = NamedITwin(id=found.itwin.id.lower(), name=found.itwin.display_name)
    return NamedIModel(
        id=found.id.lower(), name=found.imodel.display_name, itwin=owner, place=names_of(found.imodel).place
    )


@task(**once_per_flow_run(1, 3, 8))
async def resolve_itwin(credentials: ItwinCredentials, name: str) -> NamedITwin:
    """The iTwin of that name.

    Raises:
        NotFoundError: Nothing is called so.
        InputError: Several iTwins are called so.
    """
    async with credentials.get_client() as itwin:
        found = await find_itwin(itwin, name)
    get_run_logger().info("“%s” is iTwin %s.", name, found.id)
    return NamedITwin(id=found.id.lower(), name=found.display_name)
