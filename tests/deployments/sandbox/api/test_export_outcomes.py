from typing import Literal
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import BASE, JSON, Caller

REDIRECT = "http://localhost:3113/callback"


def task_of(run: JSON) -> JSON:
    task: JSON = run["jobs"][0]["tasks"][0]
    return task


async def test_run_may_claim_success_over_a_failed_task(service: Caller, state: SandboxState) -> None:
    """The published sample's trap: the run says Success, its task Error; no file is written."""
    state.script(SEEDED.plant, Outcome("Success", task_result="Error", error={"bridgeExitCode": 4294967295}))
    run = await service.export()
    assert (run["result"], task_of(run)["result"]) == ("Success", "Error")
    assert task_of(run)["error"]["bridgeExitCode"] == 4294967295
    assert "exportOutputFileId" not in task_of(run)


async def test_each_level_has_its_own_result(service: Caller, state: SandboxState) -> None:
    """The shape of the contract's sample: run and job PartialSuccess, the task Success with an error, and a file."""
    outcome = Outcome("PartialSuccess", job_result="PartialSuccess", task_result="Success", error={"phase": "load"})
    state.script(SEEDED.plant, outcome)
    run = await service.export()
    assert [run["result"], run["jobs"][0]["result"], task_of(run)["result"]] == ["PartialSuccess"] * 2 + ["Success"]
    assert task_of(run)["error"]["phase"] == "load"
    assert task_of(run)["exportOutputFileId"]


@pytest.mark.parametrize("result", ["Error", "PartialSuccess", "Skipped", "TimedOut", "Canceled"])
async def test_every_result_can_be_ordered(service: Caller, state: SandboxState, result: str) -> None:
    """The next run ends as ordered, the one after it as usual."""
    state.script(SEEDED.plant, Outcome(result))
    assert (await service.export())["result"] == result
    assert (await service.export())["result"] == "Success"


async def test_canceled_has_two_spellings(service: Caller, state: SandboxState) -> None:
    """Both occur in the documents."""
    state.options.canceled_spelling = "Cancelled"
    state.script_always(SEEDED.plant, Outcome("Canceled"))
    assert (await service.export())["result"] == "Cancelled"
    assert (await service.export())["result"] == "Cancelled"


async def test_run_may_show_a_state_nobody_knows(service: Caller, state: SandboxState) -> None:
    """Until it is Completed, whatever is ordered."""
    state.script(SEEDED.plant, Outcome(active_state="Contemplating"))
    started = await service.start(await service.connect())
    assert (await service.get(started.headers["Location"])).json()["run"]["state"] == "Contemplating"
    assert (await service.finish(started))["result"] == "Success"


async def test_uninitialized_imodel_fails(service: Caller) -> None:
    """An iModel that is not initialized cannot be exported."""
    run = await service.export(SEEDED.uninitialized)
    assert run["result"] == "Error"
    assert "not initialized" in task_of(run)["error"]["message"]


OutputFileId = Literal["storage-id", "guid", "readable-guid", "absent"]


@pytest.mark.parametrize(
    ("form", "length", "status"),
    [("storage-id", 43, 200), ("guid", 36, 404), ("readable-guid", 36, 200), ("absent", 0, 404)],
)
async def test_output_file_id_has_four_forms(
    service: Caller, state: SandboxState, form: OutputFileId, length: int, status: int
) -> None:
    """A Storage id, a GUID that Storage does not know or knows, or nothing."""
    state.options.output_file_id = form
    value = task_of(await service.export()).get("exportOutputFileId", "")
    assert len(value) == length
    assert (await service.get(f"/storage/files/{value or 'none'}")).status_code == status


async def test_output_goes_to_the_folder_asked_for(service: Caller, state: SandboxState) -> None:
    """The file and its log lie in the folder; a second run replaces or joins them."""
    folder = state.add_folder(SEEDED.itwin, "Nightly").id
    options = {"folderId": folder, "saveLogs": True, "replaceOlderFile": True}
    await service.export(outputOptions=options)
    await service.export(outputOptions=options)
    assert [item.name for item in state.children(folder)] == ["Plant A.ifc", "Plant A.log"]
    await service.export(outputOptions={"folderId": folder})
    assert [item.name for item in state.children(folder)] == ["Plant A (1).ifc", "Plant A.ifc", "Plant A.log"]


async def test_output_goes_to_the_users_own_storage(service: Caller, state: SandboxState) -> None:
    """The exporter puts model and log where the SAS URLs point."""
    state.blobs.create_container("mine")
    urls = {
        name: BASE + state.blobs.signed_path("mine", f"{name}.bin", permissions="cw") for name in ("output", "logs")
    }
    options = {
        "location": "USER_BLOB_STORAGE",
        "outputSasUrl": urls["output"],
        "logsSasUrl": urls["logs"],
        "saveLogs": True,
    }
    run = await service.export(outputOptions=options)
    assert run["result"] == "Success"
    assert "exportOutputFileId" not in task_of(run)
    stored = state.blobs.containers["mine"]
    assert stored["output.bin"].read().startswith(b"ISO-10303-21;")
    assert SEEDED.plant.encode() in stored["logs.bin"].read()


async def test_upload_that_is_refused_fails_the_run(service: Caller, state: SandboxState) -> None:
    """A read-only link ends the run with an error."""
    url = BASE + state.blobs.signed_path("mine", "x.ifc", permissions="r")
    run = await service.export(outputOptions={"location": "USER_BLOB_STORAGE", "outputSasUrl": url})
    assert (run["result"], task_of(run)["result"]) == ("Error", "Error")
    assert "sig=" not in str(run)


async def test_content_can_be_scripted(service: Caller, state: SandboxState) -> None:
    """A broken file can be delivered on a good run."""
    state.script(SEEDED.plant, Outcome(content=b"not IFC"))
    run = await service.export()
    assert await service.download(task_of(run)["exportOutputFileId"]) == b"not IFC"


async def test_user_without_consent_fails(user: Caller) -> None:
    """202, and a run that ends with UserNotAuthenticated."""
    run = await user.finish(await user.start(await user.connect(kind="User")))
    assert (run["result"], run["error"]["errorKey"]) == ("Error", "UserNotAuthenticated")


async def test_user_without_consent_can_be_forbidden_at_once(user: Caller, state: SandboxState) -> None:
    """The other reading of the documents: 403 on create-run."""
    state.options.missing_consent = "forbidden"
    assert (await user.start(await user.connect(kind="User"))).status_code == 403


async def test_consent_is_given_with_a_click(user: Caller, anybody: httpx.AsyncClient) -> None:
    """The page leads back, and from then on the user's runs succeed."""
    path = f"/export/authorizationinformation?redirectUrl={REDIRECT}"
    before = (await user.get(path)).json()["authorizationInformation"]
    assert before["isUserAuthorized"] is False
    url = str(before["_links"]["authorizationUrl"]["href"])
    page = await anybody.get(url)
    assert 'id="yes"' in page.text
    form = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    back = await anybody.post("/sandbox/consent", data={**form, "answer": "yes"})
    assert back.headers["Location"] == REDIRECT
    assert (await user.get(path)).json()["authorizationInformation"]["isUserAuthorized"] is True
    run = await user.finish(await user.start(await user.connect(kind="User")))
    assert run["result"] == "Success"


async def test_refused_consent_changes_nothing(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """The other button leads back without storing anything."""
    form = {"redirect_url": REDIRECT, "user": "ada", "answer": "no"}
    assert (await anybody.post("/sandbox/consent", data=form)).headers["Location"] == REDIRECT
    assert state.consents == set()


@pytest.mark.parametrize("redirect", ["", "nowhere", "http://["])
async def test_consent_needs_an_address(user: Caller, redirect: str) -> None:
    """422 with the documented target."""
    answer = await user.get("/export/authorizationinformation", params={"redirectUrl": redirect})
    assert answer.json()["error"]["details"][0]["target"] == "$redirectUrl"
