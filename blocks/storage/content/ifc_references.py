"""References between the instances of an IFC file: which lead to an instance that does not exist."""

import re
from itertools import filterfalse

HIGHEST_NUMBER = 64 * 1024 * 1024
"""Instances with higher numbers are not checked: each number takes a byte of memory."""
_REFERENCE = re.compile(rb"#(\d{1,15}+)(?!\s*+=)")
_DEFINITION = re.compile(rb"#(\d{1,15}+)\s*+=")
_LINE_DEFINITION = re.compile(rb"\n#(\d{1,15}+)\s*+=")
_DEFINED, _MISSING = 1, 2


class ReferenceCheck:
    """Notes which instances exist and which are referred to; a byte for each number of an instance."""

    def __init__(self) -> None:
        self._marks = bytearray()
        self._is_bounded = True

    def add(self, text: bytes) -> None:
        """Note definitions and references of a masked text."""
        if not self._is_bounded:
            return
        found = _definitions(text)
        defined = set(found)
        elsewhere = set(filterfalse(defined.__contains__, _REFERENCE.findall(text)))  # most lead to instances near by
        referred = set(map(int, elsewhere))
        runs = _as_runs(found, len(defined))
        highest = max((*referred, *(run.stop - 1 for run in runs)), default=0)
        if highest > HIGHEST_NUMBER:
            self._is_bounded, self._marks = False, bytearray()
            return
        self._make_room(highest)
        marks = self._marks
        for run in runs:
            marks[run.start : run.stop] = bytes([_DEFINED]) * len(run)
        for number in referred:
            if not marks[number]:
                marks[number] = _MISSING

    @property
    def missing(self) -> int | None:
        """How many instances are referred to and do not exist; None if the file has too high numbers to check that."""
        return self._marks.count(_MISSING) if self._is_bounded else None

    @property
    def first_missing(self) -> int | None:
        """The smallest number of such an instance."""
        number = self._marks.find(_MISSING)
        return number if number >= 0 else None

    def _make_room(self, highest: int) -> None:
        if highest >= len(self._marks):
            self._marks.extend(bytes(highest + 1 - len(self._marks)))


def _definitions(text: bytes) -> list[bytes]:
    """The numbers of the defined instances. A faster search is used if each begins a line, as in nearly every file."""
    found = _LINE_DEFINITION.findall(text)
    return found if len(found) == text.count(b"=") else _DEFINITION.findall(text)


def _as_runs(numbers: list[bytes], distinct: int) -> list[range]:
    """The numbers as ranges: one where they are consecutive, as in nearly every file."""
    if not numbers:
        return []
    first, last = min(numbers), max(numbers)
    if len(b"".join(numbers)) == len(first) * len(numbers):  # as long as one another, they are in order as text
        run = range(int(first), int(last) + 1)
        if len(run) == distinct:
            return [run]
    return [range(number, number + 1) for number in map(int, numbers)]
