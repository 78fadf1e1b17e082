"""Tilesets in an object store: the process is killed at each step, or two run at once, while a reader loads them."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.history import KeptExport
from deployments.sandbox.state.seed import SEEDED
from tasks.reports import ExportReport
from tests.blocks.storage.site.campus import staged
from tests.processes.commands import until
from tests.processes.kill_points import EFFECT, KillPoint
from tests.processes.test_stored_exports import Machines, machines, report_of
from tests.processes.tile_reader import reading

__all__ = ["machines"]  # a fixture of another module
pytestmark = pytest.mark.crash
KEY = f"{SEEDED.plant}/mesh"
NOTES = f"{SEEDED.plant}/.itwin-export/generations"
CONTAINER = "/sandboxblobs/[^/]+"
STEPS = [
    KillPoint("signing in", "/connect/token$", "POST"),
    KillPoint("resolving the changeset", f"/imodels/{SEEDED.plant}/changesets"),
    KillPoint("looking for tiles", "/mesh-export$"),
    KillPoint("waiting for tiles", "/mesh-export$", "GET", {"nth": 3}),
    KillPoint("listing the tiles", f"{CONTAINER}$"),
    KillPoint("fetching the root", f"{CONTAINER}/tileset[.]json$"),
    KillPoint("fetching the first tile", f"{CONTAINER}/.+[.]glb$"),
    KillPoint("fetching a later tile", f"{CONTAINER}/.+[.]glb$", "GET", {"nth": 40}),
]
ASKING = [
    KillPoint("asking for tiles", "/mesh-export$", "POST"),
    KillPoint("having asked for tiles without knowing", "/mesh-export$", "POST", EFFECT),
]
"""The stand-in begins tiles with the first listing, as the platform does, unless it is told not to."""


@pytest.fixture
def tileset(machines: Machines, tmp_path: Path) -> StoredTileset:
    """A tileset that is already published; each test publishes another in its place."""
    machines.commands.sandbox.state.imodels[SEEDED.plant].mesh_seconds = 0.5
    tileset = StoredTileset(machines.store, KEY, tmp_path / "before")
    manifest = staged(tmp_path / "staging", 1).model_copy(update={"imodel_id": SEEDED.plant})
    tileset.publish(tmp_path / "staging", manifest, keep=0, lock=tmp_path)
    return tileset


def replace(machines: Machines, tileset: StoredTileset, export: Callable[[], Iterable[ExportReport]]) -> set[str]:
    """Export while a reader loads the tileset: it ends with the tiles of the one remote export, published whole.

    Returns:
        The generations that the reader loaded besides the first and the last.
    """
    before = tileset.see().manifest
    assert before
    with reading(tileset.store, KEY) as reader:
        run_ids = {report.run_id for report in export()}
    after = tileset.see().manifest
    assert after
    tileset.verify(KeptExport(Path(), after), full=True)
    (made,) = machines.commands.sandbox.state.meshes.of(SEEDED.plant)
    assert run_ids == {made.id} == {after.run_id}
    assert reader.loaded[-1] == after.generation
    return set(reader.loaded) - {before.generation, after.generation}


def after_kill(machines: Machines, is_there: Callable[[], bool], what: str) -> Iterator[ExportReport]:
    """Kill an export at a moment; another machine with an empty disk makes up for it."""
    command = machines.start("mesh")
    until(is_there, what)
    command.kill()
    yield report_of(machines.start("mesh"))


def noted(tileset: StoredTileset) -> set[str]:
    """Generations whose root may have been published although their writer died or came second."""
    return {key.rpartition("/")[2].removesuffix(".json") for key in tileset.store.entries(NOTES)}


@pytest.mark.parametrize("point", [*STEPS, *ASKING], ids=lambda point: point.name)
def test_a_machine_that_dies_at_any_step_is_made_up_for(
    machines: Machines, tileset: StoredTileset, point: KillPoint
) -> None:
    """After a kill at any step, readers get the complete old or new tileset, and the one remote export is published."""
    machines.commands.sandbox.state.options.mesh_generation = "manual" if point in ASKING else "automatic"
    is_there = point.arm(machines.commands)
    assert replace(machines, tileset, lambda: after_kill(machines, is_there, point.name)) == set()


@pytest.mark.parametrize("moment", ["the note", "the first tile", "the last tile", "the root", "the manifest"])
def test_a_machine_that_dies_while_it_publishes_is_made_up_for(
    machines: Machines, tileset: StoredTileset, moment: str
) -> None:
    """As soon as an object is there, its writer dies; readers load whole tilesets all the while."""
    store = tileset.store
    notes, listed = set(store.entries(NOTES)), set(store.entries(KEY))
    root, manifest = store.read(f"{KEY}/tileset.json", 10**6), store.read(f"{KEY}/manifest.json", 10**7)
    moments: dict[str, Callable[[], bool]] = {
        "the note": lambda: store.entries(NOTES).keys() > notes,
        "the first tile": lambda: any(key.endswith(".glb") for key in store.entries(KEY).keys() - listed),
        "the last tile": lambda: any(key.endswith("/tileset.json") for key in store.entries(KEY).keys() - listed),
        "the root": lambda: store.read(f"{KEY}/tileset.json", 10**6) != root,
        "the manifest": lambda: store.read(f"{KEY}/manifest.json", 10**7) != manifest,
    }
    seen = replace(machines, tileset, lambda: after_kill(machines, moments[moment], moment))
    assert seen <= noted(tileset)


@pytest.mark.parametrize("pair", range(20))
def test_twenty_pairs_of_machines_publish_the_tiles_of_one_export(
    machines: Machines, tileset: StoredTileset, pair: int
) -> None:
    """However long the tiles take and whoever asks first, two machines share one remote export."""
    state = machines.commands.sandbox.state
    state.options.mesh_generation, state.imodels[SEEDED.plant].mesh_seconds = "manual", 0.1 * pair

    def at_once() -> Iterable[ExportReport]:
        return map(report_of, [machines.start("mesh"), machines.start("mesh")])

    assert replace(machines, tileset, at_once) <= noted(tileset)
