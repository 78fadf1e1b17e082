"""Clients of the Export, Storage and iModels APIs, against the sandbox platform."""

import json
from typing import Any

import httpx
import pytest

from blocks.errors import ConfigurationError, ConflictError, NotFoundError, RequestRefusedError, TransientError
from blocks.itwin.api.exports import ExportApi, RunInput, RunOutput, StartedRun
from blocks.itwin.apis import apis_of
from blocks.signed_url import SignedUrl
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.ids import changeset_id, guid
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from tests.blocks.itwin.platform import API, Platform, Server, answer, client_to

PLAIN = RunOutput("STORAGE", replace_older_file=False, save_logs=False)
FULL = RunOutput(
    "USER_BLOB_STORAGE",
    folder_id="folder",
    output_sas_url=SignedUrl("https://a.example/c/o?sig=out"),
    logs_sas_url=SignedUrl("https://a.example/c/l?sig=log"),
)


async def connect(platform: Platform, imodel_id: str = SEEDED.plant) -> str:
    made = await platform.itwin.exports.create_connection(imodel_id, display_name="ours", authentication_type="Service")
    return made.id


@pytest.mark.parametrize(
    ("asked", "output", "members"),
    [
        (
            RunInput("IFC4.3"),
            PLAIN,
            {
                "inputOptions": {},
                "outputOptions": {"location": "STORAGE", "replaceOlderFile": False, "saveLogs": False},
            },
        ),
        (
            RunInput("IFC4.3", "c" * 40, "view", ("0x1", "0x2"), "mapping", SignedUrl("https://a.example/c/m?sig=map")),
            FULL,
            {
                "inputOptions": {
                    "changesetId": "c" * 40,
                    "savedViewId": "view",
                    "modelIds": ["0x1", "0x2"],
                    "mappingFileId": "mapping",
                    "mappingfileBlobUrl": "https://a.example/c/m?sig=map",
                },
                "outputOptions": {
                    "location": "USER_BLOB_STORAGE",
                    "folderId": "folder",
                    "outputSasUrl": "https://a.example/c/o?sig=out",
                    "logsSasUrl": "https://a.example/c/l?sig=log",
                    "replaceOlderFile": True,
                    "saveLogs": True,
                },
            },
        ),
    ],
    ids=["baseline with defaults", "everything"],
)
async def test_asks_for_what_was_ordered_and_nothing_else(
    asked: RunInput, output: RunOutput, members: dict[str, Any]
) -> None:
    """The request body has the given options and omits empty ones, also the changeset of a baseline."""
    server = Server([answer(status=202, Location="/export/connections/c/runs/r")])
    await ExportApi(client_to(server)).create_run("c", asked, output)
    assert json.loads(server.requests[0].content) == {"exportType": "IFC", "ifcVersion": "IFC4.3", **members}
    assert "sig=" not in f"{server.requests[0].url} {output} {asked}"


@pytest.mark.parametrize("location", ["absolute", "relative"])
async def test_a_new_run_and_the_one_that_holds_the_imodel(platform: Platform, location: Any) -> None:
    """The first request starts a run; a second on another connection returns the same run and starts none."""
    platform.state.options.run_location = location
    first, second = await connect(platform), await connect(platform)
    started = await platform.itwin.exports.create_run(first, RunInput("IFC4.3"), PLAIN)
    assert started == StartedRun(first, started.run_id, is_new=True)
    met = await platform.itwin.exports.create_run(second, RunInput("IFC2x3"), PLAIN)
    assert met == StartedRun(first, started.run_id, is_new=False)
    assert platform.created() == 1
    run = await platform.itwin.exports.get_run(first, started.run_id)
    assert (run.connection_id, run.is_finished) == (first, False)


@pytest.mark.parametrize(
    ("said", "run"),
    [
        (answer(status=202, Location="/export/connections/a-_b/runs/%2Dr"), StartedRun("a-_b", "-r", is_new=True)),
        (answer(status=303, Location=f"{API}/export/connections/x/runs/r/"), StartedRun("x", "r", is_new=False)),
        (answer({"run": {"id": "r"}}, 202), StartedRun("c", "r", is_new=True)),
        (answer({"run": {"id": "r"}}, 202, Location="/somewhere"), StartedRun("c", "r", is_new=True)),
    ],
)
async def test_reads_where_the_run_is(said: httpx.Response, run: StartedRun) -> None:
    """The run is named by Location, else by the body."""
    assert await ExportApi(client_to(Server([said]))).create_run("c", RunInput("IFC4.3"), PLAIN) == run


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (answer(status=202), TransientError),
        (answer(status=303), TransientError),
        (answer(status=202, Location="/export/connections/c/runs/"), TransientError),
        (answer(status=303, Location="https://evil.example/export/connections/c/runs/r"), ConfigurationError),
        (answer(status=409), ConflictError),
        (answer(status=404), NotFoundError),
        (answer(status=422), RequestRefusedError),
        (answer(status=307, Location="/x"), TransientError),
    ],
)
async def test_a_request_that_names_no_run(said: httpx.Response, kind: type[Exception]) -> None:
    """A response that names no run is an error, and no other host receives a request."""
    server = Server([said])
    with pytest.raises(kind) as caught:
        await ExportApi(client_to(server)).create_run("c", RunInput("IFC4.3"), PLAIN)
    assert type(caught.value) is kind
    assert len(server.requests) == 1


async def test_every_connection_and_run_is_listed(platform: Platform) -> None:
    """Lists longer than a page are complete, in both spellings of the links."""
    connection = [await connect(platform) for _ in range(53)][-1]
    assert len([c async for c in platform.itwin.exports.list_connections(SEEDED.plant)]) == 53
    for _ in range(52):
        await platform.itwin.exports.create_run(connection, RunInput("IFC4.3"), PLAIN)
        await platform.sleep(10)
    runs = [run async for run in platform.itwin.exports.list_runs(connection)]
    assert len({run.id for run in runs}) == 52
    assert {run.connection_id for run in runs} == {connection}


async def test_a_failed_run_is_read_whole(platform: Platform) -> None:
    """A run is read with its state, result and the task's error and exit code."""
    platform.state.script(SEEDED.plant, Outcome("Success", task_result="Error", error={"bridgeExitCode": 4294967295}))
    connection = await connect(platform)
    started = await platform.itwin.exports.create_run(connection, RunInput("IFC4.3"), PLAIN)
    await platform.sleep(10)
    run = await platform.itwin.exports.get_run(connection, started.run_id)
    error = run.tasks[0].error
    assert (run.result, run.tasks[0].result) == ("Success", "Error")
    assert error is not None
    assert error.bridge_exit_code == 4294967295


@pytest.mark.parametrize("asked", ["2", changeset_id(SEEDED.plant, 2), changeset_id(SEEDED.plant, 2).upper()])
async def test_a_changeset_by_index_and_by_id(platform: Platform, asked: str) -> None:
    """An index and an id lead to the same changeset."""
    found = await platform.itwin.imodels.get_changeset(SEEDED.plant, asked)
    assert (found.id, found.index) == (changeset_id(SEEDED.plant, 2), 2)


async def test_the_latest_changeset_or_none(platform: Platform) -> None:
    """The latest changeset is the one with the highest index, requested alone; a baseline has none."""
    latest = await platform.itwin.imodels.get_latest_changeset(SEEDED.plant)
    assert latest is not None
    assert latest.index == 5
    assert await platform.itwin.imodels.get_latest_changeset(SEEDED.baseline) is None
    assert "%24top=1&%24orderBy=index" in platform.state.log[0].query


async def test_what_is_not_there_is_named(platform: Platform) -> None:
    """An unknown iModel, changeset, connection or run is a NotFoundError that names it."""
    exports, unknown = platform.itwin.exports, guid("nothing")
    with pytest.raises(NotFoundError, match=f"Read iModel {unknown}"):
        await platform.itwin.imodels.get_imodel(unknown)
    with pytest.raises(NotFoundError, match=f"changeset 99 of iModel {SEEDED.plant}"):
        await platform.itwin.imodels.get_changeset(SEEDED.plant, "99")
    with pytest.raises(NotFoundError, match=f"connection {unknown}"):
        await exports.get_connection(unknown)
    with pytest.raises(NotFoundError, match="run nothing"):
        await exports.get_run(await connect(platform), "nothing")


async def test_lists_initialized_imodels_only(platform: Platform) -> None:
    """The list of an iTwin has its initialized iModels in their full representation."""
    found = [imodel async for imodel in platform.itwin.imodels.list_imodels(SEEDED.itwin)]
    assert {imodel.display_name for imodel in found} == {"Plant A", "Bridge", "Survey", "Stadium"}
    assert {imodel.itwin_id for imodel in found} == {SEEDED.itwin}


@pytest.mark.parametrize("location", ["absolute", "relative"])
async def test_the_download_link_is_read_and_not_followed(platform: Platform, location: Any) -> None:
    """A file's link is returned as an absolute URL, without a request to its host."""
    platform.state.options.download_location = location
    file = platform.state.add_file(platform.state.itwins[SEEDED.itwin].root_folder_id, "a.ifc", b"x")
    link = await platform.itwin.storage.get_download_link(file.id)
    assert link.unsigned.startswith(f"{API}/")
    assert link.parameter("sig")
    assert platform.count("GET", "/sandboxblobs/") == 0


async def test_a_download_link_elsewhere_is_refused() -> None:
    """A link to a host that is not on the list is refused; an answer without link is transient."""
    elsewhere = apis_of(client_to(Server([answer(status=302, Location="https://cdn.example/x?sig=s")])))
    with pytest.raises(ConfigurationError, match=r"cdn\.example"):
        await elsewhere.storage.get_download_link("f")
    nowhere = apis_of(client_to(Server([answer(status=302)])))
    with pytest.raises(TransientError, match="without a link"):
        await nowhere.storage.get_download_link("f")


async def test_files_of_a_folder_and_of_the_root(platform: Platform) -> None:
    """Files are listed page by page; folders among them are left out."""
    state = platform.state
    root = state.itwins[SEEDED.itwin].root_folder_id
    for number in range(130):
        state.add_file(root, f"{number}.ifc", b"x")
    assert len([f async for f in platform.itwin.storage.list_files(folder_id=None, itwin_id=SEEDED.itwin)]) == 130
    listed = [f async for f in platform.itwin.storage.list_files(folder_id=root, itwin_id="")]
    assert len({file.id for file in listed}) == 130


async def test_ids_cannot_change_the_path() -> None:
    """An id with slashes or dots stays one segment of the path."""
    server = Server([answer({"file": {"id": "f"}})])
    await apis_of(client_to(server)).storage.get_file("../imodels?x=1")
    assert server.requests[0].url.raw_path == b"/storage/files/..%2Fimodels%3Fx%3D1"


async def test_faults_of_the_platform_are_transient(platform: Platform) -> None:
    """A gateway's HTML page in place of a response is a transient error."""
    platform.state.faults.add(Fault(path="/imodels", status=502, body="<html>"))
    with pytest.raises(TransientError, match="502"):
        await platform.itwin.imodels.get_imodel(SEEDED.plant)
    assert (await platform.itwin.imodels.get_imodel(SEEDED.plant)).itwin_id == SEEDED.itwin
