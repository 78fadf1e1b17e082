"""How long the steps of an export took, as a small table."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich import filesize

from tasks.export_progress import STEPS, ExportProgress, Step, duration
from tasks.markdown import table, text


@dataclass(frozen=True)
class _Span:
    step: str
    began: datetime | None
    ended: datetime | None
    note: str = ""

    @property
    def seconds(self) -> float | None:
        """None if the times do not say, or cannot be right."""
        if self.began is None or self.ended is None or self.ended < self.began:
            return None
        return (self.ended - self.began).total_seconds()


def step_times(progress: ExportProgress, scheduled_at: datetime | None, *, checked: str = "") -> str:
    """The steps that were begun, with the time that each took; times at the platform are by its own clock.

    `checked` is a note about the time that the checks took.
    """
    spans = [span for span in _spans(progress, scheduled_at, checked) if span.began is not None]
    return table(["Step", "Began (UTC)", "Took", ""], [_row(span) for span in spans])


def _spans(progress: ExportProgress, scheduled_at: datetime | None, checked: str) -> Iterator[_Span]:
    asked, ran_from, ran_to = progress.run_times
    began = progress.began
    yield _Span("Queued", scheduled_at, began["preparing"])
    yield _Span("Prepared", began["preparing"], _end_of("preparing", progress))
    if asked is not None:
        yield _Span("Waited for the run", asked, ran_from)
        yield _Span("Ran at the platform", ran_from, ran_to)
    else:
        yield _Span("At the platform", began.get("waiting"), _end_of("waiting", progress), text(progress.remote_state))
    yield _Span("Fetched", began.get("fetching"), _end_of("fetching", progress), _rate(progress))
    yield _Span("Checked", began.get("checking"), _end_of("checking", progress), checked)
    yield _Span("Published", began.get("publishing"), _end_of("publishing", progress))


def _end_of(step: Step, progress: ExportProgress) -> datetime | None:
    """When the next step began; now for the last one."""
    if step not in progress.began:
        return None
    later = [progress.began[after] for after in STEPS[STEPS.index(step) + 1 :] if after in progress.began]
    return min(later, default=datetime.now(UTC))


def _rate(progress: ExportProgress) -> str:
    seconds = _Span("", progress.began.get("fetching"), _end_of("fetching", progress)).seconds
    if not seconds or not progress.fetched_bytes:
        return ""
    size = filesize.decimal(progress.fetched_bytes)
    return f"{size} at {filesize.decimal(round(progress.fetched_bytes / seconds))}/s"


def _row(span: _Span) -> list[str]:
    began = span.began.astimezone(UTC).strftime("%H:%M:%S") if span.began else ""
    took = duration(span.seconds) if span.seconds is not None else ""
    return [span.step, began, took, span.note]
