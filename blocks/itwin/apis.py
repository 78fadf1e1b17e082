"""The bundle of API clients of one caller."""

from dataclasses import dataclass

from blocks.itwin.api.exports import ExportApi
from blocks.itwin.api.imodels import IModelsApi
from blocks.itwin.api.itwins import ITwinsApi
from blocks.itwin.api.meshes import MeshExportApi
from blocks.itwin.api.storage import StorageApi
from blocks.itwin.client import ItwinClient


@dataclass(frozen=True)
class ItwinApis:
    """The API clients of one caller, which share connections, tokens and the rate limiter."""

    client: ItwinClient
    exports: ExportApi
    storage: StorageApi
    imodels: IModelsApi
    meshes: MeshExportApi
    itwins: ITwinsApi


def apis_of(client: ItwinClient) -> ItwinApis:
    """Every API on one client."""
    return ItwinApis(
        client, ExportApi(client), StorageApi(client), IModelsApi(client), MeshExportApi(client), ITwinsApi(client)
    )
