"""`python -m deployments.local up` and `down`."""

import sys
from pathlib import Path

from cyclopts import App

from deployments.local.processes import Processes
from deployments.local.stack import Database, LocalStack
from deployments.output_streams import keep_streams_open
from deployments.printed_lines import print_lines
from deployments.pull import PROJECT

app = App(name="deployments.local", help_format="plaintext", result_action="return_value")


@app.command
def up(*, port: int = 4200, database: Database = "sqlite", state_dir: Path = PROJECT / ".itwin-export") -> list[str]:
    """Start server, worker and deployments on this machine; a sandbox too when no ITWIN_CLIENT_ID is set.

    Args:
        port: Port of the UI; another is taken when somebody has it.
        database: Where Prefect keeps its data; postgres needs the machine's PostgreSQL.
        state_dir: Folder for the database, the logs and the notes about what runs.
    """
    return LocalStack(Processes(state_dir.absolute())).up(port, database)


@app.command
def down(*, state_dir: Path = PROJECT / ".itwin-export") -> list[str]:
    """Stop all of it.

    Args:
        state_dir: The folder given to `up`.
    """
    return LocalStack(Processes(state_dir.absolute())).down()


def main() -> int:
    """Run one command; 2 when it cannot be done."""
    return print_lines(lambda: app(sys.argv[1:]))


if __name__ == "__main__":
    keep_streams_open()
    sys.exit(main())
