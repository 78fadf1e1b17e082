"""The JSON schema of the payloads. To write it anew: `python -m tests.tasks.events.test_event_schema`."""

from pathlib import Path

from pydantic import TypeAdapter

import tasks.events
from tasks.events.payloads import Payload
from tests.json_schemas import schema_text

SCHEMA = Path(tasks.events.__path__[0]) / "events.schema.json"


def generated() -> str:
    return schema_text(TypeAdapter[Payload](Payload).json_schema(mode="serialization"))


def test_the_schema_in_the_repository_is_that_of_the_payloads() -> None:
    """The schema that others validate events with is generated from the models that write them."""
    assert SCHEMA.read_text("utf-8") == generated()


if __name__ == "__main__":
    SCHEMA.write_text(generated(), "utf-8")
