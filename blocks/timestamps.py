"""Points in time as servers write them."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_PAUSE_SECONDS = 366 * 24 * 3600.0
_TOO_PRECISE = re.compile(r"(\.\d{6})\d+")


def parse_timestamp(value: object) -> object:
    """Accept 0 to 7 fractional digits, `Z` or an offset; a time without zone is UTC; what is no time is none."""
    if not isinstance(value, str):
        return value if isinstance(value, datetime) else None
    try:
        moment = datetime.fromisoformat(_TOO_PRECISE.sub(r"\1", value.strip()))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_http_date(text: str | None) -> datetime | None:
    """Read the date of an HTTP header (RFC 9110, 5.6.7); none when it makes no sense."""
    try:
        moment = parsedate_to_datetime((text or "").strip())
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def parse_retry_after(value: str | None, date: str | None = None) -> float:
    """Read a `Retry-After` header (RFC 9110, 10.2.3): whole seconds, or an HTTP date.

    Args:
        value: The header; none where the answer has none.
        date: The `Date` header of the same answer, so that the server's clock counts; else this machine's does.

    Returns:
        The seconds to wait, a year at most; 0 when the server names no pause, or one that makes no sense.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_PAUSE_SECONDS)
    moment = parse_http_date(text)
    if moment is None:
        return 0.0
    now = parse_http_date(date) or datetime.now(UTC)
    return min(max(0.0, (moment - now).total_seconds()), LONGEST_PAUSE_SECONDS)
