"""Publish or reject the fifth night again and again, each time in a process that dies one change of the disk later.

Run as a program: `python -m tests.blocks.storage.killed_publisher FOLDER FORMAT [reject]`. Every attempt has its own
folder; the last one came to its end.
"""

import os
import sys
from itertools import count
from pathlib import Path
from typing import Any, cast

from tests.blocks.storage.publishing import Format, Publisher

CHANGES = frozenset({"os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"})
KILLED = 9


def publish_nights(publisher: Publisher) -> None:
    """Four nights, of which three stay in the history."""
    for night in range(1, 5):
        publisher.publish(night, keep=3, version="Issued" if night == 2 else None)


def act_and_die(publisher: Publisher, change: int, *, is_rejected: bool) -> bool:
    """Publish the fifth night in a process that dies before this change of the disk; false if it came to its end."""
    child = os.fork()
    if child == 0:
        sys.addaudithook(_death_before(change))
        if is_rejected:
            publisher.reject(5)
        else:
            publisher.publish(5, keep=2)
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


def main(root: Path, export_format: Format, *, is_rejected: bool) -> None:
    """Every attempt until one comes to its end."""
    for change in count():
        publisher = Publisher(root / f"{change:03}", export_format)
        publish_nights(publisher)
        if not act_and_die(publisher, change, is_rejected=is_rejected):
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]), cast("Format", sys.argv[2]), is_rejected="reject" in sys.argv[3:])
