"""An empty Prefect database: making its tables takes a server ten seconds of CPU, copying the file none."""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import prefect

from tests.chromium import ARTEFACTS

TEMPLATE = ARTEFACTS / f"prefect-{prefect.__version__}.db"


def add_database(folder: Path, name: str = "prefect.db") -> None:
    """Put the database into a folder, for the server that has it as its home."""
    ARTEFACTS.mkdir(exist_ok=True)
    with TEMPLATE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # processes of pytest-xdist begin at once
        if not TEMPLATE.exists():
            _make_template()
    shutil.copyfile(TEMPLATE, folder / name)


def _make_template() -> None:
    with TemporaryDirectory(dir=ARTEFACTS) as folder:
        made, packed = Path(folder, "prefect.db"), Path(folder, "packed.db")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
            "PREFECT_HOME": folder,
            "PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{made}",
        }
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "--yes"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        with closing(sqlite3.connect(made)) as database:
            database.execute("VACUUM INTO ?", (str(packed),))
        packed.replace(TEMPLATE)
