"""The bundle of API clients of one caller."""

import asyncio
from dataclasses import dataclass, field

from blocks.itwin.api.exports import ExportApi
from blocks.itwin.api.imodels import IModelsApi
from blocks.itwin.api.itwins import ITwinsApi
from blocks.itwin.api.mapping_files import MappingFiles
from blocks.itwin.api.mesh_listing_cache import MeshListingCache
from blocks.itwin.api.meshes import MeshExportApi
from blocks.itwin.api.storage import StorageApi
from blocks.itwin.client import ItwinClient

MAX_CONCURRENT_POLLS = 8


@dataclass(frozen=True)
class ItwinApis:
    """The API clients of one caller in one event loop, which share connections, tokens and the rate limiter.

    Args:
        poll_slots: Limits how many polls are sent at once; further polls wait in order of arrival. They wait before the
            rate limiter, so that requests which start or fetch an export do not queue behind a thousand polls.
    """

    client: ItwinClient
    exports: ExportApi
    storage: StorageApi
    imodels: IModelsApi
    meshes: MeshExportApi
    itwins: ITwinsApi
    mesh_listings: MeshListingCache
    mapping_files: MappingFiles
    poll_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT_POLLS))


def apis_of(client: ItwinClient) -> ItwinApis:
    """Every API on one client."""
    meshes, storage = MeshExportApi(client), StorageApi(client)
    return ItwinApis(
        client,
        ExportApi(client),
        storage,
        IModelsApi(client),
        meshes,
        ITwinsApi(client),
        MeshListingCache(meshes),
        MappingFiles(storage),
    )
