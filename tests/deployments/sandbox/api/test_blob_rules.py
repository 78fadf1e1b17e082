"""Rules of Azure Blob Storage that a client can trip over."""

import base64
import hashlib
import re
from datetime import timedelta

import httpx
import pytest

from deployments.sandbox.clock import http_date
from deployments.sandbox.state.sandbox_state import SandboxState
from tests.deployments.sandbox.caller import BASE

PUT = {"x-ms-blob-type": "BlockBlob"}
MIB = 1 << 20


def md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("x-ms-error-code", "")


@pytest.fixture
def owner(state: SandboxState) -> dict[str, str]:
    """The header of somebody with the account key."""
    return {"Authorization": f"SharedKey {state.blobs.account}:signature"}


@pytest.fixture
def link(state: SandboxState) -> str:
    """A link to a blob that is there, with every permission."""
    state.blobs.put("box", "a.bin", b"0123456789")
    return BASE + state.blobs.signed_path("box", "a.bin", permissions="rcwd")


async def test_missing_container_is_404_for_every_call(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """Put Blob, Get Blob, Delete Blob and List Blobs answer ContainerNotFound."""
    url = BASE + state.blobs.signed_path("gone", "x", permissions="rcwd")
    answers = [await anybody.put(url, content=b"x", headers=PUT), await anybody.get(url), await anybody.delete(url)]
    listing = BASE + state.blobs.signed_path("gone", permissions="rl") + "&restype=container&comp=list"
    assert {code(answer) for answer in [*answers, await anybody.get(listing)]} == {(404, "ContainerNotFound")}


async def test_container_is_created_once(anybody: httpx.AsyncClient, owner: dict[str, str]) -> None:
    """A second creation and one right after the deletion are 409; a missing one cannot be deleted."""
    url = f"{BASE}/sandboxblobs/new?restype=container"
    assert (await anybody.put(url, headers=owner)).status_code == 201
    assert code(await anybody.put(url, headers=owner)) == (409, "ContainerAlreadyExists")
    assert (await anybody.delete(url, headers=owner)).status_code == 202
    assert code(await anybody.delete(url, headers=owner)) == (404, "ContainerNotFound")
    assert code(await anybody.put(url, headers=owner)) == (409, "ContainerBeingDeleted")


async def test_deleted_container_can_be_created_later(
    anybody: httpx.AsyncClient, state: SandboxState, owner: dict[str, str]
) -> None:
    """Half a minute after the deletion the name is free."""
    url = f"{BASE}/sandboxblobs/new?restype=container"
    await anybody.put(url, headers=owner)
    await anybody.delete(url, headers=owner)
    state.clock.advance(31)
    assert (await anybody.put(url, headers=owner)).status_code == 201


async def test_sas_cannot_manage_containers(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """A service SAS neither creates nor deletes a container, whatever its permissions."""
    url = BASE + state.blobs.signed_path("exports", permissions="racwdl") + "&restype=container"
    for method in ("PUT", "DELETE", "GET"):
        assert code(await anybody.request(method, url)) == (403, "AuthorizationFailure")


async def test_create_permission_does_not_overwrite(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """`sp=c` writes a new blob and not an existing one; `sp=w` writes both."""
    state.blobs.create_container("box")
    url = BASE + state.blobs.signed_path("box", "x", permissions="c")
    assert (await anybody.put(url, content=b"1", headers=PUT)).status_code == 201
    assert code(await anybody.put(url, content=b"2", headers=PUT)) == (403, "UnauthorizedBlobOverwrite")
    write = BASE + state.blobs.signed_path("box", "x", permissions="w")
    assert (await anybody.put(write, content=b"3", headers=PUT)).status_code == 201


async def test_writes_can_be_conditional(anybody: httpx.AsyncClient, link: str) -> None:
    """`If-None-Match: *` on an existing blob is 409, any other condition that fails is 412."""
    etag = (await anybody.head(link)).headers["ETag"]
    exists = await anybody.put(link, content=b"x", headers=PUT | {"If-None-Match": "*"})
    assert code(exists) == (409, "BlobAlreadyExists")
    for condition in ({"If-Match": '"other"'}, {"If-None-Match": etag}):
        assert code(await anybody.put(link, content=b"x", headers=PUT | condition)) == (412, "ConditionNotMet")
    assert (await anybody.put(link, content=b"x", headers=PUT | {"If-Match": etag})).status_code == 201
    assert code(await anybody.delete(link, headers={"If-Match": etag})) == (412, "ConditionNotMet")
    await anybody.delete(link)
    assert code(await anybody.put(link, content=b"x", headers=PUT | {"If-Match": "*"})) == (412, "ConditionNotMet")


async def test_dates_are_conditions(anybody: httpx.AsyncClient, state: SandboxState, link: str) -> None:
    """If-Modified-Since and If-Unmodified-Since decide reads and writes."""
    now, earlier = (http_date(state.clock.now() - timedelta(seconds=age)) for age in (0, 60))
    assert (await anybody.get(link, headers={"If-Modified-Since": now})).status_code == 304
    assert (await anybody.get(link, headers={"If-Modified-Since": earlier})).status_code == 200
    assert (await anybody.get(link, headers={"If-Unmodified-Since": now})).status_code == 200
    assert (await anybody.get(link, headers={"If-Unmodified-Since": earlier})).status_code == 412
    for condition in ({"If-Modified-Since": now}, {"If-Unmodified-Since": earlier}):
        assert code(await anybody.put(link, content=b"x", headers=PUT | condition)) == (412, "ConditionNotMet")
    assert code(await anybody.get(link, headers={"If-Modified-Since": "soon"})) == (400, "InvalidHeaderValue")


@pytest.mark.parametrize(
    ("signed", "expected"),
    [
        ({"spr": "https"}, (403, "AuthorizationProtocolMismatch")),
        ({"spr": "https,http"}, (200, "")),
        ({"sip": "10.0.0.1"}, (403, "AuthorizationSourceIPMismatch")),
        ({"sip": "10.0.0.1-10.0.0.9"}, (403, "AuthorizationSourceIPMismatch")),
        ({"sip": "127.0.0.1"}, (200, "")),
        ({"sip": "127.0.0.0-127.0.0.9"}, (200, "")),
        ({"st": "2026-03-02T09:00:00Z"}, (403, "AuthenticationFailed")),
        ({"st": "2026-03-02"}, (200, "")),
    ],
)
async def test_sas_limits_protocol_address_and_time(
    anybody: httpx.AsyncClient, state: SandboxState, signed: dict[str, str], expected: tuple[int, str]
) -> None:
    """`spr`, `sip` and `st` are honoured."""
    state.blobs.put("box", "x", b"x")
    assert code(await anybody.get(BASE + state.blobs.signed_path("box", "x", signed=signed))) == expected


async def test_sas_replaces_response_headers(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """`rscd` and `rsct` name the headers of a download."""
    state.blobs.put("box", "x", b"x")
    signed = {"rscd": 'attachment; filename="a b.ifc"', "rsct": "application/x-step"}
    headers = (await anybody.get(BASE + state.blobs.signed_path("box", "x", signed=signed))).headers
    assert (headers["Content-Disposition"], headers["Content-Type"]) == (signed["rscd"], signed["rsct"])


async def test_delimiter_folds_names(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """Names in sub-folders become one BlobPrefix, page by page, and a stub like `d/` is part of its folder."""
    for name in ("a", "d/", "d/1", "d/2", "e/1", "f"):
        state.blobs.put("box", name, b"")
    url = BASE + state.blobs.signed_path("box", permissions="l") + "&restype=container&comp=list&delimiter=/"
    found: list[str] = []
    marker = ""
    for _ in range(3):
        text = (await anybody.get(f"{url}&maxresults=2&marker={marker}")).text
        found += re.findall(r"<(Blob(?:Prefix)?)><Name>([^<]+)<", text)
        marker = re.findall(r"<NextMarker>([^<]*)</NextMarker>", text)[0]
        if not marker:
            break
    assert found == [("Blob", "a"), ("BlobPrefix", "d/"), ("BlobPrefix", "e/"), ("Blob", "f")]
    inside = (await anybody.get(f"{url}&prefix=d/")).text
    assert re.findall(r"<Name>([^<]+)<", inside) == ["d/", "d/1", "d/2"]


async def test_every_write_has_a_new_etag(anybody: httpx.AsyncClient, link: str) -> None:
    """Equal bytes written again are another version."""
    etags = [(await anybody.put(link, content=b"same", headers=PUT)).headers["ETag"] for _ in range(2)]
    assert etags[0] != etags[1]


async def test_version_and_request_id_come_back(anybody: httpx.AsyncClient, link: str) -> None:
    """`x-ms-version` is the one asked for, and `x-ms-client-request-id` is repeated."""
    asked = {"x-ms-version": "2021-12-02", "x-ms-client-request-id": "mine"}
    for url in (link, link.replace("a.bin", "missing")):
        headers = (await anybody.get(url, headers=asked)).headers
        assert {name: headers[name] for name in asked} == asked


async def test_hash_of_a_long_range_is_refused(anybody: httpx.AsyncClient, state: SandboxState, link: str) -> None:
    """`x-ms-range-get-content-md5` takes 4 MiB at most and needs a range; an option leaves the hash out instead."""
    state.blobs.put("box", "a.bin", bytes(5 * MIB))
    asked = {"x-ms-range-get-content-md5": "true"}
    longest = await anybody.get(link, headers=asked | {"Range": f"bytes=0-{4 * MIB - 1}"})
    assert longest.headers["Content-MD5"] == md5(bytes(4 * MIB))
    longer = {"Range": f"bytes=0-{4 * MIB}"}
    assert (await anybody.get(link, headers=asked | longer)).status_code == 400
    assert (await anybody.get(link, headers=asked)).status_code == 400
    state.options.long_hashed_range = "unhashed"
    unhashed = await anybody.get(link, headers=asked | longer)
    assert (unhashed.status_code, "Content-MD5" in unhashed.headers) == (206, False)


async def test_hashes_are_checked_and_kept(anybody: httpx.AsyncClient, link: str) -> None:
    """Put Blob computes and checks; Put Block checks; a block list has only the hash it names, unchecked."""
    assert (await anybody.put(link, content=b"one", headers=PUT)).headers["Content-MD5"] == md5(b"one")
    for header in ("Content-MD5", "x-ms-blob-content-md5"):
        wrong = await anybody.put(link, content=b"one", headers=PUT | {header: md5(b"two")})
        assert code(wrong) == (400, "Md5Mismatch")
        assert code(await anybody.put(link, content=b"one", headers=PUT | {header: "no"})) == (400, "InvalidMd5")
    block = f"{link}&comp=block&blockid=AA=="
    assert code(await anybody.put(block, content=b"1", headers={"Content-MD5": md5(b"2")})) == (400, "Md5Mismatch")
    body = b"<BlockList><Latest>AA==</Latest></BlockList>"
    await anybody.put(block, content=b"1")
    await anybody.put(f"{link}&comp=blocklist", content=body)
    assert "Content-MD5" not in (await anybody.head(link)).headers
    await anybody.put(block, content=b"1")
    await anybody.put(f"{link}&comp=blocklist", content=body, headers={"x-ms-blob-content-md5": md5(b"wrong")})
    assert (await anybody.head(link)).headers["Content-MD5"] == md5(b"wrong")


async def test_unknown_blocks_are_refused(anybody: httpx.AsyncClient, link: str) -> None:
    """A block list that names a block nobody sent is 400, and so is a block id that is no base64."""
    body = b"<BlockList><Latest>QQ==</Latest></BlockList>"
    assert code(await anybody.put(f"{link}&comp=blocklist", content=body)) == (400, "InvalidBlockList")
    assert (await anybody.put(f"{link}&comp=block&blockid=*", content=b"1")).status_code == 400


async def test_content_encoding_is_kept(anybody: httpx.AsyncClient, link: str) -> None:
    """Bytes stored with an encoding are served as they are, with that header."""
    await anybody.put(link, content=b"raw", headers=PUT | {"x-ms-blob-content-encoding": "x-custom"})
    answer = await anybody.get(link)
    assert (answer.content, answer.headers["Content-Encoding"]) == (b"raw", "x-custom")


async def test_put_blob_from_url_copies_within_its_limits(
    anybody: httpx.AsyncClient, state: SandboxState, link: str
) -> None:
    """The source is read with its own link, and is refused if it has changed, cannot be read or is not that MD5."""
    source = state.blobs.put("box", "source.bin", b"content", "model/gltf-binary")
    readable = BASE + state.blobs.signed_path("box", "source.bin", permissions="r")

    async def put(**more: str) -> tuple[int, str]:
        headers = {"x-ms-version": "2020-04-08", "x-ms-copy-source": readable, **PUT}
        return code(await anybody.put(link, headers=headers | {name.replace("_", "-"): more[name] for name in more}))

    assert await put(x_ms_source_content_md5=md5(b"content"), x_ms_source_if_match=source.etag) == (201, "")
    copied = state.blobs.get("box", "a.bin")
    assert copied
    assert (copied.read(), copied.content_type) == (b"content", "model/gltf-binary")
    assert await put(x_ms_source_content_md5=md5(b"other")) == (400, "Md5Mismatch")
    assert await put(x_ms_source_if_match='"0x1"') == (412, "SourceConditionNotMet")
    assert await put(x_ms_version="2019-12-12") == (400, "InvalidHeaderValue")
    assert await put(x_ms_copy_source=readable.replace("sig=", "sig=x")) == (403, "CannotVerifyCopySource")
    gone = BASE + state.blobs.signed_path("box", "gone.bin", permissions="r")
    assert await put(x_ms_copy_source=gone) == (404, "CannotVerifyCopySource")
    assert await put(x_ms_copy_source=readable + "&x=" + "x" * 2048) == (400, "InvalidHeaderValue")
    source.size = 5000 * MIB + 1
    assert await put() == (409, "CannotVerifyCopySource")
    assert not any("sig=" in value and "REDACTED" not in value for e in state.log for value in e.headers.values())
