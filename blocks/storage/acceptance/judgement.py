"""Decide whether the content of an export is what was agreed."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from blocks.storage.acceptance.checks import UNACCEPTABLE, Check, Verdict, verdict_of
from blocks.storage.acceptance.comparison import PreviousExport
from blocks.storage.acceptance.ids_checks import CheckedIds, check_ids_documents
from blocks.storage.acceptance.ifc_checks import check_ifc_rules
from blocks.storage.acceptance.imodel_place import IModelPlace
from blocks.storage.acceptance.mesh_checks import check_mesh_rules
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.content.models import ExportContent


class Judgement(BaseModel):
    """The verdict with its checks, and the sentences that a person should read besides."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict = "not_checked"
    checks: tuple[Check, ...] = ()
    warnings: tuple[str, ...] = ()
    reports: dict[str, bytes] = Field(default={}, exclude=True, description="Reports on IDS documents, by file name.")


def judge(
    given: GivenRules | None,
    content: ExportContent,
    folder: Path,
    previous: PreviousExport | None,
    imodel: IModelPlace | None = None,
) -> Judgement:
    """Check the content of an export; without rules it is not checked.

    Args:
        given: The rules.
        content: What the export contains.
        folder: Where its files are.
        previous: The export that was published before.
        imodel: What was exported; None for files of unknown origin.
    """
    if given is None:
        return Judgement()
    rules = given.rules
    checks: list[Check] = []
    ids = CheckedIds([], {})
    if content.tileset:
        checks += check_mesh_rules(rules.mesh, content.tileset, previous)
    if content.ifc:
        checks += check_ifc_rules(rules.ifc, content.ifc, previous, imodel)
        ids = check_ids_documents(given, [folder / file.path for file in content.ifc])
        checks += ids.checks
    warnings = () if checks else (_nothing_for_it(given, "mesh" if content.tileset else "ifc"),)
    return Judgement(verdict=verdict_of(checks), checks=tuple(checks), warnings=warnings, reports=ids.reports)


def reasons(checks: Iterable[Check]) -> str:
    """The rules that failed or could not be measured, with measured value and limit."""
    return "; ".join(check.sentence() for check in checks if check.result in UNACCEPTABLE)


def _nothing_for_it(given: GivenRules, table: str) -> str:
    others = " and ".join(f"[{name}]" for name in given.rules.tables_with_rules()) or "ids"
    return f"The acceptance rules {given.source} hold no table [{table}], only {others}: nothing was checked."
