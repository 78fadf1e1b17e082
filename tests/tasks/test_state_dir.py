"""Folders to fetch into: one worker at a folder, with locks and without."""

import errno
from pathlib import Path

import pytest

from blocks.file_lock import file_lock
from blocks.storage.publish import try_publishing
from tasks.state_dir import staging_dir
from tests.limited_mounts import Refusals, refusals
from tests.tasks.run_specs import request_for

__all__ = ["refusals"]


def test_a_folder_in_use_is_not_shared(tmp_path: Path) -> None:
    """The same name gives the same folder, and another one while that is in use."""
    request = request_for(tmp_path)
    with staging_dir(request, "run") as first, staging_dir(request, "run") as second:
        assert first != second
    with staging_dir(request, "run") as again:
        assert again == first


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_without_locks_everybody_has_a_folder_of_his_own(tmp_path: Path, refusals: Refusals, error: int) -> None:
    """Where a file system has no locks, whatever it says then, work goes on in a folder nobody else takes."""
    refusals(errno.EINVAL, error)
    request = request_for(tmp_path)
    with staging_dir(request, "run") as folder, file_lock(tmp_path / "lock") as is_held:
        assert folder.name != "run"
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
