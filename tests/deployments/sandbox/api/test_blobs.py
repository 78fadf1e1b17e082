import base64
import hashlib
import re
from collections.abc import Generator
from datetime import timedelta

import httpx
import pytest
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobClient, ContainerClient, generate_blob_sas

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.sandbox_state import SandboxState
from tests.deployments.sandbox.caller import BASE

CONTENT = bytes(range(256)) * 40_000
"""Ten megabytes: more than the Azure SDK takes in one range."""


@pytest.fixture(scope="module")
def sandbox() -> Generator[RunningSandbox]:
    with running_sandbox() as box:
        yield box


@pytest.fixture
def link(state: SandboxState) -> str:
    state.blobs.put("own", "a b.bin", b"0123456789")
    return BASE + state.blobs.signed_path("own", "a b.bin")


@pytest.mark.parametrize("header", ["Range", "x-ms-range"])
async def test_range_is_served(anybody: httpx.AsyncClient, link: str, header: str) -> None:
    """206 with exactly the bytes asked for, and where they belong."""
    answer = await anybody.get(link, headers={header: "bytes=2-4"})
    assert (answer.status_code, answer.content) == (206, b"234")
    assert answer.headers["Content-Range"] == "bytes 2-4/10"
    assert (await anybody.get(link, headers={header: "bytes=8-"})).content == b"89"
    assert (await anybody.get(link, headers={header: "bytes=10-"})).status_code == 416


async def test_head_tells_size_and_hash(anybody: httpx.AsyncClient, link: str) -> None:
    """What a downloader needs before it starts."""
    headers = (await anybody.head(link)).headers
    md5 = base64.b64encode(hashlib.md5(b"0123456789", usedforsecurity=False).digest()).decode()
    assert (headers["Content-Length"], headers["Content-MD5"]) == ("10", md5)
    ranged = await anybody.get(link, headers={"Range": "bytes=0-1", "x-ms-range-get-content-md5": "true"})
    assert ranged.headers["x-ms-blob-content-md5"] == md5
    assert ranged.headers["Content-MD5"] != md5


async def test_changed_blob_fails_if_match(anybody: httpx.AsyncClient, state: SandboxState, link: str) -> None:
    """412 once the content is another, 304 while it is the same."""
    etag = (await anybody.head(link)).headers["ETag"]
    assert (await anybody.get(link, headers={"If-None-Match": etag})).status_code == 304
    assert (await anybody.get(link, headers={"If-Match": etag})).status_code == 200
    state.blobs.put("own", "a b.bin", b"other")
    assert (await anybody.get(link, headers={"If-Match": etag})).status_code == 412


async def test_bearer_token_beside_a_sas_is_ignored(anybody: httpx.AsyncClient, link: str) -> None:
    """Some clients of the platform send it by mistake."""
    answer = await anybody.get(link, headers={"Authorization": "Bearer whatever"})
    assert answer.status_code == 200


async def test_signature_guards_name_and_permission(anybody: httpx.AsyncClient, state: SandboxState, link: str) -> None:
    """Another blob, another permission or no signature at all is refused in the blob service's XML."""
    state.blobs.put("own", "other", b"x")
    for wrong in (link.replace("a%20b.bin", "other"), link.replace("sp=r", "sp=rw"), link.partition("?")[0]):
        answer = await anybody.get(wrong)
        assert (answer.status_code, answer.headers["x-ms-error-code"]) == (403, "AuthenticationFailed")
    refused = await anybody.put(link, content=b"x", headers={"x-ms-blob-type": "BlockBlob"})
    assert "AuthorizationPermissionMismatch" in refused.text


async def test_missing_blob_is_404(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """BlobNotFound in XML."""
    state.blobs.create_container("own")
    answer = await anybody.get(BASE + state.blobs.signed_path("own", "nothing"))
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (404, "BlobNotFound")


async def test_container_is_listed_in_pages(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """NextMarker leads on until every blob was named once, in order."""
    for number in range(25):
        state.blobs.put("many", f"t/{number:02}&.bin", b"x" * number)
    url = f"{BASE}{state.blobs.signed_path('many', permissions='rl')}&restype=container&comp=list&maxresults=10"
    names: list[str] = []
    marker = ""
    for _ in range(3):
        text = (await anybody.get(f"{url}&marker={marker}")).text
        names += re.findall(r"<Name>([^<]+)</Name>", text)
        found = re.search(r"<NextMarker>([^<]*)</NextMarker>", text)
        marker = found[1] if found else ""
    assert names == [f"t/{number:02}&amp;.bin" for number in range(25)]
    assert marker == ""


def test_azure_sdk_downloads_in_ranges(sandbox: RunningSandbox) -> None:
    """The SDK reads a signed link in several ranges and gets every byte."""
    sandbox.state.blobs.put("sdk", "big.bin", CONTENT)
    url = sandbox.signed_url("sdk", "big.bin", permissions="r")
    with BlobClient.from_blob_url(url, max_single_get_size=1 << 20, max_chunk_get_size=1 << 20) as blob:
        assert blob.download_blob(max_concurrency=2, validate_content=True).readall() == CONTENT


@pytest.mark.parametrize("in_blocks", [True, False])
def test_azure_sdk_uploads(sandbox: RunningSandbox, in_blocks: bool) -> None:
    """A link with write permission takes uploads, in one piece or in blocks."""
    url = sandbox.signed_url("sdk", f"up-{in_blocks}.bin", permissions="rcw")
    limit = 1 << 20 if in_blocks else 1 << 26
    with BlobClient.from_blob_url(url, max_single_put_size=limit, max_block_size=1 << 20) as blob:
        blob.upload_blob(CONTENT, overwrite=True)
    stored = sandbox.state.blobs.get("sdk", f"up-{in_blocks}.bin")
    assert stored is not None
    assert stored.read() == CONTENT


def test_connection_string_opens_the_account(sandbox: RunningSandbox) -> None:
    """With the account's key a client makes containers, lists them and mints its own signatures."""
    text = sandbox.environment["ITWIN_BLOB_CONNECTION_STRING"]
    with ContainerClient.from_connection_string(text, "theirs") as container:
        container.create_container()
        container.upload_blob("x/y.txt", b"first")
        assert [blob.name for blob in container.list_blobs()] == ["x/y.txt"]
        account, key = sandbox.state.blobs.account, sandbox.state.blobs.key
        expiry = sandbox.state.clock.now() + timedelta(minutes=5)
        sas = generate_blob_sas(account, "theirs", "x/y.txt", account_key=key, permission="r", expiry=expiry)
        container.delete_blob("x/y.txt")
        sandbox.state.blobs.put("theirs", "x/y.txt", b"again")
    with BlobClient.from_blob_url(f"{sandbox.url}/{account}/theirs/x/y.txt?{sas}") as blob:
        assert blob.download_blob().readall() == b"again"


def test_azure_sdk_meets_an_expired_link(sandbox: RunningSandbox) -> None:
    """The SDK reports 403 AuthenticationFailed."""
    sandbox.state.blobs.put("sdk", "old.bin", b"old")
    url = sandbox.signed_url("sdk", "old.bin", permissions="r", seconds=-5)
    with (
        BlobClient.from_blob_url(url, retry_total=0) as blob,
        pytest.raises(HttpResponseError) as refused,
    ):
        blob.download_blob()
    assert refused.value.status_code == 403
