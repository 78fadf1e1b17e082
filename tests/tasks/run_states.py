"""A platform with one run that goes through scripted states."""

from dataclasses import dataclass, field
from typing import Any

import httpx

from blocks.itwin.apis import apis_of
from deployments.sandbox.clock import http_date
from tasks.polling import PollBackoff, RunPoller
from tests.blocks.itwin.platform import MOMENT, FakeTime, client_to
from tests.tasks.run_specs import LOG, minutes

POLITE = PollBackoff(5, 60)


@dataclass
class States:
    """A platform whose run has the next of these states at each poll; its clock advances with each sleep."""

    states: list[str | httpx.Response]
    seconds: float = 0.0
    started: str | None = None
    looks: int = 0
    slept: list[float] = field(default_factory=list[float])
    time: FakeTime = field(default_factory=FakeTime)
    dates: dict[int, str] = field(default_factory=dict[int, str])
    """The `Date` of single answers, by their number, in place of the time."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        del request
        state = self.states[min(self.looks, len(self.states) - 1)]
        self.looks += 1
        if isinstance(state, httpx.Response):
            return httpx.Response(state.status_code, content=state.content, headers=self._date)
        run = {"id": "r", "state": state, "result": "Success", "startDateTime": self.started}
        return httpx.Response(200, json={"run": run}, headers=self._date)

    @property
    def _date(self) -> dict[str, str]:
        return {"Date": self.dates.get(self.looks) or http_date(MOMENT + minutes(self.seconds / 60))}

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds
        self.time.now += seconds

    def watch(self, timeout: float = 60, **more: Any) -> RunPoller:
        itwin = apis_of(client_to(self, time=self.time))
        return RunPoller(itwin, "c", "r", MOMENT, minutes(timeout), POLITE, LOG, sleep=self.sleep, **more)
