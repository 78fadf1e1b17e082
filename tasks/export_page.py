"""The page of one export: what happened, where it is, how long it took, and what to do next."""

import base64
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich import filesize

from blocks.errors import ExportError, FailedTask, InputError, NotAuthorizedError, RunFailedError, without_secrets
from blocks.shown_text import shown
from blocks.storage.acceptance.checks import Check, value_text
from blocks.storage.preview_file import read_preview
from tasks.export_progress import ExportProgress
from tasks.judged_export import refusal_of
from tasks.markdown import articles, code, command, document, items, link, section, table, text
from tasks.output_place import check_output_dir
from tasks.pasted_command import FlowRunFacts
from tasks.reports import ExportedFile, ExportReport, about_picture
from tasks.step_times import step_times

PLATFORM = "https://api.bentley.com"
PORTAL = "https://developer.bentley.com/my-itwins"
"""Where a browser shows an iModel of that platform; other platforms have no known address."""
KINDS = {"ifc": "IFC", "mesh": "3D Tiles"}
NOTHING_GOES_ON = "Nothing goes on at the platform for this flow run, as far as it had noted."
MOST_SETTINGS = 40
FIRST_DIGITS = 12


@dataclass(frozen=True)
class PageFacts:
    """What a page says besides the report.

    Attributes:
        run: The flow run.
        going_on: What the platform still does; empty if nothing.
        picture: The picture in markdown, or why there is none.
    """

    progress: ExportProgress
    run: FlowRunFacts = field(default_factory=FlowRunFacts)
    going_on: str = ""
    picture: str = ""


def success_page(report: ExportReport, facts: PageFacts) -> str:
    """The page of a finished export, which is published or lies in `rejected/`."""
    return document(
        heading(facts.progress, report),
        f"**{_outcome(report)}.** Result: {text(report.result)}.",
        facts.picture,
        items(_findings(report)),
        section("Acceptance rules", *_checks(report)),
        section("What to do", *_after_rejection(report, facts.run.repeat)),
        section("Warnings", items((f"⚠ {text(one)}" for one in report.warnings), most=20)),
        section("Files", _files(report), f"In {code(_folder(report))}. To look at it:", command(_view(report))),
        section("Time", _times_of(report, facts)),
        section("Details", items(_details(facts, report))),
    )


def _times_of(report: ExportReport, facts: PageFacts) -> str:
    if report.skipped:
        return ""
    return step_times(facts.progress, facts.run.scheduled_at, checked="with the picture" if report.preview else "")


def _outcome(report: ExportReport) -> str:
    kind = KINDS[report.format]
    if report.verdict == "rejected":
        return f"Exported as {kind}, and rejected by the acceptance rules"
    return f"Nothing to do: {kind} is already there, whole and verified" if report.skipped else f"Exported as {kind}"


def failure_page(error: Exception, facts: PageFacts) -> str:
    """The page of an export that failed."""
    failed = error.failed_tasks if isinstance(error, RunFailedError) else ()
    return document(
        heading(facts.progress),
        f"**The {KINDS[facts.progress.format]} export failed** while {_activity(facts.progress)}.",
        f"> {text(_said(error))}",
        section("What failed at the platform", items((_failed_task(task) for task in failed), most=20)),
        section("What to do", _advice(error), command(facts.run.repeat)),
        section("What goes on", text(facts.going_on) if facts.going_on else ""),
        section("Time", step_times(facts.progress, facts.run.scheduled_at)),
        section("Details", items(_details(facts))),
    )


def _said(error: Exception) -> str:
    match error:
        case RunFailedError():
            return without_secrets(error.summary)
        case ExportError():
            return without_secrets(str(error))
        case _:
            return without_secrets(f"{type(error).__name__}: {error}")


def ended_page(how: str, facts: PageFacts) -> str:
    """The page of an export whose flow run was cancelled or crashed."""
    return document(
        heading(facts.progress),
        f"**The flow run {text(how)}.** Nothing of it is published; an earlier export is as it was.",
        section("What goes on at the platform", text(facts.going_on or NOTHING_GOES_ON)),
        section("What to do", "To go on from there:", command(facts.run.repeat)),
        section("Details", items(_details(facts))),
    )


def released_page(waited_for: str, facts: PageFacts) -> str:
    """The page of an export whose flow run is suspended while the platform works."""
    return document(
        heading(facts.progress),
        f"**The flow run waits without a process** for {text(waited_for)}.",
        section("What happens next", f"The flow {code('follow-runs')} resumes it then. Nothing has to be done."),
        section("Details", items(_details(facts))),
    )


def picture_of(report: ExportReport) -> str:
    """The picture of an export as a part of the page, or why there is none; reads the picture from the disk."""
    content = read_preview(check_output_dir(report.output_dir) / report.preview) if report.preview else None
    said = f"{about_picture(report)}: {text(report.preview_reason)}" if report.preview_reason else ""
    if content is None:
        return said
    return document(f"![The exported model](data:image/png;base64,{base64.b64encode(content).decode()})", said)


def heading(progress: ExportProgress, report: ExportReport | None = None) -> str:
    """The iModel and its version by name, linked to the platform where the address is known."""
    named = (report.imodel_name if report else None) or progress.subject
    itwin_id = progress.names.itwin_id
    is_known = itwin_id and progress.api_url.rstrip("/") == PLATFORM
    address = f"{PORTAL}/{itwin_id}/{progress.imodel_id}/view" if is_known else ""
    version = _version(progress, report)
    return f"# {link(named, address)}{f', {version}' if version else ''}"


def _version(progress: ExportProgress, report: ExportReport | None) -> str:
    version = (report.named_version if report else None) or progress.names.version
    index = (report.changeset_index if report else None) or progress.names.changeset_index
    changeset = (report.changeset_id if report else None) or progress.changeset_id
    if version:
        return text(version.name)
    if index:
        return f"changeset {index}"
    if changeset:
        return f"changeset {code(changeset[:10])}"
    return "" if changeset is None and report is None else "the baseline"


def _findings(report: ExportReport) -> Iterator[str]:
    """At most four lines: content, tiles, difference, and whether the run was started elsewhere."""
    if report.content is not None:
        schema, _, figures = report.content.sentence().partition(": ")
        yield f"Content ({text(schema)}): {text(figures)}"
    if report.format == "mesh":
        yield f"{report.tile_count} tiles, {filesize.decimal(report.total_bytes)}"
    if report.difference is not None:
        yield text(report.difference.sentence())
    if report.adopted and not report.skipped:
        yield "The run was started elsewhere: this flow run only waited for it"


def _checks(report: ExportReport) -> Iterator[str]:
    """The verdict, what follows from it, and each rule; nothing for an export that was not checked."""
    refusal = refusal_of(report)
    if refusal:
        yield f"**{report.verdict}**: {text(refusal)}"
    elif report.verdict == "accepted":
        yield "**accepted**"
    if report.checks:
        header = ["Rule", "Limit", "Measured", "Result", "Note"]
        yield table(header, (_check_row(check) for check in report.checks))


def _after_rejection(report: ExportReport, repeat: str) -> Iterator[str]:
    if report.verdict == "rejected":
        yield "Correct the iModel; or change the rules, and this export is checked again without a new run. Then:"
        yield command(repeat)


def _check_row(check: Check) -> list[str]:
    measured = "" if check.measured is None else text(value_text(check.measured))
    return [code(check.rule), text(value_text(check.limit)), measured, check.result.replace("_", " "), text(check.note)]


def _files(report: ExportReport) -> str:
    place = f"{_place(report)}/"
    rows = [
        [
            code(file.path.removeprefix(place)),
            file.role,
            filesize.decimal(_size(file, report)),
            f"`{file.sha256[:FIRST_DIGITS]}…`",
        ]
        for file in report.files
    ]
    return table(["File", "What it is", "Size", "SHA-256"], rows)


def _size(file: ExportedFile, report: ExportReport) -> int:
    return report.total_bytes if file.role == "tileset" else file.size


def _view(report: ExportReport) -> str:
    return shlex.join(["itwin-export", "view", _folder(report)])


def _folder(report: ExportReport) -> str:
    """Where the files are: the published folder, or one in the history."""
    return f"{report.output_dir.rstrip('/')}/{_place(report)}"


def _place(report: ExportReport) -> str:
    first = report.files[0].path if report.files else f"{report.imodel_id}/{report.format}/"
    return first.rpartition("/")[0]


def _failed_task(task: FailedTask) -> str:
    """One item of a list, because long texts in a table are cut at the edge of the page."""
    answer = {True: "you can correct it", False: "you cannot correct it", None: "not said whether you can correct it"}
    where = f" in phase {text(task.phase)}" if task.phase else ""
    known_as = f"{text(task.code)}, " if task.code else ""
    happened = text(task.description or task.result)
    read_more = articles([task.kb_article_link] if task.kb_article_link else [])
    return f"**{happened}** Failed{where} ({known_as}task {code(task.id)}); {answer[task.can_user_fix]}.{read_more}"


def _advice(error: Exception) -> str:
    """One sentence before the command that does it again."""
    match error:
        case RunFailedError(failed_tasks=failed) if any(task.can_user_fix for task in failed):
            return "Correct what is said above in the iModel or the options, then:"
        case RunFailedError():
            return "Export again; if it fails in the same way, export another version or tell Bentley the run's id:"
        case NotAuthorizedError():
            return "Get access as the message says (`itwin-export doctor` shows what is missing), then:"
        case InputError():
            return "Correct what the message names, then:"
        case ExportError():
            return "Run the same again:"
        case _:
            return "This is a fault of the program: please report it with the log of this flow run. To try again:"


def _activity(progress: ExportProgress) -> str:
    activities = {
        "preparing": "preparing",
        "waiting": "the platform worked on it",
        "fetching": "the files were fetched",
        "checking": "the files were checked",
    }
    return activities.get(progress.step, "the files were published")


def _details(facts: PageFacts, report: ExportReport | None = None) -> Iterator[str]:
    progress = facts.progress
    changeset = (report.changeset_id if report else None) or progress.changeset_id
    connection = (report.connection_id if report else None) or progress.connection_id
    run = (report.run_id if report else None) or progress.run_id
    yield f"iModel {code(progress.imodel_id)}"
    if changeset:
        yield f"Changeset {code(changeset)}"
    if run:
        yield f"{'Export run' if progress.format == 'ifc' else 'Mesh export'} {code(run)}"
    if connection:
        yield f"Export connection {code(connection)}"
    if facts.run.id:
        yield f"Flow run {code(facts.run.id)}"
    yield from _settings(facts.run.changed)


def _settings(changed: Mapping[str, Any]) -> Iterator[str]:
    named = [f"{name} = {code(shown(str(value)))}" for name, value in changed.items() if name != "imodel_id"]
    if named:
        yield f"Set differently from the defaults: {', '.join(named[:MOST_SETTINGS])}"
