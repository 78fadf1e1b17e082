"""How much more or less there is than in the export that was published before."""

from datetime import datetime

from blocks.kept_model import KeptModel
from blocks.storage.acceptance.checks import CheckList
from blocks.storage.acceptance.rules import RuleTable


class PreviousExport(KeptModel):
    """The export that was published before another one; `count` is of elements or tiles, None if it is not known."""

    changeset_id: str | None = None
    created_at: datetime
    count: int | None = None


def add_comparison(
    found: CheckList, rules: RuleTable, count: int, things: str, previous: PreviousExport | None
) -> None:
    """Check shrinkage and growth; without an export before, neither is measured."""
    limits = {"max_shrink_percent": rules.max_shrink_percent, "max_growth_percent": rules.max_growth_percent}
    for rule, limit in limits.items():
        if limit is None:
            continue
        if previous is None or not previous.count:
            found.not_measured(rule, limit, _nothing_before(previous, things))
            continue
        note = f"{count} {things}, {previous.count} in the export of {previous.created_at:%Y-%m-%d %H:%M} UTC"
        change = 100 * (count - previous.count) / previous.count
        found.at_most(rule, limit, round(max(0.0, -change if "shrink" in rule else change), 2), note)


def _nothing_before(previous: PreviousExport | None, things: str) -> str:
    if previous is None:
        return f"no export was published before, so there are no {things} to compare with"
    what = "has none" if previous.count == 0 else "has no content report"
    return f"the export of {previous.created_at:%Y-%m-%d %H:%M} UTC {what}, so there are no {things} to compare with"
