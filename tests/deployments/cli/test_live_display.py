"""What a terminal shows of exports that run, at any width, and the lines where no terminal is."""

import io
import logging
import sys
import time
from contextvars import copy_context

import pytest
from rich.console import Console

from deployments.cli.live_display import LiveView, lines, live, plain_line
from deployments.cli.logs import quiet_console
from deployments.sandbox.state.seed import SEEDED
from deployments.stop_signals import stop_signals
from tasks.export_progress import ActiveExports, ExportProgress, following, shown_exports
from tasks.options import Names
from tasks.platform_slots import share_slots

LONG_NAME = "A very long name of an iModel that no terminal has room for \x1b[2J"


class Batch:
    """A batch in the middle."""

    percent = 42.0

    def __str__(self) -> str:
        return "70 waiting, 25 active, 100 exported, 3 skipped, 2 failed"


def export(name: str = "Plant A") -> ExportProgress:
    progress = ExportProgress("ifc", SEEDED.plant, Names(imodel=name))
    progress.enter("waiting")
    progress.note_state("Executing")
    return progress


def drawn(active: ActiveExports, width: int) -> list[str]:
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as captured:
        console.print(LiveView(active))
    return captured.get().splitlines()


@pytest.mark.parametrize("width", [80, 40, 20])
def test_lines_are_cut_at_the_edge(width: int) -> None:
    """One line says what is waited for, one how far it is; neither is wider than the terminal, whatever the name."""
    for name in ("Plant A", LONG_NAME):
        shown = drawn(ActiveExports(exports=[export(name)]), width)
        assert len(shown) == 2
        assert all(len(line) <= width for line in shown)
        assert name[:8] in shown[0]
        assert "10 %" in shown[1]
        assert "\x1b" not in "".join(shown)


def test_a_narrow_terminal_shows_the_state() -> None:
    """At 40 columns the state at the platform and the age are not cut off."""
    active = ActiveExports(exports=[export("Quay 0101")])
    assert "Quay 0101: Executing · 0.0 s" in drawn(active, 40)[0]
    assert "Quay 0101: at the platform, export run Executing · " in drawn(active, 80)[0]


def test_a_batch_shows_totals_and_a_few() -> None:
    """With 200 active exports, the display has a line for each of five exports, and one with the count of others."""
    shown = drawn(ActiveExports(Batch(), [export(f"Quay {number}") for number in range(200)]), 80)
    assert "100 exported" in shown[0]
    assert "42 %" in shown[1]
    assert len(shown) == 8
    assert shown[-1].strip() == "and 195 more"


@pytest.mark.parametrize("width", [80, 40, 20])
def test_totals_of_a_batch_are_whole(width: int) -> None:
    """On a narrow terminal they take several lines, so that failures at their end are seen."""
    shown = drawn(ActiveExports(Batch()), width)
    assert " ".join(line.strip() for line in shown[:-1]) == str(Batch())
    assert all(len(line) <= width for line in shown)


def test_nothing_stays_of_the_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the display ends, it is erased and the cursor is visible; lines logged meanwhile remain."""
    monkeypatch.setenv("NO_COLOR", "1")
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, highlight=False)
    with live(ActiveExports(exports=[export()]), console):
        assert stop_signals.cleanup
        console.print("a line of the log")
    said = screen.getvalue()
    assert said.count("\x1b[?25l") == said.count("\x1b[?25h") == 1
    assert said.endswith("\x1b[1A\x1b[2K")
    assert "a line of the log" in said
    assert "\x1b[3" not in said  # no colour
    assert not stop_signals.cleanup


def test_lines_come_only_with_news(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no terminal is, a line tells percentage and state, and is not repeated while nothing changes."""
    monkeypatch.setattr("deployments.cli.live_display.LINE_SECONDS", 0.01)
    active = ActiveExports()
    with lines(active):
        active.exports.append(export())
        time.sleep(0.2)
        active.exports[0].note_state("Finalizing")
        time.sleep(0.2)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "10 %: Plant A: at the platform, export run Executing",
        "40 %: Plant A: at the platform, export run Finalizing",
    ]
    assert plain_line(ActiveExports(Batch())).startswith("42 %: 70 waiting")
    assert plain_line(ActiveExports()) == ""


def say_in_a_batch(logger: logging.Logger) -> None:
    """Log as a single export does, and as one of a batch."""
    here = {"send_to_api": False}  # no flow run is there to take it
    logger.warning("of one \u202etropxe\x1b[2J", extra=here)
    share_slots(1)
    with following(export()):
        logger.error("of one of many", extra=here)
        logger.info("of no use", extra=here)


def test_the_log_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A line has time and sentence, nothing that a terminal acts upon, and of exports of a batch only warnings."""
    logger = logging.getLogger("prefect.task_runs")
    handler = logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    before = [(one, one.level, one.formatter, list(one.filters)) for one in logger.handlers]
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        quiet_console()
        copy_context().run(say_in_a_batch, logger)  # slots are shared in a context, here in one of its own
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
        for one, its_level, formatter, filters in before:
            one.setLevel(its_level)
            one.setFormatter(formatter)
            one.filters[:] = filters
    said = capsys.readouterr().err
    assert "  Warning: of one \\u202etropxe\\x1b[2J\n" in said
    assert "  Error: of one of many\n" in said
    assert "of no use" not in said


def test_nobody_shows_exports_by_itself() -> None:
    """Under a worker nothing is drawn: exports are shown where a command has asked for it."""
    assert shown_exports.get() is None
