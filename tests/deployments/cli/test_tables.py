"""What the commands print of exports, on wide and on narrow terminals."""

import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from deployments.cli.tables import TABLE_WIDTH, print_exports
from tasks.reports import ExportedFile, ExportReport

IMODEL, RUN = "5a0a1e27-1118-56f1-9ecc-d3d2572fb00b", "e1379469-3461-5466-86a9-525cd6ea46aa"
PATH = f"{IMODEL}/ifc/Plant A, [draft].ifc"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
REPORT = ExportReport(
    imodel_id=IMODEL,
    changeset_id="e7a48ce214" + "0" * 30,
    format="ifc",
    run_id=RUN,
    result="Success",
    total_bytes=37_000,
    files=(
        ExportedFile(path=PATH, role="model", size=37_000, sha256="0" * 64),
        ExportedFile(path=PATH.replace(".ifc", ".log"), role="log", size=104, sha256="0" * 64),
    ),
    output_dir="/exports",
    started_at=NOW,
    finished_at=NOW,
)


def printed(width: int, *reports: ExportReport) -> list[str]:
    console = Console(width=width, file=io.StringIO(), color_system=None)
    with console.capture() as captured:
        print_exports(reports or [REPORT], console)
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [40, 80, TABLE_WIDTH - 1])
def test_a_narrow_terminal_gets_a_list(width: int) -> None:
    """Path and id of the run stand whole in their lines, so that they can be copied."""
    said = printed(width)
    assert said[0] == str(Path("/exports", PATH))
    assert f"  export run {RUN}" in said
    assert any(line.startswith("  Success, 37.0 kB, changeset") for line in said)
    assert said[-1] == "  log, 104 bytes"


def test_a_wide_terminal_gets_a_table() -> None:
    """Where a path has room in a table, there is one row for each file."""
    said = printed(300)
    assert sum(PATH in line for line in said) == 1
    assert any("Changeset" in line for line in said)


def test_a_list_counts_what_is_unchanged() -> None:
    """Of a batch in which one of three changed, one is listed; a single export is listed in any case."""
    skipped = REPORT.model_copy(update={"skipped": True})
    said = printed(80, skipped, REPORT, skipped)
    assert sum(PATH in line for line in said) == 1
    assert said[-1] == "2 unchanged since they were exported"
    assert PATH in printed(80, skipped)[0]
