"""The IDS documents that rules name, checked on IFC files."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from blocks.errors import ConfigurationError
from blocks.storage.acceptance.checks import Check
from blocks.storage.acceptance.rules import Rules

CHECKER = "ifctester"


def require_ids_checker(rules: Rules, subject: str) -> None:
    """Check that IDS documents can be checked here, before anything is started.

    Raises:
        ConfigurationError: The rules name documents, and what checks them is not installed.
    """
    if rules.ids and find_spec(CHECKER) is None:
        raise ConfigurationError(
            f"{subject} name IDS documents, and {CHECKER}, which checks them, is not installed. Install the extra "
            f"“acceptance”: uv tool install 'itwin-export[acceptance]', or pip install 'itwin-export[acceptance]'."
        )


def check_ids_documents(rules: Rules, models: Sequence[Path]) -> list[Check]:
    """One check for each document; one that cannot be checked is an error, so that nothing is accepted unseen.

    Args:
        rules: The rules.
        models: The IFC files of one export.
    """
    note = "this release does not check IDS documents"
    return [Check(rule=f"ids.{name}", result="error", limit=None, note=note) for name in rules.ids if models]
