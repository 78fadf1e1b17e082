"""The Azure SDK for Python through its usual calls, with the connection string that the sandbox hands out."""

# azure-storage-blob publishes the types of its options only in part.
# pyright: reportUnknownMemberType=false

from collections.abc import Generator

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import (
    BlobBlock,
    BlobPrefix,
    BlobServiceClient,
    ContainerClient,
    ContainerSasPermissions,
    ContentSettings,
    generate_container_sas,
)

from deployments.sandbox.server import RunningSandbox, running_sandbox


@pytest.fixture(scope="module")
def sandbox() -> Generator[RunningSandbox]:
    with running_sandbox() as box:
        yield box


@pytest.fixture
def service(sandbox: RunningSandbox) -> Generator[BlobServiceClient]:
    text = sandbox.environment["ITWIN_BLOB_CONNECTION_STRING"]
    with BlobServiceClient.from_connection_string(text, retry_total=0) as service:
        yield service


@pytest.fixture
def container(service: BlobServiceClient, request: pytest.FixtureRequest) -> ContainerClient:
    name = request.node.name.replace("_", "-")[:60]
    return service.create_container(name)


def test_containers_live_and_die(service: BlobServiceClient) -> None:
    """Create, list, exists, create again, delete, and use after deletion."""
    container = service.create_container("cycle")
    assert container.exists()
    assert "cycle" in [found.name for found in service.list_containers(name_starts_with="cyc")]
    with pytest.raises(ResourceExistsError, match="ContainerAlreadyExists"):
        service.create_container("cycle")
    container.delete_container()
    assert not container.exists()
    with pytest.raises(ResourceNotFoundError, match="ContainerNotFound"):
        container.upload_blob("x", b"x")
    with pytest.raises(ResourceExistsError, match="ContainerBeingDeleted"):
        container.create_container()


def test_upload_without_overwrite_keeps_what_is_there(container: ContainerClient) -> None:
    """upload_blob refuses an existing blob unless told to overwrite."""
    container.upload_blob("a", b"first")
    with pytest.raises(ResourceExistsError, match="BlobAlreadyExists"):
        container.upload_blob("a", b"second")
    container.upload_blob("a", b"third", overwrite=True)
    assert container.download_blob("a").readall() == b"third"


def test_properties_and_metadata_come_back(container: ContainerClient) -> None:
    """Content settings and metadata are stored and read, and metadata can be set later."""
    settings = ContentSettings(content_type="model/gltf-binary", cache_control="no-store", content_encoding="br")
    blob = container.upload_blob("tile.glb", b"glTF", metadata={"run": "1"}, content_settings=settings)
    found = blob.get_blob_properties()
    assert found.content_settings.content_type == "model/gltf-binary"
    assert found.content_settings.cache_control == "no-store"
    assert found.content_settings.content_encoding == "br"
    assert (found.size, found.metadata, found.container) == (4, {"run": "1"}, container.container_name)
    blob.set_blob_metadata({"run": "2"})
    assert blob.get_blob_properties().metadata == {"run": "2"}


def test_etags_guard_writes(container: ContainerClient) -> None:
    """An upload, download or deletion with an outdated ETag is refused."""
    blob = container.upload_blob("pointer", b"1")
    etag = blob.get_blob_properties().etag
    same = MatchConditions.IfNotModified
    blob.upload_blob(b"2", overwrite=True, etag=etag, match_condition=same)
    for outdated in (
        lambda: blob.upload_blob(b"3", overwrite=True, etag=etag, match_condition=same),
        lambda: blob.download_blob(etag=etag, match_condition=same),
        lambda: blob.delete_blob(etag=etag, match_condition=same),
    ):
        with pytest.raises(ResourceModifiedError, match="ConditionNotMet"):
            outdated()
    assert blob.download_blob().readall() == b"2"


def test_folders_can_be_walked(container: ContainerClient) -> None:
    """walk_blobs folds by delimiter, list_blobs pages through every name."""
    for name in ("a.json", "t/1.glb", "t/2.glb", "u/3.glb"):
        container.upload_blob(name, b"x")
    walked = [(item.name, isinstance(item, BlobPrefix)) for item in container.walk_blobs(delimiter="/")]
    assert sorted(walked) == [("a.json", False), ("t/", True), ("u/", True)]
    pages = [[blob.name for blob in page] for page in container.list_blobs(results_per_page=3).by_page()]
    assert pages == [["a.json", "t/1.glb", "t/2.glb"], ["u/3.glb"]]


def test_blocks_become_a_blob(container: ContainerClient) -> None:
    """Staged blocks are committed in the order of the list; an unknown one is refused."""
    blob = container.get_blob_client("blocks")
    for key in ("a", "b"):
        blob.stage_block(key, key.encode())
    with pytest.raises(HttpResponseError, match="InvalidBlockList"):
        blob.commit_block_list([BlobBlock("z")])
    blob.commit_block_list([BlobBlock("b"), BlobBlock("a")])
    assert blob.download_blob().readall() == b"ba"
    assert blob.get_blob_properties().content_settings.content_md5 is None


def test_ranges_are_validated(container: ContainerClient) -> None:
    """A download in chunks with validate_content compares every chunk with its MD5."""
    content = bytes(range(256)) * 40_000
    container.upload_blob("big", content, max_concurrency=2)
    assert container.download_blob("big", validate_content=True, max_concurrency=2).readall() == content
    assert container.download_blob("big", offset=10, length=5).readall() == content[10:15]


def test_delegated_rights_end_where_they_should(sandbox: RunningSandbox, container: ContainerClient) -> None:
    """With a create-only SAS made by the SDK a blob is written once and neither read nor replaced."""
    account, key = sandbox.state.blobs.account, sandbox.state.blobs.key
    sas = generate_container_sas(
        account,
        container.container_name,
        key,
        permission=ContainerSasPermissions(create=True),
        expiry=sandbox.state.clock.now().replace(year=2099),
        protocol="https,http",
    )
    with ContainerClient.from_container_url(f"{container.url}?{sas}", retry_total=0) as delegate:
        delegate.upload_blob("once", b"1", overwrite=True)
        with pytest.raises(HttpResponseError, match="UnauthorizedBlobOverwrite"):
            delegate.upload_blob("once", b"2", overwrite=True)
        with pytest.raises(HttpResponseError, match="AuthorizationPermissionMismatch"):
            delegate.download_blob("once")
