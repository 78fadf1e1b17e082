"""Readers of foreign data, and made-up input for them."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.content_encoding import DecodeError
from blocks.errors import ExportError
from blocks.storage.content.global_ids import GlobalIdListError
from blocks.storage.preview.shapes import NoPictureError
from deployments.webhooks.message import MalformedError

SECONDS = 0.7
CAMPAIGN_SECONDS = 60.0
NO_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
KNOWN = (ExportError, DecodeError, GlobalIdListError, MalformedError, NoPictureError)


@dataclass(frozen=True)
class Target:
    """A reader, and what it is given."""

    read: Callable[[Any], object]
    inputs: st.SearchStrategy[Any]


def files(**strategies: st.SearchStrategy[bytes]) -> st.SearchStrategy[dict[str, bytes]]:
    """Files by name; an underscore in a name stands for its point."""
    return st.fixed_dictionaries({name.replace("_", "."): inputs for name, inputs in strategies.items()})


def try_for(seconds: float, target: Target) -> int:
    """Give a reader made-up inputs for so long; returns how many."""
    count = 0
    ends_at = time.monotonic() + seconds

    @given(target.inputs)
    @settings(max_examples=50, deadline=None, database=None, suppress_health_check=NO_CHECKS)
    def read_any(content: Any) -> None:
        nonlocal count
        count += 1
        if time.monotonic() < ends_at:
            try:
                target.read(content)
            except KNOWN as error:
                str(error).encode()

    while time.monotonic() < ends_at:
        read_any()
    return count
