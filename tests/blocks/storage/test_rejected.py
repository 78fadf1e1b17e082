"""Rejected exports beside the published one: whole or not there, bounded, and carried along by the next tileset."""

import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from blocks.storage.manifest import read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.rejected import MOST_REJECTED, read_rejected
from tests.blocks.storage.killed_publisher import Action
from tests.blocks.storage.publishing import Format, Publisher


@pytest.fixture(params=["ifc", "mesh"])
def publisher(request: pytest.FixtureRequest, tmp_path: Path) -> Publisher:
    """Publishes one iModel in either format."""
    return Publisher(tmp_path, cast("Format", request.param))


def rejected_runs(publisher: Publisher) -> list[str]:
    """Runs of the rejected exports, the newest first, each of them whole."""
    found = read_rejected(publisher.folder)
    for export in found:
        verify_published(export.folder, export.manifest, full=True)
    return [str(export.manifest.run_id) for export in found]


def test_the_newest_three_stay(publisher: Publisher) -> None:
    """However many exports are rejected, the newest three are there; the published one is not touched."""
    publisher.publish(1, keep=0)
    for night in range(2, 3 + MOST_REJECTED):
        publisher.reject(night)
    assert rejected_runs(publisher) == ["run 5", "run 4", "run 3"]
    assert {path.name for path in (publisher.folder / "rejected").iterdir()} == {
        "0005 2026-11-05",
        "0004 2026-11-04",
        "0003 2026-11-03",
    }
    assert publisher.runs() == {"": "run 1"}


@pytest.mark.parametrize("keep", [0, 2])
def test_the_next_export_leaves_them(publisher: Publisher, keep: int) -> None:
    """Publishing the next export, which swaps the folder of a tileset, keeps rejected ones and sets nothing aside."""
    publisher.reject(1)
    publisher.publish(2, keep=keep)
    publisher.reject(3)
    publisher.publish(4, keep=keep)
    assert rejected_runs(publisher) == ["run 3", "run 1"]
    assert publisher.runs()[""] == "run 4"
    assert {path.name for path in publisher.root.iterdir()} == {".itwin-export", publisher.export_format}


def attempts_at(action: Action, publisher: Publisher) -> list[Publisher]:
    """What processes leave that die at one change of the disk after the other while they do it."""
    program = [sys.executable, "-m", "tests.blocks.storage.killed_publisher"]
    command = [*program, str(publisher.root), publisher.export_format, action]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3], timeout=500)
    return [Publisher(path, publisher.export_format) for path in sorted(publisher.root.iterdir())]


@pytest.mark.crash
def test_whatever_the_moment_it_is_whole_or_absent(publisher: Publisher) -> None:
    """A process that dies at any change of the disk leaves the published export, and a rejected one whole or absent."""
    attempts = attempts_at("reject", publisher)
    assert len(attempts) > 10
    for attempt in attempts:
        assert attempt.runs()[""] == "run 4"
        before = rejected_runs(attempt)
        assert before in ([], ["run 5"])
        attempt.reject(6)
        assert rejected_runs(attempt) == ["run 6", *before]
        labels = {path.name for path in (attempt.folder / "rejected").iterdir()}
        assert len(labels) == 1 + len(before)


@pytest.mark.crash
def test_a_new_verdict_leaves_the_export_whole_at_every_moment(publisher: Publisher) -> None:
    """A process that dies while it replaces verdict and report leaves one of the verdicts, or none, and whole files."""
    attempts = attempts_at("check", publisher)
    assert len(attempts) > 5
    verdicts: list[str] = []
    for attempt in attempts:
        assert attempt.runs()[""] == "run 4"
        manifest = read_manifest(attempt.folder)
        assert manifest
        verdicts.append(manifest.verdict)
    assert list(dict.fromkeys(verdicts)) == ["accepted", "not_checked", "rejected"]
