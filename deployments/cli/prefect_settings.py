"""Prefect's settings, which it reads when it is imported: from variables and from files of this and the home folder."""

import os
import sys
import traceback
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path

from blocks.errors import without_secrets

_READERS = ("prefect.settings", "prefect.logging.configuration")


def import_prefect() -> None:
    """Import Prefect; without its own lines on faulty settings, for which the error gets a sentence.

    Raises:
        Exception: Whatever a fault leads to in Prefect; `is_about_settings` tells it from others.
    """
    with redirect_stderr(StringIO()) as said:
        from prefect.settings import get_current_settings  # noqa: PLC0415  takes a second

        get_current_settings()
    sys.stderr.write(said.getvalue())


def prefect_home() -> Path:
    """Prefect's folder of profiles, database and results, which also holds what this program keeps of its own."""
    named = Path(os.environ.get("PREFECT_HOME") or "~/.prefect")
    try:
        return named.expanduser()
    except RuntimeError:  # `~name` of nobody; Prefect's settings refuse it
        return named


def is_about_settings(error: BaseException) -> bool:
    """True for an error that was raised while Prefect read its settings."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_globals.get("__name__", "").startswith(_READERS) for frame in frames)


def unusable_settings(error: BaseException) -> str:
    """What to say of such an error; the sentence never holds the values of settings."""
    from pydantic import ValidationError  # noqa: PLC0415  help does without

    match error:
        case ValidationError():
            faults = error.errors(include_url=False, include_input=False, include_context=False)
            said = "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults)
        case OSError():
            said = f"{error.filename}: {error.strerror}"
        case _:
            table = _wrong_table(error)
            said = f"{table} is not a table" if table else f"{type(error).__name__}: {error}"
    return (
        f"Prefect's settings cannot be read ({without_secrets(said)}). Correct the variables PREFECT_…, .env, "
        f"prefect.toml or pyproject.toml of this folder, or profiles.toml in PREFECT_HOME."
    )


def _wrong_table(error: BaseException) -> str:
    """The name of a setting that is a table, and is something else in a file: pydantic-settings was to decode it."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    decoded = [frame.f_locals.get("field_name") for frame in frames if frame.f_code.co_name == "decode_complex_value"]
    return str(decoded[-1]) if decoded else ""
