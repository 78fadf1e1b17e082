"""A folder `mesh` that is a link: tilesets are published where it leads, and the link stays."""

import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from blocks.storage.manifest import read_manifest
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_mesh import export_mesh

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def other_disk(tmp_path: Path) -> Generator[Path]:
    """A folder on another disk than the exports."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        assert Path(name).stat().st_dev != tmp_path.stat().st_dev
        yield Path(name)


@pytest.fixture
def mesh_folder(tmp_path: Path) -> Path:
    """Where tiles of Plant A are published."""
    folder = tmp_path / "exports" / SEEDED.plant / "mesh"
    folder.parent.mkdir(parents=True)
    return folder


@pytest.mark.usefixtures("sandbox")
async def test_tiles_are_swapped_on_the_disk_a_link_leads_to(mesh_folder: Path, other_disk: Path) -> None:
    """The first and the next tileset are published on the other disk; the link and other people's files stay."""
    mesh_folder.symlink_to(other_disk / "tiles")
    (other_disk / "notes.txt").write_text("mine")
    for forced in (False, True):
        await export_mesh(SEEDED.plant, force=forced)
        assert mesh_folder.readlink() == other_disk / "tiles"
        assert read_manifest(other_disk / "tiles")
    assert {path.name for path in other_disk.iterdir()} == {"tiles", "notes.txt", ".itwin-export"}
    assert (await export_mesh(SEEDED.plant)).skipped


async def test_a_link_to_a_disk_that_is_not_mounted_is_refused_first(
    sandbox: RunningSandbox, mesh_folder: Path, tmp_path: Path
) -> None:
    """A link into a folder that is not there is named before the platform is asked for tiles."""
    mesh_folder.symlink_to(tmp_path / "not mounted" / "tiles")
    with pytest.raises(ConfigurationError, match="Mount its disk, or remove the link"):
        await export_mesh(SEEDED.plant)
    assert not list(sandbox.state.meshes.of(SEEDED.plant))
