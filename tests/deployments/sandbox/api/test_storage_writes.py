import httpx
import pytest

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import JSON, Caller

PUT = {"x-ms-blob-type": "BlockBlob"}


@pytest.fixture
def root(state: SandboxState) -> str:
    return state.itwins[SEEDED.itwin].root_folder_id


async def announce(service: Caller, folder_id: str, **body: str) -> JSON:
    answer = await service.post(f"/storage/folders/{folder_id}/files", json={"displayName": "mapping.json", **body})
    assert answer.status_code == 202, answer.text
    return {name: link["href"] for name, link in answer.json()["_links"].items()}


async def test_new_file_takes_three_steps(service: Caller, anybody: httpx.AsyncClient, root: str) -> None:
    """Create, PUT without token, complete; the file is listed only then, with its size and description."""
    links = await announce(service, root, description="classes")
    assert (await service.post(links["completeUrl"])).status_code == 404
    assert (await anybody.put(links["uploadUrl"], content=b"{}", headers=PUT)).status_code == 201
    assert (await service.get(f"/storage/folders/{root}/files")).json()["files"] == []
    file = (await service.post(links["completeUrl"])).json()["file"]
    assert (file["size"], file["description"], file["parentFolderId"]) == (2, "classes", root)
    assert links["completeUrl"].split("/")[5] == file["id"]
    assert (await service.post(links["completeUrl"])).json()["file"] == file
    assert await service.download(file["id"]) == b"{}"


async def test_new_content_counts_once_completed(service: Caller, anybody: httpx.AsyncClient, root: str) -> None:
    """Id and name stay; until the upload is completed a download serves the old content."""
    item = service.state.add_file(root, "mapping.json", b"old")
    answer = await service.post(f"/storage/files/{item.id}/updateContent")
    links = answer.json()["_links"]
    await anybody.put(links["uploadUrl"]["href"], content=b"newer", headers=PUT)
    assert (await service.get(f"/storage/files/{item.id}")).json()["file"]["size"] == 3
    file = (await service.post(links["completeUrl"]["href"])).json()["file"]
    assert (answer.status_code, file["id"], file["size"]) == (202, item.id, 5)


async def test_body_of_complete_resets_the_content(service: Caller, anybody: httpx.AsyncClient, root: str) -> None:
    """As the vendor's page warns."""
    links = await announce(service, root)
    await anybody.put(links["uploadUrl"], content=b"{}", headers=PUT)
    assert (await service.post(links["completeUrl"], json={})).json()["file"]["size"] == 0


async def test_folders_are_made_renamed_and_deleted_with_their_content(service: Caller, root: str) -> None:
    """201 with the folder, 200 with its new name, 204, and nothing below it is found any more."""
    made = await service.post(f"/storage/folders/{root}/folders", json={"displayName": "Mapping"})
    folder = made.json()["folder"]
    inner = service.state.add_file(folder["id"], "a.json", b"{}")
    renamed = await service.patch(f"/storage/folders/{folder['id']}", json={"displayName": "Classes"})
    assert (made.status_code, folder["type"], renamed.json()["folder"]["path"]) == (201, "folder", "Classes")
    assert (await service.delete(f"/storage/folders/{folder['id']}")).status_code == 204
    assert (await service.get(f"/storage/folders/{folder['id']}")).status_code == 404
    assert (await service.get(f"/storage/files/{inner.id}")).status_code == 404


async def test_folder_of_a_taken_name_is_another_folder(service: Caller, root: str) -> None:
    """The documents list no 409."""
    body = {"displayName": "Exports"}
    made = [(await service.post(f"/storage/folders/{root}/folders", json=body)).json()["folder"] for _ in range(2)]
    names = [
        folder["displayName"] for folder in (await service.get(f"/storage/folders/{root}/folders")).json()["folders"]
    ]
    assert made[0]["id"] != made[1]["id"]
    assert names == ["Exports"] * 3


async def test_files_are_renamed_and_deleted(service: Caller, root: str) -> None:
    """200 with the change, 204, then 404."""
    item = service.state.add_file(root, "a.json", b"{}")
    body = {"displayName": "b.json", "description": "new"}
    file = (await service.patch(f"/storage/files/{item.id}", json=body)).json()["file"]
    assert (file["displayName"], file["description"], file["size"]) == ("b.json", "new", 2)
    assert (await service.delete(f"/storage/files/{item.id}")).status_code == 204
    assert (await service.delete(f"/storage/files/{item.id}")).json()["error"]["code"] == "FileNotFound"


@pytest.mark.parametrize("name", ["", "a" * 256, "a/b.json", "run.EXE", 7], ids=repr)
async def test_bad_names_are_refused(service: Caller, root: str, name: object) -> None:
    """422 with the documented code."""
    answer = await service.post(f"/storage/folders/{root}/files", json={"displayName": name})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "InvalidCreateFileRequest")
    assert error["details"][0]["target"] == "displayName"


async def test_missing_name_and_parent_have_documented_answers(service: Caller, root: str) -> None:
    """422 with MissingRequiredProperty, and 404."""
    nameless = (await service.post(f"/storage/folders/{root}/folders", json={})).json()["error"]
    assert nameless["code"] == "InvalidCreateFolderRequest"
    assert nameless["details"][0]["code"] == "MissingRequiredProperty"
    orphan = await service.post("/storage/folders/x/files", json={"displayName": "a.json"})
    assert (orphan.status_code, orphan.json()["error"]["code"]) == (404, "FolderNotFound")
