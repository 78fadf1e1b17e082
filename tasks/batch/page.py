"""The page of a batch: what changed, what failed and why, what took longest; one artifact for all exports."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import filesize

from blocks.storage.acceptance.judgement import reasons
from blocks.storage.manifest import Manifest
from blocks.storage.tileset.references import ROOT
from tasks.batch.unfinished_batch import UnfinishedBatch
from tasks.export_page import NOTHING_GOES_ON
from tasks.export_progress import ExportProgress, duration
from tasks.markdown import articles, code, command, document, items, link, section, table, text
from tasks.pasted_command import FlowRunFacts
from tasks.reports import BatchFailure, BatchReport, ExportFormat, ExportReport, FederationReport

SLOWEST = 10
"""Exports in the table of the slowest ones."""


@dataclass(frozen=True)
class BatchFacts:
    """The facts on the page that the report does not contain.

    Attributes:
        seconds: How long the batch took.
        requests: Requests to the platform that this process sent; None if other processes sent some.
        per_minute: The budget of requests.
        pages: Keys of the pages of single exports that exist.
    """

    repeat: str
    seconds: float
    requests: int | None
    per_minute: int
    pages: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict[str, str])
    itwin_name: str = ""

    def subject(self, imodel_id: str, export_format: ExportFormat) -> str:
        """The name of an iModel, linked to the page of its last single export if there is one."""
        key = ExportProgress(export_format, imodel_id).key
        return link(self.names.get(imodel_id, imodel_id), f"/artifacts/key/{key}" if key in self.pages else "")


def batch_page(report: BatchReport, facts: BatchFacts) -> str:
    """The page of a batch; its size does not depend on the number of iModels."""
    changed = [one for one in report.reports if not one.skipped and one.verdict != "rejected"]
    return document(
        f"# {text(facts.itwin_name or report.itwin_id)}",
        f"**{counts_of(report)}.** Took {duration(facts.seconds)}.",
        section("Failed", _failed(report.failures, facts), *_advice(report, facts)),
        section("Rejected by the acceptance rules", _rejected(report.reports, facts)),
        section("One tileset for all", *_federation(report.federation)),
        section("Exported", _exported(changed, facts)),
        section("Slowest", _slowest(changed, facts)),
        section("Details", items(_details(report, facts))),
    )


def ended_batch_page(how: str, batch: UnfinishedBatch, run: FlowRunFacts, output_dir: Path) -> str:
    """The page of a batch whose flow run was cancelled or crashed."""
    begun = batch.begun
    said = f"{len(batch.published)} of {batch.total} exports are published" if batch.total else "It had not begun"
    kept = "; what had been published before is as it was" if batch.total else ""
    return document(
        f"# {text(begun.itwin_name or begun.itwin_id)}",
        f"**The flow run {text(how)}.** {said}{kept}.",
        section("What goes on at the platform", items(_going_on(batch, run)) or NOTHING_GOES_ON),
        section("What to do", "To export the rest, and to pick up what goes on:", command(run.repeat)),
        section("Published", _published(batch.published)),
        section("Details", items([f"iTwin {code(begun.itwin_id)}", f"Folder {code(output_dir)}", *_flow_run(run)])),
    )


def _going_on(batch: UnfinishedBatch, run: FlowRunFacts) -> Iterator[str]:
    if run.changed.get("shards", 1) != 1:
        yield "Each shard is a flow run of its own, with a page of its own"
    if batch.lacks_tiles:
        yield "The tiles that had been asked for"
    yield from (f"**{text(name)}**: {text(said)}" for name, said in batch.remote_runs)


def _published(manifests: Sequence[Manifest]) -> str:
    rows = [
        [text(one.imodel_name or one.imodel_id), one.format, _version(one), filesize.decimal(one.total_bytes)]
        for one in manifests
    ]
    return table(["iModel", "Format", "Version", "Size"], rows) if rows else ""


def _flow_run(run: FlowRunFacts) -> Iterator[str]:
    if run.id:
        yield f"Flow run {code(run.id)}"


def counts_of(report: BatchReport) -> str:
    """How many exports ended how."""
    rejected = f", {report.rejected} rejected" if report.rejected else ""
    return f"{report.exported} exported, {report.skipped} skipped, {report.failed} failed{rejected}"


def _failed(failures: Sequence[BatchFailure], facts: BatchFacts) -> str:
    """A list, because long texts in a table are cut at the edge of the page."""
    return items(
        f"**{facts.subject(one.imodel_id, one.format)}** ({one.format}): {text(one.error)}{articles(one.articles)}"
        for one in failures
    )


def _rejected(reports: Sequence[ExportReport], facts: BatchFacts) -> str:
    rows = [
        [facts.subject(one.imodel_id, one.format), one.format, text(reasons(one.checks))]
        for one in reports
        if one.verdict == "rejected"
    ]
    return table(["iModel", "Format", "Rules that failed"], rows) if rows else ""


def _advice(report: BatchReport, facts: BatchFacts) -> Iterator[str]:
    if report.failures:
        yield "To export them again, after correcting what is named (what is exported already is skipped):"
        yield command(facts.repeat)


def _federation(federation: FederationReport | None) -> Iterator[str]:
    if federation is None:
        return
    if federation.error:
        yield text(federation.error)
        return
    yield f"{federation.included} iModels, to be seen with:"
    yield command(f"itwin-export view {shlex.quote((federation.tileset or '')[: -len(ROOT) - 1])}")
    rows = [[text(one.imodel_name), text(one.reason)] for one in federation.imodels if one.status == "left out"]
    yield table(["iModel that is left out", "Why"], rows) if rows else ""


def _exported(changed: Sequence[ExportReport], facts: BatchFacts) -> str:
    rows = [
        [
            facts.subject(one.imodel_id, one.format),
            one.format,
            _version(one),
            filesize.decimal(one.total_bytes),
            text(f"{one.result}{f', {len(one.warnings)} warnings' if one.warnings else ''}"),
        ]
        for one in changed
    ]
    return table(["iModel", "Format", "Version", "Size", "Result"], rows) if rows else ""


def _version(report: ExportReport | Manifest) -> str:
    if report.named_version:
        return text(report.named_version.name)
    return code(report.changeset_id[:10]) if report.changeset_id else "baseline"


def _slowest(changed: Sequence[ExportReport], facts: BatchFacts) -> str:
    by_time = sorted(changed, key=_seconds, reverse=True)[:SLOWEST]
    rows = [[facts.subject(one.imodel_id, one.format), one.format, duration(_seconds(one))] for one in by_time]
    return table(["iModel", "Format", "Took"], rows) if rows else ""


def _seconds(report: ExportReport) -> float:
    return max(0.0, (report.finished_at - report.started_at).total_seconds())


def _details(report: BatchReport, facts: BatchFacts) -> Iterator[str]:
    yield f"iTwin {code(report.itwin_id)}"
    folders = {one.output_dir for one in report.reports}
    yield from (f"Folder {code(folder)}" for folder in sorted(folders)[:1])
    if facts.requests is not None:
        allowed = round(facts.per_minute * max(1.0, facts.seconds / 60))
        yield f"Requests to the platform: {facts.requests} of {allowed}, at {facts.per_minute} a minute"
