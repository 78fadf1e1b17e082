"""The platform's APIs as one caller sees them."""

from dataclasses import dataclass

from blocks.itwin.api.exports import ExportApi
from blocks.itwin.api.imodels import IModelsApi
from blocks.itwin.api.meshes import MeshExportApi
from blocks.itwin.api.storage import StorageApi
from blocks.itwin.client import ItwinClient


@dataclass(frozen=True)
class ItwinApis:
    """The platform as one caller sees it, an API a field."""

    client: ItwinClient
    exports: ExportApi
    storage: StorageApi
    imodels: IModelsApi
    meshes: MeshExportApi


def apis_of(client: ItwinClient) -> ItwinApis:
    """Every API on one client."""
    return ItwinApis(client, ExportApi(client), StorageApi(client), IModelsApi(client), MeshExportApi(client))
