"""Staging folders: one process per folder, with and without file locks."""

import errno
import os
import time
from pathlib import Path

import pytest

from blocks.file_lock import file_lock
from blocks.storage.publish import check_publishable
from tasks.state_dir import KEPT_FOR, StateDir
from tests.limited_mounts import Refusals, refusals

__all__ = ["refusals"]


def test_a_folder_in_use_is_not_shared(tmp_path: Path) -> None:
    """One name gives the same folder each time, and a different folder while it is in use."""
    state_dir = StateDir(tmp_path)
    with state_dir.staging("run", "a") as first, state_dir.staging("run", "b") as second:
        assert (first.name, second.name) == ("run", "run-b")
    with state_dir.staging("run", "b") as again:
        assert again == first


def test_old_files_are_removed_and_record_folders_stay(tmp_path: Path) -> None:
    """Creating a staging folder removes files unchanged for a week; folders of records stay at any age."""
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
def test_without_locks_each_owner_has_its_own_folder(tmp_path: Path, refusals: Refusals, error: int) -> None:
    """If a file system has no locks, whatever error it returns, the export uses a folder of its own."""
    refusals(errno.EINVAL, error)
    with StateDir(tmp_path).staging("run", "mine") as folder, file_lock(tmp_path / "lock") as is_held:
        assert folder.name == "run-mine"
        assert not is_held


@pytest.mark.parametrize("error", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_folders_that_cannot_be_flushed_are_published_to(tmp_path: Path, refusals: Refusals, error: int) -> None:
    """A file system that cannot flush folders is accepted, and the trial leaves no files."""
    refusals(error, errno.ENOLCK)
    check_publishable(tmp_path / "staging", tmp_path / "ifc")
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_lock_that_fails_is_an_error(tmp_path: Path, refusals: Refusals) -> None:
    """An I/O error of the disk is raised; it does not count as missing support for locks."""
    refusals(errno.EINVAL, errno.EIO)
    with pytest.raises(OSError, match="Input/output error"), file_lock(tmp_path / "lock"):
        pass
