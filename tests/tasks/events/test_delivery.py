"""Events on their way to a real Prefect server, and to none."""

import logging
import socket
from pathlib import Path

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.errors import InputError
from tasks.events.delivery import emit
from tasks.events.outbox import MOST_KEPT, Outbox
from tasks.events.outcomes import payload_without_files, record_of
from tasks.events.payloads import EventRecord, FlowRunNamed
from tasks.export_progress import ExportProgress
from tests.prefect_events import events_of

LOG = logging.getLogger("tests.events")


def failed(output_dir: Path, flow_run_id: str = "1") -> EventRecord:
    run = FlowRunNamed(id=flow_run_id, name="ifc")
    error = InputError("There is no such iModel.")
    payload = payload_without_files("itwin.export.failed", ExportProgress("ifc", "2"), run, str(output_dir), error)
    return record_of(payload, flow_run_id, str(output_dir))


async def test_an_event_that_finds_no_server_is_delivered_by_the_next(
    prefect_server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It waits where only its owner can read it, one line says so, and it arrives once with the event after it."""
    outbox = Outbox.of(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    with temporary_settings({PREFECT_API_URL: nowhere}), caplog.at_level("WARNING", LOG.name):
        assert await emit(failed(tmp_path), LOG)
    (line,) = [record.getMessage() for record in caplog.records if record.name == LOG.name]
    assert "did not take the events" in line
    assert str(outbox.folder) in line
    (file,) = outbox.folder.iterdir()
    assert file.stat().st_mode & 0o077 == 0
    assert await emit(failed(tmp_path, "2"), LOG)
    assert await emit(failed(tmp_path, "2"), LOG)
    assert list(outbox.folder.iterdir()) == []
    found = events_of(prefect_server, tmp_path, 2)
    assert {event["payload"]["flow_run"]["id"] for event in found} == {"1", "2"}


@pytest.mark.usefixtures("prefect_server")
async def test_a_folder_that_takes_no_event_does_not_keep_it_from_the_server(
    prefect_server: str, tmp_path: Path
) -> None:
    """Where the outbox cannot be written to, the event is sent all the same."""
    (tmp_path / ".itwin-export").write_text("a file in its place")
    assert await emit(failed(tmp_path), LOG)
    events_of(prefect_server, tmp_path, 1)


def test_an_outbox_is_bounded_and_believes_no_stranger(tmp_path: Path) -> None:
    """The oldest event gives way to one more; what is no event, or has another's name, is passed over."""
    outbox = Outbox.of(tmp_path)
    event = failed(tmp_path)
    outbox.put(event)
    (outbox.folder / "strange.json").write_text(event.model_dump_json())
    (outbox.folder / "broken.json").write_text("{")
    assert outbox.waiting(10) == [event]
    for number in range(MOST_KEPT):
        (outbox.folder / f"{number}.json").touch()
    outbox.put(failed(tmp_path, "2"))
    assert len(list(outbox.folder.iterdir())) == MOST_KEPT
