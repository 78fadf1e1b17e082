"""What a person sees while exports run: a live display on a terminal, a line now and then elsewhere."""

import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from blocks.shown_text import shown
from deployments.cli.logs import log_to
from deployments.stop_signals import stop_signals
from tasks.export_progress import ActiveExports, ExportProgress, duration, shown_exports

LINE_SECONDS = 10.0
"""Between two lines where no terminal is."""
MOST_EXPORTS = 5
"""Exports of a batch that have a line of their own."""
LONGEST_BAR = 40
NARROW = 60
"""Columns of a terminal."""
REFRESHES_PER_SECOND = 4
_CLEAN = "\r\x1b[J\x1b[?25h"
"""Erases what is below the cursor, and shows the cursor again."""


@contextmanager
def shown_progress() -> Generator[None]:
    """Show the exports that start in the block."""
    active = ActiveExports()
    shown_exports.set(active)
    console = Console(stderr=True, highlight=False)
    showing = live(active, console) if console.is_terminal and not console.is_dumb_terminal else lines(active)
    with showing:
        yield


@contextmanager
def live(active: ActiveExports, console: Console) -> Generator[None]:
    """Draw the exports below the log, several times a second; nothing of it stays at the end."""
    view = LiveView(active)
    stop_signals.cleanup = _CLEAN
    try:
        with log_to(console), Live(view, console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True):
            yield
    finally:
        stop_signals.cleanup = ""


@contextmanager
def lines(active: ActiveExports) -> Generator[None]:
    """Write a line every ten seconds, if there is something new to say."""
    ended = threading.Event()
    writer = threading.Thread(target=_write_lines, args=(active, ended), daemon=True)
    writer.start()
    try:
        yield
    finally:
        ended.set()
        writer.join()


def _write_lines(active: ActiveExports, ended: threading.Event) -> None:
    before = ""
    while not ended.wait(LINE_SECONDS):
        now = plain_line(active)
        if now and now != before:
            sys.stderr.write(f"{now}\n")
            sys.stderr.flush()
        before = now


def plain_line(active: ActiveExports) -> str:
    """The batch, or the export that runs, as one line; empty if there is neither."""
    if active.batch is not None:
        return shown(f"{active.batch.percent:.0f} %: {active.batch}")
    return shown(f"{active.exports[0].percent:.0f} %: {active.exports[0]}") if active.exports else ""


class LiveView:
    """The exports as they are at the moment, each line cut at the edge of the terminal."""

    def __init__(self, active: ActiveExports) -> None:
        self._active = active
        self._spinner = Spinner("dots" if sys.platform != "win32" else "line")

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        batch = self._active.batch
        exports = list(self._active.exports)
        if batch is not None:
            yield Text(str(batch))  # on two lines where it is longer than the terminal is wide
            yield _bar(batch.percent, "", width)
            yield from self._active_few(exports, width)
        for export in exports if batch is None else []:
            yield self._spinning(export, console)
            yield _bar(export.percent, _rate(export), width)

    def _spinning(self, export: ExportProgress, console: Console) -> Table:
        row = Table.grid(padding=(0, 1))
        row.add_column(width=1)
        row.add_column(overflow="ellipsis", no_wrap=True)
        row.add_row(self._spinner.render(console.get_time()), _line(_waits(export, console.width)))
        return row

    def _active_few(self, exports: list[ExportProgress], width: int) -> Iterator[Text]:
        for export in exports[:MOST_EXPORTS]:
            yield _line(f"  {_waits(export, width)}")
        if len(exports) > MOST_EXPORTS:
            yield _line(f"  and {len(exports) - MOST_EXPORTS} more")


def _waits(export: ExportProgress, width: int) -> str:
    """What an export waits for; on a narrow terminal its state alone, which would be cut off otherwise."""
    doing = export.remote_state if width < NARROW and export.step == "waiting" else ""
    return f"{shown(export.subject)}: {shown(doing or export.doing())} · {duration(export.age)}"


def _rate(export: ExportProgress) -> str:
    left = export.transfer.seconds_left if export.transfer and export.step == "fetching" else None
    return f"{duration(left)} left" if left is not None else ""


def _bar(percent: float, note: str, width: int) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row(
        ProgressBar(100, percent, max(8, min(LONGEST_BAR, width - 24)), complete_style="cyan", finished_style="green"),
        Text(f"{percent:.0f} %"),
        Text(note, overflow="ellipsis", no_wrap=True),
    )
    return row


def _line(text: str) -> Text:
    return Text(text, overflow="ellipsis", no_wrap=True)
