"""Faults to order: which request is hit, and what it meets."""

import re
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from deployments.sandbox.clock import Clock, http_date

Cut = Literal["before", "after", "midway"]


@dataclass
class Fault:
    """One kind of trouble for the requests that match; without status, cut or damage it only delays.

    Attributes:
        path: Regular expression searched for in the path.
        method: HTTP method, or `*`.
        nth: The first matching request that is hit, counted from 1.
        count: How many are hit from there on; `None` is all of them.
        delay: Seconds to wait before anything happens.
        hold: Seconds between an effect (`effect`, or `cut` after it) and what follows it.
        status: Answer with this status.
        code: Error code of the platform's envelope; `body` goes out as it is.
        headers: Extra headers of the answer.
        retry_after: Seconds asked for in `Retry-After`.
        retry_after_form: `Retry-After` as seconds or as a date of the world's clock.
        effect: Let the request take effect first, then replace its answer.
        cut: Cut the connection before or after the effect, or midway through the answer.
        damage: Spoil a good answer: flip one bit, end a self-consistent answer early, or ignore the range.
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

    def applies_to(self, method: str, path: str) -> bool:
        """True when this request is hit; counts matching requests and hits."""
        if self.method not in {"*", method} or not re.search(self.path, path):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.count is not None and self.hits >= self.count):
            return False
        self.hits += 1
        return True

    def answer_headers(self, clock: Clock) -> dict[str, str]:
        """The extra headers, with `Retry-After` in the form asked for."""
        if self.retry_after is None:
            return dict(self.headers)
        if self.retry_after_form == "date":
            value = http_date(clock.now() + timedelta(seconds=self.retry_after))
        else:
            value = str(int(self.retry_after))
        return {**self.headers, "Retry-After": value}


class Faults:
    """The faults on order; the first that matches a request is the one it meets."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.ordered: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Order a fault; its `hits` tell how often it struck."""
        with self._lock:
            self.ordered.append(fault)
        return fault

    def clear(self) -> None:
        """Cancel all of them."""
        with self._lock:
            self.ordered.clear()

    def next_for(self, method: str, path: str) -> Fault | None:
        """The fault that this request gets, if any; counts the hit."""
        with self._lock:
            return next((fault for fault in self.ordered if fault.applies_to(method, path)), None)
