"""What a flow run and the temporary Prefect server of a command need, tried before they are started."""

import sqlite3
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import prefect
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, get_current_settings

from blocks.errors import ConfigurationError
from blocks.shown_text import shown
from tasks.addresses import LONGEST_NAME


def check_home() -> None:
    """Write to the folder that Prefect keeps everything in, as the server will.

    Raises:
        ConfigurationError: It cannot be written to.
    """
    _require_writable(get_current_settings().home, "PREFECT_HOME")


def check_results() -> None:
    """Write to the folder of the results of finished steps, as a flow run will, unless they go into a storage block.

    Without it every step would log a stack trace of Prefect, and a retry would do all steps again.

    Raises:
        ConfigurationError: It cannot be written to.
    """
    chosen = get_current_settings()
    if chosen.results.default_storage_block is not None:
        return
    folder = chosen.results.local_storage_path
    is_in_home = folder.is_relative_to(chosen.home)
    _require_writable(folder, "PREFECT_HOME" if is_in_home else "PREFECT_RESULTS_LOCAL_STORAGE_PATH")


def _require_writable(folder: Path, variable: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its path has too many parts"
        raise ConfigurationError(
            f"Prefect's folder {shown(str(folder), LONGEST_NAME)} cannot be written to ({reason}). Make it writable "
            f"for this user, or set {variable} to a folder that is."
        ) from None


def check_database() -> None:
    """Compare the revision of an SQLite database with those that this Prefect knows.

    Raises:
        ConfigurationError: A newer Prefect has written it.
    """
    _, is_sqlite, path = str(PREFECT_API_DATABASE_CONNECTION_URL.value() or "").partition("sqlite+aiosqlite:///")
    if not is_sqlite or not Path(path).is_file():
        return
    revision = _revision_of(Path(path))
    migrations = Path(prefect.__file__).parent / "server" / "database" / "_migrations" / "versions" / "sqlite"
    if revision and not any(revision in file.name for file in migrations.glob("*.py")):
        raise ConfigurationError(
            f"The database {path} was written by a newer Prefect (its revision is {revision}) than this one "
            f"({version('prefect')}). Install that Prefect, or set PREFECT_HOME to another folder."
        )


def _revision_of(database: Path) -> str | None:
    """The revision it is at; none where it cannot be read, which the server will complain about itself."""
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return str(row[0]) if row else None
