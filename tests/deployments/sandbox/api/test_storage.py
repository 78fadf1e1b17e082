import httpx
import pytest

from deployments.sandbox.ids import unpair
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.caller import BASE, Caller


@pytest.fixture
def root(state: SandboxState) -> str:
    return state.itwins[SEEDED.itwin].root_folder_id


@pytest.fixture
def file_id(state: SandboxState, root: str) -> str:
    state.add_file(state.add_folder(SEEDED.itwin, "Deep").id, "Plant [1].ifc", b"deep")
    return state.add_file(root, "Plant A.ifc", b"content").id


@pytest.mark.parametrize("parameter", ["iTwinId", "projectId"])
async def test_root_folder_is_found(service: Caller, root: str, file_id: str, parameter: str) -> None:
    """The top level lists folders and files, tells their types and leads to the root folder."""
    body = (await service.get("/storage/", params={parameter: SEEDED.itwin})).json()
    assert [item["type"] for item in body["items"]] == ["folder", "folder", "file"]
    assert body["items"][-1]["id"] == file_id
    assert body["_links"]["folder"]["href"] == f"{BASE}/storage/folders/{root}"


async def test_siblings_share_half_an_id(root: str, file_id: str) -> None:
    """As seen in samples: the first GUID of a Storage id is the iTwin's."""
    halves = [unpair(root), unpair(file_id)]
    assert all(pair and pair[0] == SEEDED.itwin for pair in halves)


async def test_folder_lists_files_folders_or_both(service: Caller, root: str, file_id: str) -> None:
    """Three operations, and every item tells its type."""
    files = (await service.get(f"/storage/folders/{root}/files")).json()["files"]
    folders = (await service.get(f"/storage/folders/{root}/folders")).json()["folders"]
    both = (await service.get(f"/storage/folders/{root}/list")).json()["items"]
    assert [file["id"] for file in files] == [file_id]
    assert {item["type"] for item in files} == {"file"}
    assert {item["type"] for item in folders} == {"folder"}
    assert (len(folders), len(both)) == (2, 3)


async def test_pages_follow_next(service: Caller, root: str, file_id: str) -> None:
    """The last page has no next."""
    page = (await service.get(f"/storage/folders/{root}/list?%24top=2")).json()
    rest = (await service.get(page["_links"]["next"]["href"])).json()
    assert [item["id"] for item in rest["items"]] == [file_id]
    assert "next" not in rest["_links"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("*.ifc", ["Plant [1].ifc", "Plant A.ifc"]),
        ("plant ?.ifc", ["Plant A.ifc"]),
        ("*[1]*", ["Plant [1].ifc"]),
    ],
)
async def test_search_goes_below(service: Caller, root: str, file_id: str, name: str, expected: list[str]) -> None:
    """Wildcards match in any case and in sub-folders; brackets are plain characters."""
    assert file_id
    body = (await service.get(f"/storage/folders/{root}/search", params={"name": name})).json()
    assert [item["displayName"] for item in body["items"]] == expected


async def test_file_tells_its_size_and_path(service: Caller, file_id: str) -> None:
    """Metadata of a single file."""
    file = (await service.get(f"/storage/files/{file_id}")).json()["file"]
    assert (file["size"], file["path"], file["type"]) == (7, "Plant A.ifc", "file")


@pytest.mark.parametrize("form", ["absolute", "relative"])
async def test_download_leads_to_a_link_without_token(
    service: Caller, anybody: httpx.AsyncClient, state: SandboxState, file_id: str, form: str
) -> None:
    """302 to a signed link on the same host, which serves anybody until it expires."""
    state.options.download_location = "relative" if form == "relative" else "absolute"
    link = (await service.get(f"/storage/files/{file_id}/download")).headers["Location"]
    assert link.startswith(BASE) is (form == "absolute")
    assert (await anybody.get(link)).content == b"content"
    state.clock.advance(state.options.download_link_seconds + 1)
    expired = await anybody.get(link)
    assert expired.status_code == 403
    assert "<Code>AuthenticationFailed</Code>" in expired.text


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/storage/", 422, "InvalidStorageRequest"),
        ("/storage/?iTwinId=x", 422, "InvalidStorageRequest"),
        ("/storage/folders/x", 404, "FolderNotFound"),
        ("/storage/folders/x/list?$top=0", 422, "InvalidStorageRequest"),
        ("/storage/files/x", 404, "FileNotFound"),
        ("/storage/files/x/download", 404, "FileNotFound"),
    ],
)
async def test_bad_questions_have_documented_answers(service: Caller, path: str, status: int, code: str) -> None:
    """Status and code follow the documents."""
    answer = await service.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
