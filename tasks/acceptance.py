"""Acceptance rules as flows and commands are given them: the path of a TOML file, or the name of a saved block."""

import re

from blocks.storage.acceptance.ids_checks import require_ids_checker
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.acceptance.rules_file import read_rules_file

_BLOCK_NAME = re.compile(r"[a-z0-9-]+")


def names_block(acceptance: str) -> bool:
    """True for what can be the name of a block; a file of such a name is given as ./NAME."""
    return _BLOCK_NAME.fullmatch(acceptance) is not None


def read_rules(acceptance: str) -> GivenRules:
    """The rules of a file, which can be checked here.

    Raises:
        InputError: They cannot be read, are invalid, or need what is not installed.
    """
    given = read_rules_file(acceptance)
    require_ids_checker(given.rules, f"The acceptance rules {given.source}")
    return given
