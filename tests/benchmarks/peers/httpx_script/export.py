"""The floor: a script that exports one iModel and nothing else."""

import os
import sys
import time
from pathlib import Path

from itwin_calls import fetch, find_changeset, find_connection, read_run, sign_in, start_run


def main(imodel_id: str) -> None:
    """Export, wait and download."""
    with sign_in() as http:
        changeset_id = find_changeset(http, imodel_id)
        path = start_run(http, find_connection(http, imodel_id), changeset_id)
        while (run := read_run(http, path)) is None:
            time.sleep(5)
        fetch(http, run, Path(os.environ["OUTPUT_DIR"]))


if __name__ == "__main__":
    main(sys.argv[1])
