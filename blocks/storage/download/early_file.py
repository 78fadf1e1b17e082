"""What takes the beginning of a file while the rest of it is still being downloaded."""

from pathlib import Path
from typing import Protocol


class EarlyFile(Protocol):
    """Takes a file as it grows; every method is for threads and returns at once."""

    def advance(self, target: Path, part: Path, until: int, size: int) -> None:
        """So many bytes from the start are there and will not change.

        Args:
            target: Where the file will be once it is complete.
            part: Where it is until then.
            until: How many bytes are there.
            size: How many there will be.
        """
        ...

    def restart(self, target: Path) -> None:
        """Forget what was taken of that file: another download of it begins."""
        ...


class NoEarlyFile:
    """For files that are taken once they are complete."""

    def advance(self, target: Path, part: Path, until: int, size: int) -> None:
        """Nothing to do."""

    def restart(self, target: Path) -> None:
        """Nothing to do."""
