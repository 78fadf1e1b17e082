"""Publish, reject or check an export again and again, each time in a process that dies one change of the disk later.

Run as a program: `python -m tests.blocks.storage.killed_publisher FOLDER FORMAT publish|reject|check`. Every attempt
has its own folder; the last one came to its end.
"""

import os
import sys
from itertools import count
from pathlib import Path
from typing import Any, Literal, cast

from tests.blocks.storage.publishing import Format, Publisher

CHANGES = frozenset({"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"})
KILLED = 9
Action = Literal["publish", "reject", "check"]


def publish_nights(publisher: Publisher) -> None:
    """Four nights, of which three stay in the history."""
    for night in range(1, 5):
        publisher.publish(night, keep=3, version="Issued" if night == 2 else None)


def act_and_die(publisher: Publisher, change: int, action: Action) -> bool:
    """Do it in a process that dies before this change of the disk; false if it came to its end."""
    child = os.fork()
    if child == 0:
        sys.addaudithook(_death_before(change))
        match action:
            case "publish":
                publisher.publish(5, keep=2)
            case "reject":
                publisher.reject(5)
            case "check":
                publisher.check("rejected")
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == KILLED


def _death_before(change: int) -> Any:
    seen = 0

    def look(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        is_written = event == "open" and bool({*"wxa+"} & set(str(arguments[1])))
        seen += event in CHANGES or is_written
        if seen > change:
            os._exit(KILLED)

    return look


def main(root: Path, export_format: Format, action: Action) -> None:
    """Every attempt until one comes to its end."""
    for change in count():
        publisher = Publisher(root / f"{change:03}", export_format)
        publish_nights(publisher)
        if action == "check":
            publisher.check("accepted")
        if not act_and_die(publisher, change, action):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), cast("Format", sys.argv[2]), cast("Action", sys.argv[3]))
