"""What a person at a terminal sees of the logs: what the tasks say, not what the engine says about itself."""

import logging
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from prefect.logging.handlers import PrefectConsoleHandler
from rich.console import Console

from blocks.shown_text import without_controls
from tasks.export_progress import is_one_of_many

ENGINE = frozenset({"flow_engine", "task_engine"})
ENGINE_LOGGERS = ("EventsWorker", "prefect.events.worker", "prefect._internal")
LOGGERS = (None, "prefect", "prefect.flow_runs", "prefect.task_runs", "prefect._internal")


class _EngineLogFilter(logging.Filter):
    """Drops the engine's own lines, but for retries; the Prefect server gets them all the same."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(ENGINE_LOGGERS):
            return False
        return record.module not in ENGINE or "Retry" in str(record.msg)


class _BatchLogFilter(logging.Filter):
    """Drops what single exports of a batch say, but for warnings: the batch tells of all of them."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING or not is_one_of_many()


class _PlainFormatter(logging.Formatter):
    """The time and what is said, without the name of the task run; warnings and errors are called so.

    Names from a command line or the platform are in it: what a terminal would act upon is written out.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s  %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the name in logging
        record.message = without_controls(record.message)
        if record.levelno >= logging.WARNING:
            record.message = f"{record.levelname.capitalize()}: {record.message}"
        return super().formatMessage(record)


def quiet_console(*, is_quiet: bool = False) -> None:
    """Quieten the console, unless `PREFECT_LOGGING_LEVEL` says what to show; if quiet, only warnings are shown."""
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        return
    for handler in _console_handlers():
        handler.addFilter(_EngineLogFilter())
        handler.addFilter(_BatchLogFilter())
        handler.setFormatter(_PlainFormatter())
        if is_quiet:
            handler.setLevel(logging.WARNING)


@contextmanager
def log_to(console: Console) -> Generator[None]:
    """Write the log to this console while the block runs, above what is drawn there."""
    handlers = [one for one in _console_handlers() if isinstance(one, PrefectConsoleHandler)]
    before = [one.console for one in handlers]
    for one in handlers:
        one.console = console
    try:
        yield
    finally:
        for one, its_own in zip(handlers, before, strict=True):
            one.console = its_own


def _console_handlers() -> Iterator[logging.Handler]:
    for name in LOGGERS:
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler):
                yield handler
