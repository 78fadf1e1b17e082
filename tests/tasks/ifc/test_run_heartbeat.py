"""What is said about the platform when a flow run has ended early."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from deployments.sandbox.state.seed import SEEDED
from tasks.addresses import read_subject
from tasks.ifc.followed_runs import STALE_AFTER_SECONDS, FollowedRun, is_stale
from tasks.ifc.orphaned_runs import Follower
from tasks.ifc.run_heartbeat import (
    describe_remote_run,
    describe_remote_run_of,
    forget_followed,
    record_followed,
)
from tasks.ifc.run_records import Outcome, RunRecords
from tasks.state_dir import KEPT_FOR, StateDir
from tests.tasks.run_specs import note, request_for, spec_for

RUN = FollowedRun(connection_id="c1", run_id="r1")


def test_a_run_that_is_followed_goes_on(tmp_path: Path) -> None:
    """The sentence names run and connection, and how to pick it up; another flow run's says nothing of it."""
    record_followed(StateDir(tmp_path), "flow-1", RUN)
    said = describe_remote_run(StateDir(tmp_path), "flow-1")
    assert said.startswith("Export run r1 on connection c1 goes on at the platform")
    assert "same command again" in said
    assert describe_remote_run(StateDir(tmp_path), "flow-2") == ""


@pytest.mark.parametrize("imodel", [SEEDED.plant, "Campus/Plant A", f"https://a.example/imodels/{SEEDED.plant}"])
def test_a_run_is_found_however_its_imodel_was_given(tmp_path: Path, imodel: str) -> None:
    """A flow run whose iModel was given by name, id or address is found by its own id, and counts as its follower."""
    record_followed(StateDir.of_imodel(tmp_path, SEEDED.bridge), "flow-2", RUN)
    record_followed(StateDir.of_imodel(tmp_path, SEEDED.plant), "flow-1", RUN)
    asked = {"imodel_id": imodel, "output_dir": str(tmp_path)}
    assert "Export run r1 on connection c1 goes on" in describe_remote_run_of(asked, "flow-1")
    assert describe_remote_run_of(asked, "flow-3") == ""
    follower = Follower("flow-1", frozenset({read_subject(imodel, "iModel")}), str(tmp_path))
    assert follower.follows(SEEDED.plant, SEEDED.itwin)
    assert not follower.follows(SEEDED.bridge, SEEDED.itwin)


def test_a_run_that_has_finished_does_not_go_on(tmp_path: Path) -> None:
    """A run that is being fetched is told as finished."""
    record_followed(StateDir(tmp_path), "flow-1", RUN)
    record_followed(StateDir(tmp_path), "flow-1", RUN.model_copy(update={"is_finished": True}))
    assert "has finished at the platform" in describe_remote_run(StateDir(tmp_path), "flow-1")


def test_a_run_that_failed_is_not_spoken_of(tmp_path: Path) -> None:
    """After a run has failed, nothing goes on."""
    record_followed(StateDir(tmp_path), "flow-1", RUN)
    forget_followed(StateDir(tmp_path), "flow-1")
    assert describe_remote_run(StateDir(tmp_path), "flow-1") == ""


@pytest.mark.parametrize(
    ("outcome", "run_id", "said"),
    [
        ("asked", None, "An export run that was asked for on connection c1 may go on"),
        ("started", "r1", "Export run r1 on connection c1 may go on"),
        ("refused", None, ""),
        ("failed", "r1", ""),
        ("fetched", "r1", ""),
    ],
)
def test_what_was_asked_for_may_go_on(tmp_path: Path, outcome: Outcome, run_id: str | None, said: str) -> None:
    """Before a run is followed, the notes of requests tell what may go on."""
    spec = spec_for(request_for(tmp_path), "c1")
    records = RunRecords(spec.request.state_dir.runs)
    records.note(note(spec, asked_by="flow-1"), outcome, run_id=run_id)
    assert describe_remote_run(spec.request.state_dir, "flow-1").startswith(said)
    assert bool(describe_remote_run(spec.request.state_dir, "flow-1")) == bool(said)


def test_old_notes_are_forgotten(tmp_path: Path) -> None:
    """Notes of a week ago go when a new one is written; half a note is no note."""
    record_followed(StateDir(tmp_path), "old", RUN)
    record_followed(StateDir(tmp_path), "half", RUN)
    (old, half) = (tmp_path / "followed" / f"{name}.json" for name in ("old", "half"))
    long_ago = old.stat().st_mtime - (KEPT_FOR + timedelta(hours=1)).total_seconds()
    os.utime(old, (long_ago, long_ago))
    half.write_text("{")
    record_followed(StateDir(tmp_path), "new", RUN)
    assert not old.exists()
    assert describe_remote_run(StateDir(tmp_path), "half") == ""
    assert describe_remote_run(StateDir(tmp_path), "new")


def test_a_killed_process_grows_silent(tmp_path: Path) -> None:
    """A note that nobody has freshened for minutes tells that its process is gone; without a note nothing is known."""
    record_followed(StateDir(tmp_path), "flow-1", RUN)
    assert not is_stale(StateDir(tmp_path), "flow-1")
    long_ago = time.time() - STALE_AFTER_SECONDS - 1
    os.utime(tmp_path / "followed" / "flow-1.json", (long_ago, long_ago))
    assert is_stale(StateDir(tmp_path), "flow-1")
    assert not is_stale(StateDir(tmp_path), "flow-2")
