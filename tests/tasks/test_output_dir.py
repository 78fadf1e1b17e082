"""The output folder that a person gives."""

from pathlib import Path

import pytest

from blocks.disk import require_writable
from blocks.errors import ConfigurationError, InputError
from deployments.cli.viewing import view
from tasks.output_place import check_output_dir


@pytest.mark.parametrize(
    "given", ["~no-such-user-here/x", "a\0b", "a\udcffb", "a/" * 1500, "a" * 300, "\x1b[2J" + "a/" * 1500]
)
def test_an_impossible_folder_is_refused(given: str) -> None:
    """A home of nobody, characters no path has and 1500 folders end in one printable sentence."""
    with pytest.raises(InputError, match="cannot exist") as refused:
        check_output_dir(given)
    assert len(str(refused.value)) < 1000
    assert str(refused.value).isprintable()


def test_a_link_to_itself_is_no_folder(tmp_path: Path) -> None:
    """A symbolic link that leads to itself ends in a sentence."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(ConfigurationError, match="loop cannot be used"):
        require_writable(tmp_path / "loop")


def test_a_folder_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path from the working folder, and one from the home of the user, are completed."""
    monkeypatch.chdir(tmp_path)
    assert check_output_dir("a b/ä") == tmp_path / "a b" / "ä"
    assert check_output_dir("~/x") == Path.home() / "x"


def test_a_path_too_long_to_view_is_no_folder() -> None:
    """A path of 5000 characters ends in a short sentence."""
    with pytest.raises(InputError, match="There is no folder xxx") as refused:
        view("x" * 5000)
    assert len(str(refused.value)) < 1000
