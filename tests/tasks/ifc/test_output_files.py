"""Which Storage files a run produced."""

from pathlib import Path
from typing import Any

import pytest

from blocks.errors import ContentError, NotAuthorizedError
from blocks.itwin.models import ExportRun
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.ids import guid
from deployments.sandbox.state.entities import StorageItem
from deployments.sandbox.state.seed import SEEDED
from tasks.ifc.options import IfcRequest
from tasks.ifc.output_files import find_log, find_models
from tests.blocks.itwin.platform import MOMENT, Platform
from tests.tasks.run_specs import request_for

HERE = Path("exports")


def plant_request(**options: Any) -> IfcRequest:
    return request_for(HERE, **options).with_names(imodel="Plant A", itwin_id=SEEDED.itwin)


def run_of(*tasks: dict[str, Any], start: object = MOMENT.isoformat()) -> ExportRun:
    return ExportRun.model_validate({"id": "r", "startDateTime": start, "jobs": [{"tasks": tasks}]})


def put(platform: Platform, name: str, folder_id: str | None = None) -> StorageItem:
    root = platform.state.itwins[SEEDED.itwin].root_folder_id
    return platform.state.add_file(folder_id or root, name, b"x")


async def models(platform: Platform, run: ExportRun, **options: Any) -> list[str]:
    found = await find_models(platform.itwin, plant_request(**options), run)
    return [file.id for file in found]


async def log_of(platform: Platform, model: StorageItem, start: object = MOMENT.isoformat()) -> str | None:
    file = await platform.itwin.storage.get_file(model.id)
    found = await find_log(platform.itwin, plant_request(), run_of(start=start), file)
    return found.display_name if found else None


async def test_the_runs_own_word_counts(platform: Platform) -> None:
    """A Storage id on a task is taken, whatever the file is called and whatever else lies there."""
    file = put(platform, "model.ifc")
    put(platform, "Plant A.ifc")
    assert await models(platform, run_of({"result": "Success", "exportOutputFileId": file.id})) == [file.id]


async def test_every_file_comes_once(platform: Platform) -> None:
    """Several tasks bring several files; a file that two tasks name comes once."""
    one, two = put(platform, "1.ifc"), put(platform, "2.ifc")
    tasks = [{"result": "Success", "exportOutputFileId": file.id} for file in (one, two, one)]
    assert await models(platform, run_of(*tasks)) == [one.id, two.id]


@pytest.mark.parametrize("result", ["Error", "Canceled", "Cancelled", "TimedOut"])
async def test_the_file_of_a_failed_task_is_not_taken(platform: Platform, result: str) -> None:
    """An id on a task that failed is passed over."""
    broken, good = put(platform, "broken.ifc"), put(platform, "Plant A.ifc")
    assert await models(platform, run_of({"result": result, "exportOutputFileId": broken.id})) == [good.id]


@pytest.mark.parametrize("task", [{"exportOutputFileId": guid("unknown")}, {"exportOutputFileId": None}, {}])
async def test_without_a_usable_id_the_folder_is_looked_into(platform: Platform, task: dict[str, Any]) -> None:
    """A GUID that Storage does not know, or none, leads to the one file that fits, in the folder asked for."""
    file, other = put(platform, "Plant A.ifc"), platform.state.add_folder(SEEDED.itwin, "Other")
    inside = put(platform, "Plant A.ifc", other.id)
    run = run_of({"result": "Success", **task})
    assert await models(platform, run) == [file.id]
    assert await models(platform, run, folder_id=other.id) == [inside.id]


async def test_a_file_that_may_not_be_read_is_an_error(platform: Platform) -> None:
    """A 403 for the id is told, not worked around."""
    platform.state.faults.add(Fault(path="/storage/files/", status=403, code="No"))
    put(platform, "Plant A.ifc")
    with pytest.raises(NotAuthorizedError):
        await models(platform, run_of({"result": "Success", "exportOutputFileId": "f"}))


@pytest.mark.parametrize(
    "name",
    [
        "Plant A.ifc",
        "plant_a.IFC",
        "PlantA.ifc",
        "Plant A (1).ifc",
        f"{SEEDED.plant}.ifc",
        f"x-{SEEDED.plant.upper()}.ifc",
    ],
)
async def test_names_that_fit(platform: Platform, name: str) -> None:
    """The iModel's name in any spelling that Storage may give it, numbered or not, or its id, fits."""
    file = put(platform, name)
    assert await models(platform, run_of()) == [file.id]


@pytest.mark.parametrize(
    "name", ["Plant AB.ifc", "Plant.ifc", "Supplant A.ifc", "Bridge.ifc", "Plant A.log", "Plant A"]
)
async def test_names_that_do_not_fit(platform: Platform, name: str) -> None:
    """A file of another name or kind is never taken, even if it is the only one."""
    put(platform, name)
    with pytest.raises(ContentError, match=r"are: none.*folder_id"):
        await models(platform, run_of())


async def test_two_files_that_fit_are_an_error(platform: Platform) -> None:
    """Where two files fit, neither is taken; the message names both and what to do."""
    put(platform, "Plant A.ifc")
    put(platform, "Plant A (1).ifc")
    with pytest.raises(ContentError, match=r"Plant A \(1\)\.ifc, Plant A\.ifc.*USER_BLOB_STORAGE"):
        await models(platform, run_of())


async def test_a_file_from_before_the_run_is_not_taken(platform: Platform) -> None:
    """An older file of the right name is not the run's; nor is any where the run tells no start."""
    put(platform, "Plant A.ifc")
    late = (MOMENT.replace(minute=1)).isoformat()
    for run in (run_of(start=late), run_of(start=None)):
        with pytest.raises(ContentError):
            await models(platform, run)


async def test_the_file_is_found_on_a_later_page(platform: Platform) -> None:
    """A folder of many files is searched whole."""
    for number in range(205):
        put(platform, f"A{number}.ifc")
    file = put(platform, "Plant A.ifc")
    assert await models(platform, run_of()) == [file.id]


async def test_a_nameless_imodel_fits_no_name(platform: Platform) -> None:
    """An iModel whose name has no letter is found by its id only."""
    put(platform, "Bridge.ifc")
    with pytest.raises(ContentError):
        await find_models(platform.itwin, plant_request().with_names(imodel="–"), run_of())


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([], None),
        (["Plant A.log"], "Plant A.log"),
        (["Plant A.ifc.log"], "Plant A.ifc.log"),
        (["Plant A_20261122.txt"], "Plant A_20261122.txt"),
        (["Plant AB.log"], None),
        (["Plant A.log", "Plant A.txt"], None),
        (["Plant A.pdf"], None),
    ],
)
async def test_the_log_beside_the_model(platform: Platform, names: list[str], found: str | None) -> None:
    """The one log whose name goes with the model is taken; where that is not clear, none is."""
    model = put(platform, "Plant A.ifc")
    for name in names:
        put(platform, name)
    assert await log_of(platform, model) == found


async def test_an_old_log_is_not_taken(platform: Platform) -> None:
    """A log from before the run is left alone."""
    model = put(platform, "Plant A.ifc")
    put(platform, "Plant A.log")
    assert await log_of(platform, model, (MOMENT.replace(minute=1)).isoformat()) is None


async def test_a_log_among_thousands_costs_one_request(platform: Platform) -> None:
    """A log is asked for by its name: the folder of a whole iTwin's exports is not read for it."""
    for number in range(305):
        put(platform, f"Model {number}.ifc")
    model = put(platform, "Plant A.ifc")
    put(platform, "Plant A.log")
    before = len(platform.state.log)
    assert await log_of(platform, model) == "Plant A.log"
    asked = [entry.path for entry in list(platform.state.log)[before:]]
    assert asked == [f"/storage/files/{model.id}", f"/storage/folders/{model.parent_id}/search"]


@pytest.mark.parametrize("status", [404, 405, 422, 501])
async def test_where_the_search_refuses_the_folder_is_read(platform: Platform, status: int) -> None:
    """A platform that takes no such pattern costs a look into the folder, not the log."""
    platform.state.faults.add(Fault(path="/search", status=status, code="No", count=None))
    model = put(platform, "Plant A.ifc")
    put(platform, "Plant A.log")
    assert await log_of(platform, model) == "Plant A.log"


async def test_a_log_in_a_folder_below_is_not_taken(platform: Platform) -> None:
    """A search that looks below the folder finds logs that belong to other exports."""
    model = put(platform, "Plant A.ifc")
    put(platform, "Plant A.log", platform.state.add_folder(SEEDED.itwin, "Other").id)
    assert await log_of(platform, model) is None


async def test_a_named_file_that_is_gone_is_called_so(platform: Platform) -> None:
    """Where the run names a file that Storage does not have, the error says that, not that no file is named."""
    with pytest.raises(ContentError, match=r"names the file f-1, which Storage does not show.*new export") as caught:
        await models(platform, run_of({"result": "Success", "exportOutputFileId": "f-1"}))
    assert "names no file" not in str(caught.value)


@pytest.mark.parametrize("named", [True, False])
async def test_a_file_changed_after_the_run_is_not_the_runs(platform: Platform, *, named: bool) -> None:
    """A file that was replaced minutes after the run had ended is refused; one changed as the run ended is taken."""
    run = run_of({"result": "Success"}).model_copy(update={"end_date_time": MOMENT})
    file = put(platform, "Plant A.ifc")
    if named:
        task = {"result": "Success", "exportOutputFileId": file.id}
        run = run_of(task).model_copy(update={"end_date_time": MOMENT})
    assert await models(platform, run) == [file.id]
    await platform.sleep(300)
    platform.state.overwrite(file, b"of another run")
    with pytest.raises(ContentError, match="changed at .* it is not the file" if named else "are: none"):
        await models(platform, run)
