"""What was issued stays: exports that are kept beside the current one."""

from pathlib import Path

import pytest

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh
from tasks.reports import ExportReport

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


def labels(report: ExportReport) -> list[str]:
    """The history of the folder that an export was published in."""
    history = Path(report.output_dir) / report.imodel_id / report.format / "history"
    return sorted(path.name for path in history.iterdir())


async def test_an_old_version_in_the_history_needs_no_run(sandbox: RunningSandbox) -> None:
    """An export of a version that is still kept is skipped, and its report leads into the history."""
    issued = await export_ifc(SEEDED.plant, named_version="Issued for review", keep=1)
    latest = await export_ifc(SEEDED.plant, keep=1)
    assert labels(latest) == ["0003 Issued for review"]
    again = await export_ifc(SEEDED.plant, named_version="Issued for review")
    assert (again.skipped, again.run_id, again.changeset_index) == (True, issued.run_id, 3)
    paths = [Path(again.output_dir) / file.path for file in again.files]
    assert {path.parent.name for path in paths} == {"0003 Issued for review"}
    assert [path.stat().st_size for path in paths] == [file.size for file in issued.files]
    assert (await export_ifc(SEEDED.plant, changeset_id="3")).skipped
    assert (await export_ifc(SEEDED.plant)).run_id == latest.run_id
    assert len(list(sandbox.state.runs)) == 2


async def test_the_latest_is_published_though_it_is_in_the_history(sandbox: RunningSandbox) -> None:
    """Who asks for the latest finds it as the current export, not in the history."""
    await export_ifc(SEEDED.plant, keep=1)
    await export_ifc(SEEDED.plant, changeset_id="3", keep=1)
    latest = await export_ifc(SEEDED.plant, keep=1)
    assert not latest.skipped
    assert latest.changeset_id == sandbox.state.imodels[SEEDED.plant].changesets[-1].id
    assert all("history" not in file.path for file in latest.files)


async def test_the_file_is_named_by_the_template(sandbox: RunningSandbox) -> None:
    """Model and log have the name, the export counts as current the next time, and the old names are gone."""
    await export_ifc(SEEDED.plant)
    template = "{itwin}-{imodel}-{changeset_index:04}_{named_version}"
    report = await export_ifc(SEEDED.plant, file_name=template)
    folder = Path(report.output_dir) / SEEDED.plant / "ifc"
    name = "Campus-Plant A-0005_unnamed"
    about = {"content.json", "global-ids.bin", "manifest.json"}
    assert {path.name for path in folder.iterdir()} == {f"{name}.ifc", f"{name}.log", *about}
    asked = len(sandbox.state.log)
    assert (await export_ifc(SEEDED.plant, file_name=template)).skipped
    assert [entry.path for entry in list(sandbox.state.log)[asked:]] == [f"/imodels/{SEEDED.plant}/changesets"]


async def test_tilesets_are_kept_whole(sandbox: RunningSandbox) -> None:
    """A tileset goes into the history with all its tiles, and those that did not change are on the disk once."""
    await export_mesh(SEEDED.plant, keep=2)
    sandbox.state.push_changeset(SEEDED.plant)
    report = await export_mesh(SEEDED.plant, keep=2)
    folder = Path(report.output_dir) / SEEDED.plant / "mesh"
    (label,) = labels(report)
    tiles = [path.relative_to(folder).as_posix() for path in folder.rglob("*.glb") if "history" not in path.parts]
    kept = {name: folder / "history" / label / name for name in tiles}
    assert label.startswith("0005 ")
    assert all(path.is_file() for path in kept.values())
    linked = [name for name, path in kept.items() if path.samefile(folder / name)]
    assert len(tiles) // 2 < len(linked) < len(tiles)
    again = await export_mesh(SEEDED.plant, changeset_id="5")
    assert (again.skipped, again.tile_count) == (True, report.tile_count)
