"""Parsing of timestamps and Retry-After headers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from blocks.storage.download.source import refusal
from blocks.storage.retry import ThrottledError
from blocks.timestamps import LONGEST_PAUSE_SECONDS, parse_retry_after

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DATE = format_datetime(NOW, usegmt=True)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        (" 7 ", 7),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0),
        ("Sun, 22 Nov 2026 12:01:00 -0000", 60),
        ("9" * 400, LONGEST_PAUSE_SECONDS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_PAUSE_SECONDS),
        (None, 0),
        ("", 0),
        ("-3", 0),
        ("soon", 0),
        ("²", 0),
        ("Fri, 31 Dec 99999999999 23:59:59 GMT", 0),
    ],
)
def test_reads_retry_after(header: str | None, seconds: float) -> None:
    """Whole seconds and dates (by the server's own clock) are understood; nonsense asks for no pause."""
    assert parse_retry_after(header, DATE) == seconds


def test_without_a_date_this_machines_clock_counts() -> None:
    """A Retry-After date in a response without Date is compared with the local clock."""
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < parse_retry_after(later) <= 90


def test_file_hosts_are_read_by_their_own_clock_too() -> None:
    """A 90 second Retry-After from a blob host whose clock is years behind gives a pause of 90 seconds."""
    later = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    error = refusal(503, {"Retry-After": later, "Date": DATE}, "host")
    assert isinstance(error, ThrottledError)
    assert error.retry_after == 90
