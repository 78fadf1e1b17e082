"""Faults: which requests they apply to, and how they change the answer."""

import re
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from deployments.sandbox.clock import Clock, http_date

Cut = Literal["before", "after", "midway"]


@dataclass
class Fault:
    """A change to the answers of the requests that match; without status, cut, damage or headers it only delays them.

    Attributes:
        path: Regular expression searched for in the path.
        method: HTTP method, or `*`.
        nth: The first matching request that is changed, counted from 1.
        count: How many are changed from there on; `None` is all of them.
        delay: Seconds to wait before the request is handled.
        hold: Seconds between the effect of the request (`effect`, or `cut="after"`) and the answer or cut.
        status: Answer with this status.
        code: Error code of the platform's envelope; `body` goes out as it is.
        headers: Extra headers of the answer, also of a good one; `Date` replaces the sandbox's own.
        retry_after: Seconds asked for in `Retry-After`.
        retry_after_form: `Retry-After` as seconds or as a date by the sandbox's clock.
        effect: Let the request take effect first, then replace its answer.
        cut: Cut the connection before or after the effect, or midway through the answer.
        damage: Corrupt a good answer: flip one bit, shorten body and headers alike, or ignore the range.
        seen: How many requests matched.
        hits: How many of them were changed.
        effects: How many of these have taken effect before their answer was replaced.
    """

    path: str = ""
    method: str = "*"
    nth: int = 1
    count: int | None = 1
    delay: float = 0
    hold: float = 0
    status: int | None = None
    code: str | None = None
    message: str = "Scripted by the sandbox."
    body: str | None = None
    content_type: str = "text/html"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    retry_after: float | None = None
    retry_after_form: Literal["seconds", "date"] = "seconds"
    effect: bool = False
    cut: Cut | None = None
    damage: Literal["flip", "short", "whole"] | None = None
    seen: int = field(default=0, init=False)
    hits: int = field(default=0, init=False)
    effects: int = field(default=0, init=False)

    def applies_to(self, method: str, path: str) -> bool:
        """True when the fault applies to this request; counts matching requests and hits."""
        if self.method not in {"*", method} or not re.search(self.path, path):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.count is not None and self.hits >= self.count):
            return False
        self.hits += 1
        return True

    def answer_headers(self, clock: Clock) -> dict[str, str]:
        """The extra headers, with `Retry-After` in the chosen form."""
        if self.retry_after is None:
            return dict(self.headers)
        if self.retry_after_form == "date":
            value = http_date(clock.now() + timedelta(seconds=self.retry_after))
        else:
            value = str(int(self.retry_after))
        return {**self.headers, "Retry-After": value}


class Faults:
    """The active faults; the first that matches a request applies to it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ordered: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Activate a fault; its `hits` count the requests it applied to."""
        with self._lock:
            self.ordered.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults."""
        with self._lock:
            self.ordered.clear()

    def next_for(self, method: str, path: str) -> Fault | None:
        """The fault that this request gets, if any; counts the hit."""
        with self._lock:
            return next((fault for fault in self.ordered if fault.applies_to(method, path)), None)
