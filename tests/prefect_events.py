"""Events of this project, read back from a real Prefect server."""

import json
import time
from pathlib import Path
from typing import Any

import jsonschema

import tasks.events
from tests.prefect_api import ask

SCHEMA = json.loads((Path(tasks.events.__path__[0]) / "events.schema.json").read_text("utf-8"))
LARGEST_PAYLOAD = 16 * 1024


def events_of(api: str, output_dir: Path | str, count: int) -> list[dict[str, Any]]:
    """The events of all exports to a folder, oldest first, once there are so many; each is valid and small.

    Raises:
        AssertionError: There are others, or a payload breaks the schema.
    """
    wanted = {
        "event": {"prefix": ["itwin."]},
        "related": {"id": [f"itwin.destination.{output_dir}"]},
        "order": "ASC",
    }
    end = time.monotonic() + 60
    found: list[dict[str, Any]] = []
    while len(found) < count and time.monotonic() < end:
        time.sleep(0.1)
        found = ask("POST", f"{api}/events/filter", {"filter": wanted})["events"]
    assert len(found) == count, [event["event"] for event in found]
    for event in found:
        jsonschema.validate(event["payload"], SCHEMA)
        assert event["payload"]["event"] == event["event"]
        assert len(json.dumps(event["payload"]).encode()) <= LARGEST_PAYLOAD
    return found


def names_of(events: list[dict[str, Any]]) -> list[str]:
    """Their names without what all have in common."""
    return [event["event"].removeprefix("itwin.") for event in events]
