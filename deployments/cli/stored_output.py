"""Object stores for commands that only read what is published: without Prefect where Prefect has no say in it."""

from blocks.storage.destination.address import StoreAddress
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_access import StoreAccess, open_store
from deployments.cli.platform_access import is_decided_without_prefect
from tasks.output_place import access_of_environment


def opened_store(address: StoreAddress, destination: str) -> ObjectStore:
    """The store of an address, with the credentials of a saved block, else with those of the environment.

    Raises:
        ConfigurationError: There is no such block, or the store cannot be opened with it.
    """
    if is_decided_without_prefect(destination):
        return open_store(address, access_of_environment())
    from deployments.cli.own_server import run_with_server  # noqa: PLC0415  imports Prefect

    return open_store(address, run_with_server(_saved_access(destination)))


async def _saved_access(destination: str) -> StoreAccess:
    from blocks.storage.export_destination import ExportDestination  # noqa: PLC0415  imports Prefect
    from tasks.load_blocks import load_saved  # noqa: PLC0415  imports Prefect

    block = await load_saved(ExportDestination, destination)
    return block.access if block else access_of_environment()
