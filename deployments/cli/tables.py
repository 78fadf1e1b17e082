"""Tables for people."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich import filesize
from rich.console import Console
from rich.table import Table
from rich.text import Text

from blocks.errors import read_more
from blocks.shown_text import shown
from blocks.storage.acceptance.checks import Check, value_text
from blocks.storage.acceptance.judgement import reasons
from tasks.output_place import below
from tasks.reports import BatchFailure, ExportedFile, ExportReport, FederationReport

TABLE_WIDTH = 160
"""Columns of a terminal below which paths and ids in a table would be cut into pieces."""


def print_exports(reports: Sequence[ExportReport], console: Console | None = None) -> None:
    """What was exported: a table, or a list where the terminal is narrow; a path in it can be copied whole.

    The list of a batch counts the unchanged exports; each of them would take several lines.
    """
    console = console or wide_console()
    if console.width >= TABLE_WIDTH:
        console.print(report_table(reports))
        return
    changed = [report for report in reports if not report.skipped or len(reports) == 1]
    for report in changed:
        for file in report.files:
            path = shown(below(_from_here(report.output_dir), file.path))
            console.print(Text(path, style="bold"), soft_wrap=True)
            for line in _about(report, file):
                console.print(Text(f"  {shown(line)}"), soft_wrap=True)
    if unchanged := len(reports) - len(changed):
        console.print(f"{unchanged} unchanged since they were exported", highlight=False)


def _about(report: ExportReport, file: ExportedFile) -> Iterator[str]:
    """What the table says of a file, in lines."""
    if file.role == "log":
        yield f"log, {filesize.decimal(file.size)}"
        return
    size = filesize.decimal(report.total_bytes if file.role == "tileset" else file.size)
    yield f"{_outcome(report)}, {size}, changeset {_changeset(report)}"
    if content := _content(report):
        yield content
    if report.run_id:
        yield f"export run {report.run_id}"


def report_table(reports: Iterable[ExportReport]) -> Table:
    """What was exported, from which changeset, by which run, how big, where, and what is in it."""
    table = Table(title="Exports", title_justify="left")
    for column in ("File", "Role", "Size", "Changeset", "Export run", "Result", "Content"):
        table.add_column(column, justify="right" if column == "Size" else "left", overflow="fold")
    for report in reports:
        for file in report.files:
            add_row(
                table,
                below(_from_here(report.output_dir), file.path),
                file.role,
                filesize.decimal(report.total_bytes if file.role == "tileset" else file.size),
                _changeset(report),
                report.run_id or "",
                _outcome(report),
                "" if file.role == "log" else _content(report),
            )
    return table


def failure_table(failures: Iterable[BatchFailure]) -> Table:
    """What did not work out, and why."""
    table = Table("iModel", "Format", "Why", title="Failed", title_justify="left")
    for failure in failures:
        add_row(table, failure.imodel_id, failure.format, read_more(failure.error, failure.articles))
    return table


def rejected_table(reports: Iterable[ExportReport]) -> Table:
    """What the acceptance rules rejected, and why."""
    table = Table("iModel", "Format", "Why", title="Rejected", title_justify="left")
    for report in reports:
        if report.verdict == "rejected":
            add_row(table, report.imodel_name or report.imodel_id, report.format, reasons(report.checks))
    return table


def check_table(checks: Iterable[Check]) -> Table:
    """What the acceptance rules measured."""
    table = Table("Rule", "Limit", "Measured", "Result", "Note", title="Acceptance rules", title_justify="left")
    for check in checks:
        measured = "" if check.measured is None else value_text(check.measured)
        add_row(table, check.rule, value_text(check.limit), measured, check.result.replace("_", " "), check.note)
    return table


def print_federation(report: FederationReport) -> None:
    """The table of a common tileset; warnings go to stderr."""
    wide_console().print(federation_table(report))
    for warning in report.warnings:
        sys.stderr.write(f"{shown(warning)}\n")


def federation_table(report: FederationReport) -> Table:
    """What is in a common tileset, and what is left out and why."""
    table = Table("iModel", "Status", "Tiles", "Size", "Place", "Why", title_justify="left")
    imodels = "1 iModel" if report.included == 1 else f"{report.included} iModels"
    table.title = f"{imodels}, {report.left_out} left out\n{report.tileset or 'No common tileset'}"
    for one in report.imodels:
        place = one.extent.place if one.extent else ""
        tiles, size = (str(one.tile_count), filesize.decimal(one.total_bytes)) if one.status != "left out" else ("", "")
        add_row(table, one.imodel_name, one.status, tiles, size, place, one.reason)
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add a row of plain texts: brackets are no markup, control characters are written out."""
    table.add_row(*(Text(shown(cell)) for cell in cells))


def wide_console() -> Console:
    """Standard output; rows stay whole where no terminal sets the width."""
    return Console(width=None if sys.stdout.isatty() else 1000)


def _from_here(output_dir: str) -> str:
    path = Path(output_dir)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else output_dir


def _changeset(report: ExportReport) -> str:
    changeset = report.changeset_id[:10] or "baseline"
    return f"{changeset} ({report.named_version.name})" if report.named_version else changeset


def _content(report: ExportReport) -> str:
    content = report.content.sentence() if report.content else ""
    return f"{content}. Since the export before: {report.difference.changes()}" if report.difference else content


def _outcome(report: ExportReport) -> str:
    notes = [
        name for name, is_so in (("skipped", report.skipped), ("adopted: only waited for it", report.adopted)) if is_so
    ]
    notes += [f"{report.tile_count} tiles"] if report.format == "mesh" else []
    notes += [] if report.verdict == "not_checked" else [report.verdict]
    return f"{report.result} ({', '.join(notes)})" if notes else report.result
