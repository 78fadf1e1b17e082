"""A process that dies at any change of the disk while it publishes with a history; `make crash` runs it."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from blocks.errors import ContentError
from blocks.storage.history import read_history
from blocks.storage.manifest import read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.tileset.publish import previous_path
from tests.blocks.storage.publishing import Format, Publisher

pytestmark = pytest.mark.crash

AFTER = {"": "run 6", "0005 2026-11-05": "run 5", "0004 2026-11-04": "run 4", "0002 Issued": "run 2"}


def whole_runs(publisher: Publisher) -> set[str]:
    """The runs of the exports that are whole, wherever the killed process left them."""
    folders = [publisher.folder, previous_path(publisher.folder)]
    places = [*folders, *(export.folder for folder in folders for export in read_history(folder))]
    runs: set[str] = set()
    for place in places:
        manifest = read_manifest(place)
        with contextlib.suppress(ContentError):
            if manifest is not None:
                verify_published(place, manifest, full=True)
                runs.add(str(manifest.run_id))
    return runs


@pytest.mark.parametrize("export_format", ["ifc", "mesh"])
def test_whatever_the_moment_old_and_new_are_whole(tmp_path: Path, export_format: str) -> None:
    """After a kill at any step each export that was to stay is there and whole; the next time makes up for the rest."""
    command = [sys.executable, "-m", "tests.blocks.storage.killed_publisher", str(tmp_path), export_format, "publish"]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[3], timeout=500)
    attempts = sorted(tmp_path.iterdir())
    assert len(attempts) > 10
    for attempt in attempts:
        publisher = Publisher(attempt, cast("Format", export_format))
        assert {"run 2", "run 3", "run 4"} <= whole_runs(publisher), attempt.name
        manifest = read_manifest(publisher.folder)
        if manifest is None or manifest.run_id != "run 5":
            publisher.publish(5, keep=2)
        publisher.publish(6, keep=2)
        assert publisher.runs() == AFTER, attempt.name
