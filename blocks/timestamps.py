"""Parsers of timestamps in JSON and HTTP headers."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_PAUSE_SECONDS = 366 * 24 * 3600.0
_TOO_PRECISE = re.compile(r"(\.\d{6})\d+")


def parse_timestamp(value: object) -> object:
    """Parse an ISO 8601 timestamp with 0 to 7 fractional digits; UTC without a zone, None if it is invalid."""
    if not isinstance(value, str):
        return value if isinstance(value, datetime) else None
    try:
        moment = datetime.fromisoformat(_TOO_PRECISE.sub(r"\1", value.strip()))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_http_date(text: str | None) -> datetime | None:
    """Parse an HTTP date (RFC 9110, 5.6.7); None if it is missing or invalid."""
    try:
        moment = parsedate_to_datetime((text or "").strip())
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


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
    moment = parse_http_date(text)
    if moment is None:
        return 0.0
    now = parse_http_date(date) or datetime.now(UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_PAUSE_SECONDS)
