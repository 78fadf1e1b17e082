"""Object stores for commands that only read what is published: without Prefect where Prefect has no say in it."""

from pathlib import Path

from blocks.storage.destination.address import StoreAddress
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_access import StoreAccess, open_store
from deployments.cli.platform_access import is_decided_without_prefect
from deployments.cli.prefect_settings import import_prefect
from tasks.output_options import OutputOptions
from tasks.output_place import access_of_environment


def opened_store(address: StoreAddress, destination: str) -> ObjectStore:
    """Open the object store at an address with the credentials that an export to it would use.

    Raises:
        ConfigurationError: There is no such block, or the store cannot be opened with it.
    """
    return open_store(address, store_access(destination))


def store_access(destination: str) -> StoreAccess:
    """The credentials of a saved block; those of the environment if no block is asked for by name and none is saved.

    Raises:
        ConfigurationError: There is no such block.
    """
    if is_decided_without_prefect(destination):
        return access_of_environment()
    import_prefect()
    from deployments.cli.own_server import run_with_server  # noqa: PLC0415  imports Prefect

    return run_with_server(_saved_access(destination))


def opened_output(output_dir: str | None, destination: str) -> Path | ObjectStore:
    """The output folder or the opened object store that a flow with these parameters would publish in.

    Raises:
        ConfigurationError: There is no such block, or the store cannot be opened with it.
        InputError: It is neither a folder that can be written to nor the address of a store that is supported.
    """
    options = OutputOptions.check(output_dir=output_dir, destination=destination)
    if is_decided_without_prefect(destination):
        return options.opened(access_of_environment()).opened_output
    import_prefect()
    from deployments.cli.own_server import run_with_server  # noqa: PLC0415  imports Prefect
    from tasks.load_destination import with_destination  # noqa: PLC0415  imports Prefect

    return run_with_server(with_destination(options)).opened_output


async def _saved_access(destination: str) -> StoreAccess:
    from blocks.storage.export_destination import ExportDestination  # noqa: PLC0415  imports Prefect
    from tasks.load_blocks import load_saved  # noqa: PLC0415  imports Prefect

    block = await load_saved(ExportDestination, destination)
    return block.access if block else access_of_environment()
