"""Open the object store of a request: with a saved block, else with what the environment offers."""

from typing import TypeVar

from blocks.storage.export_destination import ExportDestination
from tasks.load_blocks import load_saved
from tasks.output_options import OutputOptions
from tasks.output_place import access_of_environment

Request = TypeVar("Request", bound=OutputOptions)


async def with_destination(request: Request) -> Request:
    """The request with the opened store of its output; one for a local folder has none.

    A request that names no output gets that of the block, if the block has one.

    Raises:
        ConfigurationError: There is no such block, or the store cannot be opened with it.
        InputError: The block names an output that this export cannot have.
    """
    block = await load_saved(ExportDestination, request.destination)
    if block and block.url and not request.names_output:
        request = request.with_output(block.url)
    elif request.destination != "default":
        request.require_output()
    return request.opened(block.access if block else access_of_environment())
