"""Writes of the Storage API client, against the sandbox platform."""

import pytest

from blocks.errors import ConfigurationError, NotAuthorizedError, NotFoundError, TransientError
from blocks.itwin.api.storage import StorageApi
from blocks.itwin.storage_models import StorageUpload
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.sandbox_state import FILES
from deployments.sandbox.state.seed import SEEDED
from tests.blocks.itwin.platform import API, Platform, Server, answer, client_to

LINKS = {
    "_links": {
        "uploadUrl": {"href": "https://acct.blob.core.windows.net/c/f?sig=write"},
        "completeUrl": {"href": f"{API}/storage/files/a-_b/complete"},
    }
}


async def test_a_file_is_created_in_a_folder_of_its_own(platform: Platform) -> None:
    """Folder and file are in Storage afterwards, the file with its content and description."""
    storage, state = platform.itwin.storage, platform.state
    root = await storage.get_root_folder_id(SEEDED.itwin)
    folder = await storage.create_folder(root, "Mapping")
    file = await storage.upload_file(folder.id, "m.json", b"{}", description="classes")
    assert root == state.itwins[SEEDED.itwin].root_folder_id
    assert [(f.id, f.display_name) async for f in storage.list_folders(root)][1:] == [(folder.id, "Mapping")]
    assert (file.size, file.parent_folder_id, state.items[file.id].description) == (2, folder.id, "classes")
    blob = state.blobs.get(FILES, file.id)
    assert blob is not None
    assert blob.read() == b"{}"


async def test_content_is_replaced_under_the_same_id(platform: Platform) -> None:
    """Id and name stay, the size is the new one."""
    item = platform.state.add_file(platform.state.itwins[SEEDED.itwin].root_folder_id, "m.json", b"old")
    file = await platform.itwin.storage.replace_content(item.id, b"newer")
    assert (file.id, file.display_name, file.size) == (item.id, "m.json", 5)


async def test_the_upload_goes_out_without_the_token_and_complete_without_a_body() -> None:
    """The bearer token stays at the API; a body of the last request would reset the content."""
    server = Server([answer(LINKS, 202), answer(status=201), answer({"file": {"id": "a-_b"}})])
    await StorageApi(client_to(server)).upload_file("folder", "m.json", b"{}")
    created, put, completed = server.requests
    assert (created.url.path, created.content) == ("/storage/folders/folder/files", b'{"displayName":"m.json"}')
    assert (put.method, put.content, put.headers["x-ms-blob-type"]) == ("PUT", b"{}", "BlockBlob")
    assert "authorization" not in put.headers
    assert (completed.url.path, completed.content) == ("/storage/files/a-_b/complete", b"")
    assert "sig=" not in repr(StorageUpload.model_validate(LINKS))


async def test_an_upload_link_of_another_host_gets_nothing() -> None:
    """Content is sent to allowed hosts only."""
    elsewhere = {"_links": {**LINKS["_links"], "uploadUrl": {"href": "https://evil.example/c/f?sig=write"}}}
    server = Server([answer(elsewhere, 202)])
    with pytest.raises(ConfigurationError, match=r"evil\.example"):
        await StorageApi(client_to(server)).upload_file("folder", "m.json", b"{}")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=403, path="/files$", method="POST"), NotAuthorizedError),
        (Fault(status=500, path="uploads", method="PUT"), TransientError),
        (Fault(status=404, path="/complete$", method="POST"), NotFoundError),
    ],
    ids=["create", "write", "complete"],
)
async def test_a_failed_step_leaves_no_file(platform: Platform, fault: Fault, kind: type[Exception]) -> None:
    """Each of the three steps may fail; what is not completed is not listed."""
    root = platform.state.itwins[SEEDED.itwin].root_folder_id
    platform.state.faults.add(fault)
    with pytest.raises(kind):
        await platform.itwin.storage.upload_file(root, "m.json", b"{}")
    assert [item.name for item in platform.state.children(root)] == ["Exports"]


async def test_a_root_folder_without_an_address_is_a_broken_answer() -> None:
    """A link that is no URL is one sentence of the platform's answer, not an error of the library."""
    server = Server([answer({"items": [], "_links": {"folder": {"href": "//[::1"}}})])
    with pytest.raises(TransientError, match="without a usable StorageTopLevel"):
        await StorageApi(client_to(server)).get_root_folder_id(SEEDED.itwin)
