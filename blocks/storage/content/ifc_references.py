"""References between the instances of an IFC file: which lead to an instance that does not exist."""

import re

HIGHEST_NUMBER = 64 * 1024 * 1024
"""Instances with higher numbers are not checked: each number takes a byte of memory."""
_REFERENCE = re.compile(rb"#(\d{1,15})")
_DEFINITION = re.compile(rb"#(\d{1,15})\s*=")
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
        defined = set(map(int, _DEFINITION.findall(text)))
        referred = set(map(int, _REFERENCE.findall(text)))
        highest = max(referred, default=0)
        if highest > HIGHEST_NUMBER:
            self._is_bounded, self._marks = False, bytearray()
            return
        self._make_room(highest)
        self._define(defined)
        marks = self._marks
        for number in referred - defined:
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

    def _define(self, numbers: set[int]) -> None:
        if not numbers:
            return
        first, last = min(numbers), max(numbers)
        if last - first + 1 == len(numbers):  # in nearly every file they are consecutive
            self._marks[first : last + 1] = bytes([_DEFINED]) * len(numbers)
            return
        for number in numbers:
            self._marks[number] = _DEFINED
