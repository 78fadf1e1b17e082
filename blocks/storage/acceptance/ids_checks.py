"""The IDS documents that rules name, checked on IFC files."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import NamedTuple

from pydantic import JsonValue

from blocks.errors import ConfigurationError
from blocks.settings import read_settings
from blocks.shown_text import shown
from blocks.storage.acceptance.checks import Check, CheckResult
from blocks.storage.acceptance.ids.checker import IdsCheckError, IdsLimits, check_ifc_against, require_valid
from blocks.storage.acceptance.ids.models import IdsDocument, IdsReport, Specification
from blocks.storage.acceptance.rules import GivenRules, Rules

CHECKER = "ifctester"
REPORT_NAME = "acceptance"
MOST_CHECKS = 500
"""Specifications of a file that are listed one by one; of the rest only what did not pass."""
_LONGEST_NAME = 200


class CheckedIds(NamedTuple):
    """One check for each specification, and the reports by file name."""

    checks: list[Check]
    reports: dict[str, bytes]


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


def require_valid_documents(given: GivenRules | None) -> None:
    """Let ifctester read the IDS documents, before anything is started.

    Raises:
        InputError: One is invalid.
    """
    if given and given.documents:
        require_valid(given.documents, _limits())


def check_ids_documents(given: GivenRules, models: Sequence[Path]) -> CheckedIds:
    """One check for each specification; what cannot be checked is an error, so that nothing is accepted unseen.

    Args:
        given: The rules, with the documents that they name.
        models: The IFC files of one export.
    """
    checks = [_error(name, "the document was not read") for name in given.missing_documents if models]
    reports: dict[str, bytes] = {}
    for number, model in enumerate(models if given.documents else (), start=1):
        try:
            checked = check_ifc_against(given.documents, model, _limits())
        except IdsCheckError as error:
            checks += [_error(document.name, str(error)) for document in given.documents]
            continue
        name = REPORT_NAME if len(models) == 1 else f"{REPORT_NAME}-{number}"
        reports |= {f"{name}.html": checked.html, f"{name}.json": checked.report.model_dump_json(indent=1).encode()}
        checks += _checks_of(checked.report, given.documents)
    return CheckedIds(checks, reports)


def _checks_of(report: IdsReport, documents: Iterable[IdsDocument]) -> list[Check]:
    checks = [_check_of(one, report.ifc_schema) for one in report.specifications]
    checked = {one.document for one in report.specifications if one.checked}
    unchecked = [document.name for document in documents if document.name not in checked]
    note = f"no specification in it is for {report.ifc_schema}"
    worst_first = sorted(checks, key=lambda check: check.result == "passed")
    return [*(_error(name, note) for name in unchecked), *worst_first[:MOST_CHECKS]]


def _check_of(one: Specification, schema: str) -> Check:
    result, measured, note = _outcome(one, schema)
    rule = f"ids.{_name(one.document)}: {_short(one.name)}"
    return Check(rule=rule, result=result, limit=one.usage, measured=measured, note=note)


def _outcome(one: Specification, schema: str) -> tuple[CheckResult, JsonValue, str]:
    if not one.checked:
        return "not_measured", None, f"it is not for {schema}"
    result: CheckResult = "passed" if one.passed else "failed"
    if one.usage == "prohibited" or not one.applicable:
        return result, f"applies to {one.applicable}", ""
    unmet = next((requirement for requirement in one.requirements if requirement.failed), None)
    note = f"{unmet.failed} times not: {_short(unmet.text)}" if unmet else ""
    return result, f"{one.failed} of {one.applicable} fail", note


def _error(document: str, note: str) -> Check:
    return Check(rule=f"ids.{_name(document)}", result="error", note=note)


def _name(document: str) -> str:
    """The last part of a path; a blob's name stays as it is where it has none."""
    return _short(PurePath(document).name or document)


def _short(text: str) -> str:
    return shown(text, _LONGEST_NAME)


def _limits() -> IdsLimits:
    settings = read_settings()
    return IdsLimits(memory=settings.ids_memory_mb, seconds=settings.ids_seconds)
