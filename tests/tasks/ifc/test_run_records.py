"""Notes of the runs we asked for."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from blocks.errors import DiskError
from tasks.ifc.run_records import RunRecord, RunRecords
from tasks.state_dir import KEPT_FOR
from tests.blocks.itwin.platform import MOMENT


def ask(records: RunRecords, connection_id: str = "c", asked_at: datetime = MOMENT) -> RunRecord:
    return records.ask(
        connection_id=connection_id,
        changeset_id="cs",
        options="o",
        place="",
        asked_at=asked_at,
        asked_by="me",
        blob_name="",
    )


def aged(folder: Path, age: timedelta) -> None:
    """Let the notes that are there be so old."""
    moment = time.time() - age.total_seconds()
    for path in folder.iterdir():
        os.utime(path, (moment, moment))


def test_notes_are_found_again_oldest_first(tmp_path: Path) -> None:
    """Another process reads the notes of a connection, and only of that one, in the order of asking."""
    records = RunRecords(tmp_path / "runs")
    later = ask(records, asked_at=MOMENT + timedelta(minutes=1))
    first = ask(records)
    ask(records, connection_id="other")
    assert RunRecords(tmp_path / "runs").of_connection("c") == [first, later]


def test_without_a_folder_there_are_no_notes(tmp_path: Path) -> None:
    """Looking creates nothing."""
    assert RunRecords(tmp_path / "runs").of_connection("c") == []
    assert not list(tmp_path.iterdir())


def test_what_became_of_a_run_replaces_the_note(tmp_path: Path) -> None:
    """A note changes in place, keeps the run's id, and only the notes of that run change."""
    records = RunRecords(tmp_path)
    mine, other = ask(records), ask(records, asked_at=MOMENT + timedelta(seconds=1))
    records.note(mine, "started", run_id="r")
    records.note_run("c", "r", "fetched")
    records.note_run("c", "unknown", "failed")
    found = records.of_connection("c")
    assert [(record.run_id, record.outcome) for record in found] == [("r", "fetched"), (None, "asked")]
    assert found[1] == other
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b"{}", b'{"connection_id": "c"}'],
)
def test_unreadable_notes_are_passed_over(tmp_path: Path, content: bytes) -> None:
    """A note that is damaged hides no other one and stops nothing."""
    records = RunRecords(tmp_path)
    (tmp_path / "a.json").write_bytes(content)
    (tmp_path / "folder.json").mkdir()
    mine = ask(records)
    assert records.of_connection("c") == [mine]


def test_a_note_without_zone_is_passed_over(tmp_path: Path) -> None:
    """A time that somebody edited so that it cannot be compared is no reason to fail."""
    records = RunRecords(tmp_path)
    known = json.loads(ask(records).model_dump_json())
    (tmp_path / "edited.json").write_text(json.dumps({**known, "asked_at": "2026-11-22T12:00:00"}))
    assert len(records.of_connection("c")) == 1


def test_old_notes_are_forgotten(tmp_path: Path) -> None:
    """Asking again removes notes that nobody changed for a week, and no younger one."""
    records = RunRecords(tmp_path)
    ask(records)
    aged(tmp_path, KEPT_FOR + timedelta(minutes=1))
    kept = ask(records, asked_at=MOMENT + timedelta(seconds=2))
    aged(tmp_path, KEPT_FOR - timedelta(minutes=1))
    new = ask(records, asked_at=MOMENT + timedelta(seconds=3))
    assert records.of_connection("c") == [kept, new]


def test_a_reader_never_sees_half_a_note(tmp_path: Path) -> None:
    """While a note is rewritten again and again, every look finds it whole."""
    records = RunRecords(tmp_path)
    record = ask(records)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(lambda: [records.note(record, "started", run_id=str(n)) for n in range(100)])
        looks = 0
        while not writing.done():
            looks += 1
            assert len(records.of_connection("c")) == 1
        writing.result()
    assert looks
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_notes_hold_no_secret_and_no_two_are_one_file(tmp_path: Path) -> None:
    """Two requests of the same moment are two notes."""
    records = RunRecords(tmp_path)
    ask(records)
    ask(records)
    assert len(records.of_connection("c")) == 2
    assert "sig" not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A disk that refuses is told in one sentence with the folder in it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="file"):
        ask(RunRecords(tmp_path / "file" / "runs"))
