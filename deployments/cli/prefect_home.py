"""What the temporary Prefect server of a command needs, tried before it is started."""

import sqlite3
import tempfile
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import prefect
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL, get_current_settings

from blocks.errors import ConfigurationError


def check_home() -> None:
    """Write to the folder that Prefect keeps everything in, as the server will.

    Raises:
        ConfigurationError: It cannot be written to.
    """
    home = get_current_settings().home
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"Prefect's folder {home} cannot be written to ({error.strerror}). Make it writable for this user, or set "
            f"PREFECT_HOME to a folder that is."
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
