"""The flow export-itwin: many exports, one process, one truthful report."""

from pathlib import Path

import httpx
import pytest

from blocks.errors import BatchFailedError, InputError
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_itwin import export_itwin
from tasks.batch.options import FailWhen
from tasks.reports import BatchReport

pytestmark = [
    pytest.mark.usefixtures("prefect_server", "sandbox"),
    pytest.mark.asyncio(loop_scope="session"),
]

INITIALIZED = {SEEDED.plant, SEEDED.bridge, SEEDED.baseline, SEEDED.stadium}


def requests_for(sandbox: RunningSandbox, imodel_id: str, since: int) -> list[str]:
    """What was asked of the platform about one iModel since a moment."""
    return [r.path for r in list(sandbox.state.log)[since:] if imodel_id in r.path or imodel_id in r.query]


async def test_every_initialized_imodel_is_exported(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """A batch exports each initialized iModel of the iTwin once, and no other."""
    report = await export_itwin(SEEDED.itwin)
    assert (report.exported, report.skipped, report.failed) == (4, 0, 0)
    assert {one.imodel_id for one in report.reports} == INITIALIZED
    assert len(list((tmp_path / "exports").glob("*/ifc/*.ifc"))) == len(list(sandbox.state.runs)) == 4


async def test_the_second_night_exports_only_what_changed(sandbox: RunningSandbox) -> None:
    """A second batch starts runs for changed iModels only, at two requests at most for each unchanged one."""
    await export_itwin(SEEDED.itwin)
    sandbox.state.push_changeset(SEEDED.bridge)
    since = len(sandbox.state.log)
    report = await export_itwin(SEEDED.itwin)
    assert (report.exported, report.skipped) == (1, 3)
    assert len(sandbox.state.runs_of(SEEDED.bridge)) == 2
    assert all(len(requests_for(sandbox, imodel, since)) <= 2 for imodel in INITIALIZED - {SEEDED.bridge})


async def test_a_bad_imodel_stops_no_other(sandbox: RunningSandbox) -> None:
    """Where some exports fail, the others are delivered and each failure says why."""
    sandbox.state.script(SEEDED.plant, Outcome(task_result="Error"))
    sandbox.state.faults.add(
        Fault(path=f"/imodels/{SEEDED.stadium}/changesets", status=403, code="InsufficientPermissions")
    )
    with pytest.raises(BatchFailedError, match="2 exported, 0 skipped, 2 failed") as caught:
        await export_itwin(SEEDED.itwin)
    report = caught.value.report
    assert isinstance(report, BatchReport)
    said = {failure.imodel_id: failure.error for failure in report.failures}
    assert "TAE_BRW_1000" in said[SEEDED.plant]
    assert "InsufficientPermissions" in said[SEEDED.stadium]


async def test_every_kind_of_failure_is_named(sandbox: RunningSandbox) -> None:
    """Refused, absent, failed, corrupt or Invalid: each is one failure with its cause, and all others are delivered."""
    state = sandbox.state
    made = [state.add_imodel(SEEDED.itwin, f"Kind {n}", changesets=1, elements=4, tiles=4).id for n in range(9)]
    forbidden, absent, failed, corrupt, invalid, *sound = made
    for imodel_id, status, code in [(forbidden, 403, "InsufficientPermissions"), (absent, 404, "iModelNotFound")]:
        state.faults.add(Fault(path=f"/imodels/{imodel_id}/changesets", status=status, code=code, count=None))
    state.script_always(failed, Outcome(task_result="Error"))
    state.script_always(corrupt, Outcome(content=b"<html>"))
    state.meshes.script(invalid, "Invalid", "Invalid", "Invalid")
    report = await export_itwin(SEEDED.itwin, formats=["ifc", "mesh"], name_contains="Kind", fail_when="never")
    assert {one.imodel_id for one in report.reports} >= set(sound)
    assert (report.exported, report.failed) == (2 * len(made) - 7, 7)
    said = {(failure.imodel_id, failure.format): failure.error for failure in report.failures}
    for chosen in ("ifc", "mesh"):
        assert "InsufficientPermissions" in said[forbidden, chosen]
        assert "iModelNotFound" in said[absent, chosen]
    assert "TAE_BRW_1000" in said[failed, "ifc"]
    assert "is not an IFC file" in said[corrupt, "ifc"]
    assert "Invalid" in said[invalid, "mesh"]


@pytest.mark.parametrize(("fail_when", "fails"), [("any", True), ("all", False), ("never", False)])
async def test_the_caller_says_when_a_batch_has_failed(
    sandbox: RunningSandbox, fail_when: FailWhen, fails: bool
) -> None:
    """One failure among several exports fails the batch only if the caller wants it so."""
    sandbox.state.script(SEEDED.plant, Outcome(result="Error"))
    chosen = [SEEDED.plant, SEEDED.bridge]
    if fails:
        with pytest.raises(BatchFailedError):
            await export_itwin(SEEDED.itwin, imodel_ids=chosen, fail_when=fail_when)
    else:
        assert (await export_itwin(SEEDED.itwin, imodel_ids=chosen, fail_when=fail_when)).failed == 1


async def test_both_formats_come_from_one_batch(tmp_path: Path) -> None:
    """A batch of both formats publishes an IFC file and a tileset of each iModel."""
    report = await export_itwin(SEEDED.itwin, formats=["ifc", "mesh"], imodel_ids=[SEEDED.bridge])
    assert sorted(one.format for one in report.reports) == ["ifc", "mesh"]
    assert (tmp_path / "exports" / SEEDED.bridge / "mesh" / "tileset.json").is_file()


async def test_names_narrow_the_choice() -> None:
    """Only iModels whose name contains the text are exported."""
    report = await export_itwin(SEEDED.itwin, name_contains="brid")
    assert [one.imodel_id for one in report.reports] == [SEEDED.bridge]


async def test_a_batch_that_finds_nothing_is_bad_input(sandbox: RunningSandbox) -> None:
    """A name that no iModel has is named with the iTwin and what it holds; an empty choice can be allowed."""
    with pytest.raises(InputError, match=f"{SEEDED.itwin} has 4 .* no name contains “Brigde”.*--allow-empty"):
        await export_itwin(SEEDED.itwin, name_contains="Brigde")
    report = await export_itwin(SEEDED.itwin, name_contains="Brigde", allow_empty=True)
    assert (report.exported, report.failed) == (0, 0)
    assert not list(sandbox.state.runs)


async def test_an_imodel_that_is_not_there_is_named(sandbox: RunningSandbox) -> None:
    """An iModel asked for that the iTwin does not hold ends the batch before anything is started."""
    with pytest.raises(InputError, match=SEEDED.uninitialized):
        await export_itwin(SEEDED.itwin, imodel_ids=[SEEDED.uninitialized])
    assert not list(sandbox.state.runs)


async def test_no_more_than_max_active_runs_at_once(sandbox: RunningSandbox) -> None:
    """With max_active=1 the platform never sees a second run before the first has ended."""
    await export_itwin(SEEDED.itwin, max_active=1)
    runs = sorted(sandbox.state.runs, key=lambda run: run.started_at)
    ends = [run.finished_at for run in runs if run.finished_at is not None]
    assert len(ends) == len(runs) == len(INITIALIZED)
    assert all(end <= after.started_at for end, after in zip(ends, runs[1:], strict=False))


async def test_what_is_being_fetched_leaves_its_place_to_the_next(sandbox: RunningSandbox) -> None:
    """With max_active=1 the second run begins while the files of the first are still on their way."""
    sandbox.state.faults.add(Fault(path="/download", delay=5))
    report = await export_itwin(SEEDED.itwin, imodel_ids=[SEEDED.plant, SEEDED.bridge], max_active=1)
    second = max(sandbox.state.runs, key=lambda run: run.started_at)
    published = min(one.finished_at for one in report.reports)
    assert second.started_at < published


async def test_one_page_tells_of_all(prefect_server: str) -> None:
    """A batch leaves one page and one progress artifact, not one artifact for each iModel."""
    report = await export_itwin(SEEDED.itwin, imodel_ids=[SEEDED.plant, SEEDED.bridge])
    async with httpx.AsyncClient(timeout=60) as client:
        answer = await client.post(f"{prefect_server}/artifacts/filter", json={"limit": 200})
    latest = [row for row in answer.json() if row["key"] and row["key"].startswith("export-itwin")]
    page = next(row for row in latest if row["type"] == "markdown" and report.reports[0].output_dir in row["data"])
    progress = next(row for row in latest if row["type"] == "progress" and row["flow_run_id"] == page["flow_run_id"])
    assert progress["data"] == 100
    of_this_run = [row for row in answer.json() if row["flow_run_id"] == page["flow_run_id"]]
    shown = {row["key"] for row in of_this_run if row["key"]}  # Prefect's notes of task results have none
    assert shown == {page["key"], progress["key"]}


async def test_a_batch_ends_with_one_tileset_for_all(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """With federate, the common tileset refers to all published tiles of the iTwin, earlier ones included."""
    sandbox.state.options.mesh_seconds = 0.1
    site = sandbox.state.add_itwin("Site")
    made = [sandbox.state.add_imodel(site.id, f"Part {n}", tiles=4).id for n in range(3)]
    await export_itwin(site.id, formats=["mesh"], imodel_ids=made[:1])
    report = await export_itwin(site.id, formats=["mesh"], imodel_ids=made[1:2], federate=True)
    assert report.federation
    assert report.federation.tileset
    assert report.federation.tileset == str(tmp_path / "exports" / site.id / "tileset.json")
    assert [one.status for one in report.federation.imodels] == ["included", "included", "left out"]
    assert Path(report.federation.tileset).is_file()


async def test_a_batch_without_a_common_tileset_fails(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """If the common tileset cannot be written, the exports are published and the batch fails with the reason."""
    sandbox.state.options.mesh_seconds = 0.1
    site = sandbox.state.add_itwin("Site")
    sandbox.state.add_imodel(site.id, "Part", tiles=4)
    (tmp_path / "exports" / site.id).mkdir(parents=True)
    (tmp_path / "exports" / site.id / "tileset.json").write_text("{}")
    with pytest.raises(BatchFailedError, match=r"1 exported, .* no common tileset of itwin-export") as caught:
        await export_itwin(site.id, formats=["mesh"], federate=True)
    assert isinstance(caught.value.report, BatchReport)
    assert caught.value.report.federation
