"""Questions to a Prefect server, asked again while it is busy, as Prefect's own client does."""

import time
from typing import Any

import httpx

BUSY = frozenset({429, 502, 503})
"""On SQLite the server answers 503 when another writer holds the database; nothing has been done then."""
PAUSES = (0.1, 0.3, 0.6, 1.0, 1.5, 2.0, 3.0, 5.0)


def ask(method: str, url: str, body: object = None, password: str | None = None) -> Any:
    """What the server answers, as Python values; none where the answer has no body.

    Args:
        method: Of the request.
        url: Of the request.
        body: Sent as JSON.
        password: Of the server, in the form `user:password`.

    Raises:
        httpx.HTTPStatusError: It refuses, or stays busy.
    """
    auth = httpx.BasicAuth(*password.split(":", 1)) if password else None
    answer = httpx.request(method, url, json=body, timeout=120, auth=auth)
    for pause in PAUSES:
        if answer.status_code not in BUSY:
            break
        time.sleep(pause)
        answer = httpx.request(method, url, json=body, timeout=120, auth=auth)
    return answer.raise_for_status().json() if answer.content else None


def end_leftovers(api: str) -> None:
    """End the flow runs of processes that other tests have killed: for the server they go on for ever."""
    wanted = {"flow_runs": {"state": {"type": {"any_": ["PENDING", "RUNNING", "PAUSED", "CANCELLING"]}}}}
    for flow_run in ask("POST", f"{api}/flow_runs/filter", wanted):
        state = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
        ask("POST", f"{api}/flow_runs/{flow_run['id']}/set_state", state)
