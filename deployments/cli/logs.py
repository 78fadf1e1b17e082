"""What a person at a terminal sees of the logs: what the tasks say, not what the engine says about itself."""

import logging
import os

ENGINE = frozenset({"flow_engine", "task_engine"})
ENGINE_LOGGERS = ("EventsWorker", "prefect.events.worker", "prefect._internal")


class _EngineLogFilter(logging.Filter):
    """Drops the engine's own lines, but for retries; the Prefect server gets them all the same."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith(ENGINE_LOGGERS):
            return False
        return record.module not in ENGINE or "Retry" in str(record.msg)


def quiet_console() -> None:
    """Quieten the console, unless `PREFECT_LOGGING_LEVEL` says what to show."""
    if "PREFECT_LOGGING_LEVEL" in os.environ:
        return
    for name in (None, "prefect", "prefect.flow_runs", "prefect.task_runs", "prefect._internal"):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.addFilter(_EngineLogFilter())
