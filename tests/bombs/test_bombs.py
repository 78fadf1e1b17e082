"""Hosts whose answers are too large or never end, met by a process of its own."""

import asyncio
import sys
from collections.abc import Callable

import pytest

from tests.bombs.server import BOMBS, serving

MOST_MIB = 160
"""Above what the modules take by themselves; a whole command with Prefect takes less than 140 MiB besides."""
SLOW = {
    "a deep answer",
    "a large answer",
    "a large tileset.json",
    "a list without end",
    "a listing without end",
    "subtrees of many tiles",
}
"""Left to `make campaign`."""
ENDS = {
    "a compressed answer": "TransientError: Read iModel i: the answer of http://127.0.0.1",
    "an answer without end": "TransientError: Read iModel i: the answer of http://127.0.0.1",
    "an error without end": "NotFoundError: Read iModel i: the iTwin Platform answered 404.",
    "a deep answer": "TransientError: Read iModel i: the iTwin Platform answered 200 with an unreadable body",
    "a large answer": "TransientError: Read iModel i: the iTwin Platform answered 200 with an unreadable body",
    "a list without end": "ExportError: List the iModels of iTwin t: the list does not end",
    "a listing without end": "ContentError: The listing of the tileset does not end",
    "a page of a listing without end": "InterruptedTransferError: 127.0.0.1 sent more than",
    "a tile that declares four gigabytes": "ContentError: a of the tileset is longer than",
    "a large tileset.json": "ContentError: tileset.json of the tileset has",
    "documents without end": "ContentError: More than 256 documents of the tileset refer to one another",
    "a subtree of a billion tiles": "ContentError: A subtree of the tileset speaks of more than",
    "subtrees of many tiles": "ContentError: The ",
    "a range without a length": "InterruptedTransferError: 127.0.0.1 sent a part of the file without its length",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.campaign] if name in SLOW else []) for name in BOMBS]
)
async def test_a_bomb_is_refused(name: str, record_property: Callable[[str, object], None]) -> None:
    """It ends with a sentence about the bound, and the memory stays small."""
    kind, answer = BOMBS[name]
    async with serving(answer) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bombs", kind, url, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
    peak, before, seconds, end = output.decode().splitlines()
    record_property("MiB", int(peak) - int(before))
    record_property("seconds", seconds)
    assert end.startswith(ENDS[name])
    assert int(peak) - int(before) <= MOST_MIB
