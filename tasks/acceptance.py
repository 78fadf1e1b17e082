"""Acceptance rules as flows and commands are given them: the path of a TOML file, or the name of a saved block."""

import re
from collections.abc import Sequence
from pathlib import Path

from blocks.bounds import LONGEST_IDS
from blocks.errors import InputError
from blocks.storage.acceptance.ids.documents import holds_text, read_document
from blocks.storage.acceptance.ids_checks import require_ids_checker
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.acceptance.rules_file import parse_rules, read_rules_file
from tasks.local_file import local_path, read_local

_BLOCK_NAME = re.compile(r"[a-z0-9-]+")


def names_block(acceptance: str) -> bool:
    """True for what can be the name of a block; a file of such a name is given as ./NAME."""
    return _BLOCK_NAME.fullmatch(acceptance) is not None


def read_rules(acceptance: str) -> GivenRules:
    """The rules of a file, which can be checked here; the IDS documents that they name are found from its folder.

    Raises:
        InputError: They cannot be read, are invalid, or need what is not installed.
    """
    given = read_rules_file(acceptance)
    require_ids_checker(given.rules, f"The acceptance rules {given.source}")
    return with_local_documents(given, Path(given.source).parent)


def with_ids_files(given: GivenRules | None, paths: Sequence[Path]) -> GivenRules:
    """Rules, or none, with more IDS documents.

    Raises:
        InputError: A document cannot be read, or what checks it is not installed.
    """
    subject = "The options --ids"
    rules = given.rules.model_dump() if given else {}
    names = [str(path.absolute()) for path in paths]
    named = parse_rules({**rules, "ids": (*rules.get("ids", ()), *names)}, subject)
    require_ids_checker(named, subject)
    documents = list(given.documents) if given else []
    for path in map(Path, names):
        content = read_local(path, "IDS document", LONGEST_IDS)
        if content is None:
            raise InputError(f"There is no IDS document {path}. Correct its path.")
        documents.append(read_document(str(path), content))
    return GivenRules(source=given.source if given else "--ids", rules=named, documents=tuple(documents))


def with_local_documents(given: GivenRules, folder: Path | None = None) -> GivenRules:
    """The rules with those IDS documents that stand in them or are files on this machine.

    Raises:
        InputError: A document cannot be read.
    """
    documents = list(given.documents)
    for number, entry in enumerate(given.rules.ids, start=1):
        if holds_text(entry):
            documents.append(read_document(f"number {number} of the acceptance rules", entry.encode()))
        elif (content := read_local(local_path(entry, folder), "IDS document", LONGEST_IDS)) is not None:
            documents.append(read_document(entry, content))
    return given.model_copy(update={"documents": tuple(documents)})
