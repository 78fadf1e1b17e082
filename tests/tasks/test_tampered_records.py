"""What others put among records and unfinished exports is no traceback, and reads or deletes nothing outside."""

import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from blocks.errors import DiskError
from blocks.storage.manifest import Manifest
from deployments.sandbox.state.seed import SEEDED
from tasks.batch.page import ended_batch_page
from tasks.batch.reports import BegunBatch, keep_batch_report, keep_begun_batch, read_batch_report
from tasks.batch.unfinished_batch import read_unfinished
from tasks.ifc.followed_runs import FollowedRun, is_stale
from tasks.ifc.run_heartbeat import describe_remote_run, forget_followed, record_followed
from tasks.ifc.run_matching import RunMatcher
from tasks.ifc.run_records import LONGEST_TEXT, RunRecord, RunRecords
from tasks.pasted_command import FlowRunFacts
from tasks.reports import BatchReport
from tasks.state_dir import FOLDER, KEPT_FOR, LONGEST_RECORD, StateDir
from tests.blocks.itwin.platform import MOMENT
from tests.tampering import hostile
from tests.tasks.run_specs import request_for, spec_for

FAST = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FOLLOWED = FollowedRun(connection_id="c1", run_id="r1")
BEGUN = BegunBatch(itwin_id="i", formats=("ifc", "mesh"), names={SEEDED.plant: "Plant A"}, begun_at=MOMENT)
REPORT = BatchReport(itwin_id="i", exported=0, skipped=0, failed=0)
RECORD = RunRecord(
    record_id="one",
    connection_id="c1",
    changeset_id="cs",
    options="o",
    place="",
    asked_at=MOMENT,
    asked_by="flow",
    blob_name="",
)


ASKED = set(RunRecord.model_fields) - {"record_id", "run_id", "outcome", "fetched_at", "reason"}


@pytest.fixture
def state_dir(tmp_path: Path) -> StateDir:
    return StateDir(tmp_path / "shared" / FOLDER)


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of others, whose file has not changed since 1970."""
    folder = tmp_path / "home"
    (folder / "inner").mkdir(parents=True)
    for path in (folder / "private.json", folder / "inner" / "private.json"):
        path.write_text("private")
        os.utime(path, ns=(0, 0))
    return folder


def is_whole(victim: Path) -> bool:
    return {path.read_text() for path in victim.rglob("*.json")} == {"private"} and len(list(victim.rglob("*"))) == 3


@pytest.mark.parametrize("name", ["runs", "followed", "batches", "."])
def test_a_linked_state_folder_is_refused(name: str, state_dir: StateDir, victim: Path) -> None:
    """Where a folder of records, or the state folder, is a link, nothing behind it is deleted, written or read."""
    link = state_dir.root / name
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    (victim / "flow.json").write_text((REPORT if name == "batches" else FOLLOWED).model_dump_json())
    (victim / "one.json").write_text(RECORD.model_dump_json())
    assert describe_remote_run(state_dir, "flow") == ""
    assert RunRecords(state_dir.runs).all() == []
    assert read_batch_report(state_dir.root.parent, "flow") is None
    (victim / "flow.json").unlink()
    (victim / "one.json").unlink()
    attempts: dict[str, Callable[[], object]] = {
        "runs": lambda: RunRecords(state_dir.runs).ask(**RECORD.model_dump(include=ASKED)),
        "followed": lambda: record_followed(state_dir, "flow", FOLLOWED),
        "batches": lambda: keep_batch_report(state_dir.root.parent, "flow", REPORT),
        "staging": lambda: state_dir.staging("run", "flow").__enter__(),
    }
    for wanted in attempts if name == "." else [name]:
        with pytest.raises(DiskError, match="is a symbolic link"):
            attempts[wanted]()
    assert is_whole(victim)


def test_links_among_unfinished_exports_are_removed(state_dir: StateDir, victim: Path) -> None:
    """Links in the place of the staging folder, in it, or of locks and checkpoints go; what they lead to stays."""
    inside = state_dir.root / "run"
    inside.mkdir(parents=True)
    (inside / "tiles").symlink_to(victim)
    (inside / "model.ifc.part").symlink_to(victim / "private.json")
    for name in ("mesh", "mesh.lock", "mesh.journal", "run.lock"):
        (state_dir.root / name).symlink_to(victim)
    for name in ("run", "mesh"):
        with state_dir.staging(name, "flow") as folder:
            assert not folder.is_symlink()
            assert not folder.exists() or list(folder.iterdir()) == []
    assert is_whole(victim)
    assert {path.name for path in state_dir.root.iterdir()} == {"run", "run.lock", "mesh.lock"}


def test_a_record_is_written_where_it_was_read(state_dir: StateDir, victim: Path) -> None:
    """A record whose id names another file is ignored, so what becomes of its run is written nowhere else."""
    records = RunRecords(state_dir.runs)
    state_dir.runs.mkdir(parents=True)
    for wanted in (str(victim / "new"), "../../../home/new", "other"):
        tampered = RECORD.model_copy(update={"record_id": wanted, "run_id": "r1"})
        (state_dir.runs / "one.json").write_text(tampered.model_dump_json())
        records.note_run("c1", "r1", "failed")
        assert records.all() == []
    assert is_whole(victim)


@pytest.mark.parametrize(
    "members",
    [
        {"asked_at": "9999-12-31T23:59:59-14:00"},
        {"asked_at": "0001-01-01T00:00:00+14:00"},
        {"connection_id": "c1\x1b[31m"},
        {"run_id": "](https://elsewhere.example)"},
        {"changeset_id": "c" * (LONGEST_TEXT + 1)},
    ],
)
def test_implausible_records_are_ignored(members: dict[str, str], state_dir: StateDir) -> None:
    """Impossible times, ids that would change a message and text without end make no record."""
    state_dir.runs.mkdir(parents=True)
    (state_dir.runs / "one.json").write_text(json.dumps(RECORD.model_dump(mode="json") | members))
    assert RunRecords(state_dir.runs).all() == []


def test_a_reason_has_no_control_characters(state_dir: StateDir) -> None:
    """The reason of a record, which a log shows, is one line without escape codes."""
    state_dir.runs.mkdir(parents=True)
    record = RECORD.model_copy(update={"reason": "gone\x1b[2J\nand more"})
    (state_dir.runs / "one.json").write_text(record.model_dump_json())
    assert RunRecords(state_dir.runs).all()[0].reason == "gone\\x1b[2J and more"


def test_what_cannot_be_a_record_is_none(state_dir: StateDir, victim: Path) -> None:
    """A link, a FIFO and a file beyond the bound in the place of a record are read as missing, at once."""
    record_followed(state_dir, "flow", FOLLOWED)
    path = state_dir.followed("flow")
    theirs = victim / "private.json"
    for plant in (
        lambda: path.symlink_to(theirs),
        lambda: os.mkfifo(path),
        lambda: (path.touch(), os.truncate(path, LONGEST_RECORD + 1)),
    ):
        path.unlink()
        plant()
        assert describe_remote_run(state_dir, "flow") == ""
        assert not is_stale(state_dir, "flow")
    path.unlink()
    path.symlink_to(theirs)
    record_followed(state_dir, "flow", FOLLOWED)
    forget_followed(state_dir, "flow")
    assert is_whole(victim)


@FAST
@given(hostile(RECORD.model_dump(mode="json")))
def test_any_run_record(tmp_path: Path, content: bytes) -> None:
    """Whatever lies among records is a record that can be matched with runs and noted, or ignored."""
    spec = spec_for(request_for(tmp_path), "c1")
    records = RunRecords(tmp_path / "runs")
    (tmp_path / "runs").mkdir(exist_ok=True)
    (tmp_path / "runs" / "one.json").write_bytes(content)
    found = records.all()
    matcher = RunMatcher(spec, "c1", found, "")
    matcher._lost_answers_before(datetime.now(UTC))  # pyright: ignore[reportPrivateUsage]
    describe_remote_run(StateDir(tmp_path), "flow").encode()
    records.note_run("c1", "r1", "failed")


@FAST
@given(hostile(FOLLOWED.model_dump(mode="json")))
def test_any_followed_record(tmp_path: Path, content: bytes) -> None:
    """Whatever lies in the place of a followed run's record leads to one line of text or none."""
    (tmp_path / "followed").mkdir(exist_ok=True)
    (tmp_path / "followed" / "flow.json").write_bytes(content)
    said = describe_remote_run(StateDir(tmp_path), "flow")
    assert said == "" or said.isprintable()


@FAST
@given(hostile(REPORT.model_dump(mode="json")))
def test_any_batch_report(tmp_path: Path, content: bytes) -> None:
    """Whatever lies in the place of a batch report is a report that can be merged and printed, or none."""
    path = StateDir.of_batches(tmp_path).batch("flow")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    report = read_batch_report(tmp_path, "flow")
    assert report is None or report.model_dump_json()


@FAST
@given(hostile(BEGUN.model_dump(mode="json")))
def test_any_begun_batch(tmp_path: Path, content: bytes) -> None:
    """Whatever lies in the place of the note of a begun batch, the page of the batch can be written."""
    path = StateDir.of_batches(tmp_path).begun_batch("flow")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    batch = read_unfinished(tmp_path, "flow", "Campus", describe_remote_run)
    assert ended_batch_page("crashed", batch, FlowRunFacts(), tmp_path).encode()


def test_a_begun_batch_reads_nothing_outside(tmp_path: Path) -> None:
    """An id with a path in the note of a begun batch leads to no manifest."""
    folder = tmp_path / "private" / "ifc"
    folder.mkdir(parents=True)
    manifest = Manifest(
        api_url="a", imodel_id="i", changeset_id="c", format="ifc", tool_version="1", created_at=datetime.now(UTC)
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    keep_begun_batch(tmp_path / "exports", "flow", BEGUN.model_copy(update={"names": {"../private": "x"}}))
    assert read_unfinished(tmp_path / "exports", "flow", "Campus", describe_remote_run).published == ()


def test_old_records_still_go(state_dir: StateDir) -> None:
    """Records that nobody changed for a week are removed as before."""
    record_followed(state_dir, "old", FOLLOWED)
    long_ago = time.time() - KEPT_FOR.total_seconds() - 60
    os.utime(state_dir.followed("old"), (long_ago, long_ago))
    record_followed(state_dir, "new", FOLLOWED)
    assert [path.name for path in state_dir.followed("new").parent.iterdir()] == ["new.json"]
