"""The world's own time, so that hours pass in a test without waiting."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class Clock:
    """The real time plus an offset; stands still when given a moment to stand at."""

    def __init__(self, frozen_at: datetime | None = None) -> None:
        self._frozen_at = frozen_at
        self._offset = timedelta()

    def now(self) -> datetime:
        """The moment, in UTC."""
        return (self._frozen_at or datetime.now(UTC)) + self._offset

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._offset += timedelta(seconds=seconds)


def precise(moment: datetime) -> str:
    """Export and Storage write up to seven fractional digits and drop trailing zeros."""
    fraction = f"{moment.microsecond:06d}{moment.microsecond % 10}".rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


def plain(moment: datetime) -> str:
    """IModels and Mesh Export write whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(moment: datetime) -> str:
    """`Date`, `Last-Modified` and the long form of `Retry-After`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
