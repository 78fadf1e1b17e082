"""Load acceptance rules before anything is started: from a TOML file, or from a saved block."""

import asyncio
from typing import TypeVar

from pydantic import ValidationError

from blocks.errors import InputError
from blocks.storage.acceptance.acceptance_rules import AcceptanceRules
from blocks.storage.acceptance.ids_checks import require_ids_checker
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.acceptance.rules_file import describe_fault
from tasks.acceptance import names_block, read_rules, with_local_documents
from tasks.load_blocks import NoBlockError, find_saved
from tasks.options import ExportRequest

Request = TypeVar("Request", bound=ExportRequest)


async def with_rules(request: Request) -> Request:
    """The request with the rules of the block that it names; those of a file were read with its parameters.

    Raises:
        InputError: There are no such rules, they are invalid, or they need what is not installed.
    """
    if request.acceptance is None or request.rules is not None:
        return request
    return request.model_copy(update={"rules": await load_rules(request.acceptance)})


async def load_rules(acceptance: str) -> GivenRules:
    """The rules of a file or block, which can be checked here.

    Raises:
        InputError: There are no such rules, they are invalid, or they need what is not installed.
    """
    if not names_block(acceptance):
        return await asyncio.to_thread(read_rules, acceptance)
    subject = f"The acceptance rules of the block “{acceptance}”"
    try:
        given = GivenRules(source=acceptance, rules=(await find_saved(AcceptanceRules, acceptance)).to_rules())
    except ValidationError as error:
        raise InputError(f"{subject} {describe_fault(error)}") from None
    except NoBlockError as error:
        raise NoBlockError(f"{error} A file is named with its ending or folder, as in ./{acceptance}.") from None
    require_ids_checker(given.rules, subject)
    return with_local_documents(given)
