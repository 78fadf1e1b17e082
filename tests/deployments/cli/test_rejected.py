"""How a command ends whose exports are rejected: tables, and the exit code."""

from datetime import UTC, datetime

import pytest

from blocks.errors import BatchRejectedError, ReportedError
from blocks.storage.acceptance.checks import Check, Verdict
from deployments.cli.exports import print_report, raise_if_rejected
from tasks.reports import BatchReport, ExportedFile, ExportReport

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
FAILED = Check(rule="ifc.min_elements", result="failed", limit=100, measured=43)


def report_of(verdict: Verdict, *checks: Check, folder: str = "i/ifc/rejected/0003 2026-11-26") -> ExportReport:
    return ExportReport(
        imodel_id="i",
        imodel_name="Plant A",
        changeset_id="c",
        format="ifc",
        result="Success",
        verdict=verdict,
        checks=checks,
        files=(ExportedFile(path=f"{folder}/Plant A.ifc", role="model", size=1, sha256="0"),),
        output_dir="/exports",
        started_at=NOON,
        finished_at=NOON,
    )


@pytest.mark.parametrize(("verdict", "exit_code"), [("rejected", 5), ("error", 1)])
def test_a_rejected_export_ends_with_its_exit_code(verdict: Verdict, exit_code: int) -> None:
    """Also where its run completed; the sentence says which rule, and where the export lies."""
    with pytest.raises(ReportedError, match=r"ifc.min_elements: measured 43, limit 100. It lies in .*0003") as ended:
        raise_if_rejected(report_of(verdict, FAILED))
    assert ended.value.exit_code == exit_code


def test_a_published_one_is_said_to_be_published() -> None:
    """Of an export that is published although it is rejected, the sentence says so."""
    with pytest.raises(ReportedError, match="It is published in /exports/i/ifc"):
        raise_if_rejected(report_of("rejected", FAILED, folder="i/ifc"))


@pytest.mark.parametrize("verdict", ["accepted", "not_checked"])
def test_others_end_as_before(verdict: Verdict) -> None:
    """An accepted export and one that was not checked end with 0."""
    raise_if_rejected(report_of(verdict))


def test_a_batch_lists_what_was_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    """Its table has the rules that failed with their values, and the command ends with 5."""
    batch = BatchReport(
        itwin_id="t", exported=1, skipped=0, failed=0, rejected=1, reports=(report_of("rejected", FAILED),)
    )
    print_report(batch, as_json=False)
    said = capsys.readouterr().out
    assert "Rejected" in said
    assert "ifc.min_elements: measured 43, limit 100" in said
    assert "Success (rejected)" in said
    with pytest.raises(BatchRejectedError, match="acceptance rules: 1 of 1 exports"):
        raise_if_rejected(batch)


def test_rules_are_a_table_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    """The table of a single export is followed by its rules, those too that passed."""
    passed = Check(rule="ifc.require.IfcWall", result="passed", limit=1, measured=17)
    print_report(report_of("rejected", FAILED, passed), as_json=False)
    said = capsys.readouterr().out
    assert all(words in said for words in ("Acceptance rules", "ifc.require.IfcWall", "17", "failed", "passed"))
