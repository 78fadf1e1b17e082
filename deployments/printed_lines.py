"""The end of a command that prints a few lines."""

import sys
from collections.abc import Callable

from blocks.errors import ExportError


def print_lines(command: Callable[[], list[str]]) -> int:
    """Run a command and print its lines, or its error to standard error; returns the exit code."""
    try:
        lines = command()
    except ExportError as error:
        print(error, file=sys.stderr)  # noqa: T201  a command speaks
        return error.exit_code
    print("\n".join(lines))  # noqa: T201
    return 0
