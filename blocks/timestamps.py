"""Parsers of timestamps in JSON and HTTP headers."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_PAUSE_SECONDS = 366 * 24 * 3600.0
EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""A time before EARLIEST, or from LATEST on, is a placeholder (0001-01-01, 1970-01-01, 9999-12-31) or a fault.

Python's reader of HTTP dates takes the year 0001 for 2001.
"""
_TOO_PRECISE = re.compile(r"(\.\d{6})\d+")


def parse_timestamp(value: object) -> object:
    """Parse an ISO 8601 timestamp with 0 to 7 fractional digits; UTC without a zone, None if invalid or impossible."""
    if isinstance(value, datetime):
        return _possible(value)
    if not isinstance(value, str):
        return None
    try:
        return _possible(datetime.fromisoformat(_TOO_PRECISE.sub(r"\1", value.strip())))
    except ValueError:
        return None


def parse_http_date(text: str | None) -> datetime | None:
    """Parse an HTTP date (RFC 9110, 5.6.7); None if it is missing, invalid or impossible."""
    moment = _read_http_date(text)
    return _possible(moment) if moment else None


def _read_http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime((text or "").strip())
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _possible(moment: datetime) -> datetime | None:
    """The moment, in UTC if it has no zone; None outside of `EARLIEST` to `LATEST`."""
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return known if EARLIEST <= known < LATEST else None


def parse_retry_after(value: str | None, date: str | None = None) -> float:
    """Parse a `Retry-After` header (RFC 9110, 10.2.3): whole seconds or an HTTP date.

    Args:
        value: The header; None where the response has none.
        date: The `Date` header of the same response, the reference for an HTTP date; without it, this machine's clock.

    Returns:
        The seconds to wait, at most a year; 0 if the header is missing or invalid.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_PAUSE_SECONDS)
    moment = _read_http_date(text)
    if moment is None:
        return 0.0
    now = parse_http_date(date) or datetime.now(UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_PAUSE_SECONDS)
