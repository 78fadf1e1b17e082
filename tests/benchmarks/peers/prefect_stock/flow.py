"""A Prefect flow of tasks with retries, as Prefect's documentation writes them."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from itwin_calls import fetch, find_changeset, find_connection, read_run, sign_in, start_run
from prefect import flow, task


@task(retries=3, retry_delay_seconds=5)
def start_export(imodel_id: str) -> str:
    """Start the export run of the latest changeset."""
    with sign_in() as http:
        return start_run(http, find_connection(http, imodel_id), find_changeset(http, imodel_id))


@task(retries=3, retry_delay_seconds=5)
def wait_for_export(path: str) -> dict[str, Any]:
    """Wait until the run has ended."""
    with sign_in() as http:
        while (run := read_run(http, path)) is None:
            time.sleep(5)
        return run


@task(retries=3, retry_delay_seconds=5)
def fetch_files(run: dict[str, Any], folder: Path) -> list[Path]:
    """Download the files of the run."""
    with sign_in() as http:
        return fetch(http, run, folder)


@flow
def export_ifc(imodel_id: str) -> list[Path]:
    """Export one iModel as IFC."""
    run = wait_for_export(start_export(imodel_id))
    return fetch_files(run, Path(os.environ["OUTPUT_DIR"]))


if __name__ == "__main__":
    export_ifc(sys.argv[1])
