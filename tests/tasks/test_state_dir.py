"""Folders to fetch into: one worker at a folder, with locks and without."""

import errno
import os
import time
from pathlib import Path

import pytest

from blocks.file_lock import file_lock
from blocks.storage.publish import try_publishing
from tasks.state_dir import KEPT_FOR, StateDir
from tests.limited_mounts import Refusals, refusals

__all__ = ["refusals"]


def test_a_folder_in_use_is_not_shared(tmp_path: Path) -> None:
    """The same name gives the same folder, and another one while that is in use."""
    state_dir = StateDir(tmp_path)
    with state_dir.staging("run", "a") as first, state_dir.staging("run", "b") as second:
        assert (first.name, second.name) == ("run", "run-b")
    with state_dir.staging("run", "b") as again:
        assert again == first


def test_old_things_go_and_notes_stay(tmp_path: Path) -> None:
    """Fetching removes what nobody changed for a week; folders of notes stay, however old."""
    state_dir = StateDir(tmp_path)
    old = [tmp_path / "left", tmp_path / "left.lock", tmp_path / "runs", tmp_path / "followed"]
    for path in old:
        path.write_text("") if path.suffix else path.mkdir()
    long_ago = time.time() - KEPT_FOR.total_seconds() - 60
    for path in old:
        os.utime(path, (long_ago, long_ago))
    (tmp_path / "young").mkdir()
    with state_dir.staging("run", "mine"):
        assert {path.name for path in tmp_path.iterdir()} == {"runs", "followed", "young", "run.lock"}


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_everybody_has_a_folder_of_his_own(tmp_path: Path, refusals: Refusals, error: int) -> None:
    """Where a file system has no locks, whatever it says then, work goes on in a folder nobody else takes."""
    refusals(errno.EINVAL, error)
    with StateDir(tmp_path).staging("run", "mine") as folder, file_lock(tmp_path / "lock") as is_held:
        assert folder.name == "run-mine"
        assert not is_held


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_folders_that_cannot_be_flushed_are_published_to(tmp_path: Path, refusals: Refusals, error: int) -> None:
    """A file system that refuses to flush folders is fit for exports, and nothing of the trial is left."""
    refusals(error, errno.ENOLCK)
    try_publishing(tmp_path / "staging", tmp_path / "ifc")
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_lock_that_fails_is_an_error(tmp_path: Path, refusals: Refusals) -> None:
    """An error of the disk is not taken for a lack of locks."""
    refusals(errno.EINVAL, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), file_lock(tmp_path / "lock"):
        pass
