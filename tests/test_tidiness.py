"""What must never be in a commit."""

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
REGISTRY = re.compile(r"""--(extra-)?index[-]url|"resolved"[:]|https?[:]//\S+[.](whl|tgz|tar[.]gz|deb)\b""")
HOME_PATH = re.compile(r"(?<![\w.])/(home|root|Users)/\w+")


def tracked_text_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True)
    return [REPOSITORY / name for name in listed.stdout.split("\0") if name and not name.endswith(".png")]


@pytest.mark.parametrize("pattern", [REGISTRY, HOME_PATH], ids=["registry addresses", "paths of one machine"])
def test_tracked_files_name_no_machine(pattern: re.Pattern[str]) -> None:
    """No tracked file holds a package registry's address or a path of one person's machine."""
    found = [
        f"{path.relative_to(REPOSITORY)}: {match[0]}"
        for path in tracked_text_files()
        if (match := pattern.search(path.read_text(encoding="utf-8")))
    ]
    assert not found
