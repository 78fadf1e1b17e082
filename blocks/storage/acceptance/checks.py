"""What acceptance rules found: one check for each rule, and the verdict of all."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, computed_field

Verdict = Literal["accepted", "rejected", "error", "not_checked"]
CheckResult = Literal["passed", "failed", "error", "not_measured"]

UNACCEPTABLE = frozenset({"failed", "error"})
"""Results with which an export is not accepted."""


class Check(BaseModel):
    """One rule and what it measured."""

    model_config = ConfigDict(frozen=True)

    rule: str = Field(description="Table and key of the rules, as ifc.min_elements or ifc.require.IfcWall.")
    result: CheckResult = Field(
        description="error: it could not be measured; not_measured: there is nothing to compare."
    )
    limit: JsonValue = Field(default=None, description="As the rules say it.")
    measured: JsonValue = Field(default=None, description="Null if nothing was measured.")
    note: str = Field(default="", description="What was compared, or why nothing was measured.")

    @computed_field
    @property
    def passed(self) -> bool:
        """False too for what was not measured."""
        return self.result == "passed"

    def sentence(self) -> str:
        """The rule with its measured value and limit, for messages and tables."""
        measured = "not measured" if self.measured is None else f"measured {value_text(self.measured)}"
        limit = "" if self.limit is None else f", limit {value_text(self.limit)}"
        return f"{self.rule}: {measured}{limit}{f' ({self.note})' if self.note else ''}"


def verdict_of(checks: Iterable[Check]) -> Verdict:
    """Rejected if a rule failed, error if one could not be measured, accepted if one passed and none did either."""
    results = {check.result for check in checks}
    if "failed" in results:
        return "rejected"
    if "error" in results:
        return "error"
    return "accepted" if "passed" in results else "not_checked"


class CheckList:
    """Collects the checks of one table of the rules; a rule without a limit makes none."""

    def __init__(self, table: str) -> None:
        self.checks: list[Check] = []
        self._table = table

    def at_least(self, rule: str, limit: float | None, measured: float, note: str = "") -> None:
        """A measured value that must not be less than the limit."""
        if limit is not None:
            self.add(rule, limit, measured, passed=measured >= limit, note=note)

    def at_most(self, rule: str, limit: float | None, measured: float, note: str = "") -> None:
        """A measured value that must not be more than the limit."""
        if limit is not None:
            self.add(rule, limit, measured, passed=measured <= limit, note=note)

    def add(self, rule: str, limit: JsonValue, measured: JsonValue, *, passed: bool, note: str = "") -> None:
        """A check that was made."""
        self._append(rule, "passed" if passed else "failed", limit, measured, note)

    def not_measured(self, rule: str, limit: JsonValue, note: str) -> None:
        """A rule that has nothing to compare with."""
        self._append(rule, "not_measured", limit, None, note)

    def error(self, rule: str, limit: JsonValue, note: str) -> None:
        """A rule whose value cannot be determined: the export is not accepted."""
        self._append(rule, "error", limit, None, note)

    def _append(self, rule: str, result: CheckResult, limit: JsonValue, measured: JsonValue, note: str) -> None:
        name = f"{self._table}.{rule}"
        self.checks.append(Check(rule=name, result=result, limit=limit, measured=measured, note=note))


def value_text(value: JsonValue) -> str:
    """A limit or measured value for people; true and false as TOML writes them."""
    if isinstance(value, list):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
