"""Points in time as servers write them."""

import re
from datetime import UTC, datetime

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
