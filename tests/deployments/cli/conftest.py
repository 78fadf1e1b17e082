"""Fixtures of the tests of commands."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def no_prefect(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An environment without settings of Prefect, and an empty home of it."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "home"))
