"""How much memory is left for a picture."""

from pathlib import Path

import pytest

from blocks.bounds import MIB
from blocks.storage.preview import drawing
from blocks.storage.preview.drawing import draw
from blocks.storage.preview.free_memory import free_memory

GROUPS = {
    "version 2": ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    "version 1": (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
}


@pytest.mark.parametrize("version", GROUPS)
def test_the_limit_of_a_container_counts(version: str, tmp_path: Path) -> None:
    """Free is what a container's limit leaves, its caches included, if that is less than the machine has."""
    machine = tmp_path / "meminfo"
    machine.write_text("MemTotal: 9000 kB\nMemAvailable:   8000 kB\n")
    assert free_memory(machine, tmp_path) == 8000 * 1024
    limit, used, statistics, cache = (name for name in GROUPS[version])
    (tmp_path / "memory").mkdir()
    (tmp_path / limit).write_text("5000000\n")
    (tmp_path / used).write_text("3000000\n")
    (tmp_path / statistics).write_text(f"anon 5\n{cache} 1000000\n")
    assert free_memory(machine, tmp_path) == 3_000_000
    (tmp_path / limit).write_text("max\n")
    assert free_memory(machine, tmp_path) == 8000 * 1024


def test_without_figures_nothing_is_known(tmp_path: Path) -> None:
    """Where the system does not say it, it is not known."""
    assert free_memory(tmp_path / "meminfo", tmp_path) is None


def test_a_picture_leaves_memory_to_the_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too little memory is free no process is started, and the reason says so."""
    monkeypatch.setattr(drawing, "free_memory", lambda: 1000 * MIB)
    assert draw("ifc", [tmp_path / "a.ifc"]).reason == "less than 1024 MiB of memory are free"
