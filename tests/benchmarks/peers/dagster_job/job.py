"""A Dagster job of ops with a retry policy, as Dagster's documentation writes them."""

import os
import sys
import time
from pathlib import Path
from typing import Any

from dagster import Backoff, DagsterInstance, RetryPolicy, job, op
from itwin_calls import fetch, find_changeset, find_connection, read_run, sign_in, start_run

RETRIES = RetryPolicy(max_retries=3, delay=5, backoff=Backoff.EXPONENTIAL)


@op(config_schema={"imodel_id": str}, retry_policy=RETRIES)
def start_export(context) -> str:  # noqa: ANN001  Dagster finds the context by its name
    """Start the export run of the latest changeset."""
    imodel_id = context.op_config["imodel_id"]
    with sign_in() as http:
        return start_run(http, find_connection(http, imodel_id), find_changeset(http, imodel_id))


@op(retry_policy=RETRIES)
def wait_for_export(path: str) -> dict[str, Any]:
    """Wait until the run has ended."""
    with sign_in() as http:
        while (run := read_run(http, path)) is None:
            time.sleep(5)
        return run


@op(retry_policy=RETRIES)
def fetch_files(run: dict[str, Any]) -> None:
    """Download the files of the run."""
    with sign_in() as http:
        fetch(http, run, Path(os.environ["OUTPUT_DIR"]))


@job
def export_ifc() -> None:
    """Export one iModel as IFC."""
    fetch_files(wait_for_export(start_export()))


if __name__ == "__main__":
    config = {"ops": {"start_export": {"config": {"imodel_id": sys.argv[1]}}}}
    export_ifc.execute_in_process(run_config=config, instance=DagsterInstance.get())
