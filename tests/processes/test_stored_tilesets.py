"""Processes that publish a tileset in an object store and are killed at any step, while a reader keeps loading it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.history import KeptExport
from deployments.sandbox.state.seed import SEEDED
from tests.blocks.storage.site.campus import staged
from tests.processes.commands import until
from tests.processes.kill_points import KillPoint
from tests.processes.test_stored_exports import Machines, machines, report_of
from tests.processes.tile_reader import reading

__all__ = ["machines"]  # a fixture of another module
pytestmark = pytest.mark.crash
KEY = f"{SEEDED.plant}/mesh"
NOTES = f"{SEEDED.plant}/.itwin-export/generations"
STEPS = [
    KillPoint("signing in", "/connect/token$", "POST"),
    KillPoint("resolving the changeset", f"/imodels/{SEEDED.plant}/changesets"),
    KillPoint("looking for tiles", "/mesh-export$"),
]


@pytest.fixture
def tileset(machines: Machines, tmp_path: Path) -> StoredTileset:
    """A published tileset, which each test replaces."""
    machines.commands.sandbox.state.imodels[SEEDED.plant].mesh_seconds = 0.5
    tileset = StoredTileset(machines.store, KEY, tmp_path / "before")
    manifest = staged(tmp_path / "staging", 1).model_copy(update={"imodel_id": SEEDED.plant})
    tileset.publish(tmp_path / "staging", manifest, keep=0, lock=tmp_path)
    return tileset


def replace_after_kill(machines: Machines, tileset: StoredTileset, is_there: Callable[[], bool], what: str) -> None:
    """Kill the export at a moment; another machine with an empty disk publishes the tiles of the one remote export."""
    before = tileset.see().manifest
    assert before
    with reading(tileset.store, KEY) as reader:
        command = machines.start("mesh")
        until(is_there, what)
        command.kill()
        report = report_of(machines.start("mesh"))
    after = tileset.see().manifest
    assert after
    tileset.verify(KeptExport(Path(), after), full=True)
    (made,) = machines.commands.sandbox.state.meshes.of(SEEDED.plant)
    assert made.id == after.run_id == report.run_id
    assert set(reader.loaded) <= {before.generation, after.generation} | interrupted(tileset)
    assert reader.loaded[-1] == after.generation


def interrupted(tileset: StoredTileset) -> set[str]:
    """Generations that are noted and whose root may have been published before its writer died."""
    return {key.rpartition("/")[2].removesuffix(".json") for key in tileset.store.entries(NOTES)}


@pytest.mark.parametrize("point", STEPS, ids=lambda point: point.name)
def test_a_machine_that_dies_before_it_asks_for_tiles_is_made_up_for(
    machines: Machines, tileset: StoredTileset, point: KillPoint
) -> None:
    """Wherever the process dies, readers load whole tilesets, and another machine publishes those of the one export."""
    replace_after_kill(machines, tileset, point.arm(machines.commands), point.name)


@pytest.mark.parametrize("moment", ["the note", "the first tile", "the last tile", "the root", "the manifest"])
def test_a_machine_that_dies_while_it_publishes_is_made_up_for(
    machines: Machines, tileset: StoredTileset, moment: str
) -> None:
    """As soon as an object is there, its writer dies; readers load whole tilesets all the while."""
    store = tileset.store
    noted, listed = set(store.entries(NOTES)), set(store.entries(KEY))
    root, manifest = store.read(f"{KEY}/tileset.json", 10**6), store.read(f"{KEY}/manifest.json", 10**7)
    moments: dict[str, Callable[[], bool]] = {
        "the note": lambda: store.entries(NOTES).keys() > noted,
        "the first tile": lambda: any(key.endswith(".glb") for key in store.entries(KEY).keys() - listed),
        "the last tile": lambda: any(key.endswith("/tileset.json") for key in store.entries(KEY).keys() - listed),
        "the root": lambda: store.read(f"{KEY}/tileset.json", 10**6) != root,
        "the manifest": lambda: store.read(f"{KEY}/manifest.json", 10**7) != manifest,
    }
    replace_after_kill(machines, tileset, moments[moment], moment)
