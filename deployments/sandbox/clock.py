"""The sandbox's own time, so that hours pass in a test without waiting, and how the platform writes times."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class Clock:
    """The real time plus an offset, or a fixed time plus an offset."""

    def __init__(self, frozen_at: datetime | None = None) -> None:
        self._frozen_at = frozen_at
        self._offset = timedelta()

    def now(self) -> datetime:
        """The time, in UTC."""
        return (self._frozen_at or datetime.now(UTC)) + self._offset

    def advance(self, seconds: float) -> None:
        """Move the time on at once."""
        self._offset += timedelta(seconds=seconds)


def precise(moment: datetime) -> str:
    """Up to seven fractional digits without trailing zeros, as Export and Storage write."""
    fraction = f"{moment.microsecond:06d}{moment.microsecond % 10}".rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


def seconds(moment: datetime) -> str:
    """Whole seconds, as iModels and Mesh Export write."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def milliseconds(moment: datetime) -> str:
    """Three fractional digits, as iTwins writes."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def http_date(moment: datetime) -> str:
    """`Date`, `Last-Modified` and the long form of `Retry-After`."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)
