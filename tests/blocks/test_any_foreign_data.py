"""Whatever another system sends, a reader of it ends with a value or an error of the family.

`make test` spends about a second on each reader, `make campaign` a minute.
"""

import asyncio
import gzip
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from hypothesis import strategies as st

from blocks.content_encoding import Decoder
from blocks.foreign_data import read_json, read_xml, split_url
from blocks.itwin.apis import apis_of
from blocks.itwin.auth.token_endpoint import Identity, TokenEndpoint
from blocks.itwin.client import model_from
from blocks.itwin.mesh_models import MeshExport
from blocks.itwin.models import AuthorizationInformation, ExportRun
from blocks.itwin.run_outcome import evaluate_run
from blocks.itwin.transport import error_from
from blocks.signed_url import SignedUrl
from blocks.storage.blob_address import parse_blob_address
from blocks.storage.download.http_source import decode_md5
from blocks.storage.download.source import BlobProperties, check_range, refusal
from blocks.storage.ifc_check import check_ifc
from blocks.storage.tileset.listing import check_names, tiles_of_page
from blocks.storage.tileset.verify import verify_tileset
from blocks.timestamps import parse_http_date, parse_retry_after, parse_timestamp
from deployments.webhooks.message import read_change
from tests.blocks.itwin.platform import API, HOSTS, ISSUER, client_to, transport_to
from tests.blocks.storage.tileset.foreign_tilesets import b3dm, cmpt, i3dm, textured
from tests.blocks.storage.tileset.tilesets import glb, implicit, subtree, tile, tileset
from tests.deployments.webhooks.deliveries import delivery
from tests.made_up_input import CAMPAIGN_SECONDS, SECONDS, Target, files, try_for
from tests.tampering import damaged, overwritten

RUN = {
    "id": "r", "state": "Completed", "result": "Error", "startDateTime": "2026-11-22T12:00:00Z",
    "error": {"errorKey": "UserNotAuthenticated", "description": "No."},
    "jobs": [{"id": "j", "state": "Completed", "tasks": [
        {"id": "t", "result": "Error", "retryAttempts": 1, "exportOutputFileId": "f",
         "error": {"errorCode": "1", "message": "m", "bridgeExitCode": -7002, "canUserFix": True}}]}],
}  # fmt: skip
MESH = {"id": "m", "status": "Complete", "request": {"iModelId": "i"}, "_links": {"mesh": {"href": f"{API}/c?sig=x"}}}
CONSENT = {"isUserAuthorized": False, "_links": {"authorizationUrl": {"href": "https://connect.bentley.com/a"}}}
FILES = {
    "items": [{"id": "f", "displayName": "a.ifc", "size": 3, "type": "file"}],
    "_links": {"next": {"href": "?$skip=1"}},
}
ERROR = {"error": {"code": "c", "message": "m", "details": [{"code": "d", "message": "m", "target": "t"}]}}
DISCOVERY = {"authorization_endpoint": f"{ISSUER}/a", "token_endpoint": f"{ISSUER}/t"}
TOKEN = {
    "access_token": "a-long-access-token",
    "expires_in": 3600,
    "error": "invalid_grant",
    "error_description": "No.",
}
LISTING = (
    b'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs><Blob>'
    b"<Name>tileset.json</Name><Properties><Content-Length>12</Content-Length><Etag>0x8D</Etag>"
    b"<Content-MD5>CY9rzUYh03PK3k6DJie09g==</Content-MD5><ResourceType>file</ResourceType></Properties></Blob></Blobs><NextMarker>2</NextMarker></EnumerationResults>"
)
TILESET = {
    "asset": {"version": "1.1"}, "schemaUri": "s.json",
    "extensions": {"3DTILES_metadata": {"schemaUri": "s.json"}},
    "root": tile(
        "a", tile(None, contents=[{"uri": "a"}]),
        tile("a", extensions={"3DTILES_multiple_contents": {"contents": [{"uri": "a"}]}}),
    ),
}  # fmt: skip
GLTF = textured("a", buffers=[{"uri": "a"}], extensions={"EXT_structural_metadata": {"schemaUri": "s.json"}})
SUBTREE = {
    "buffers": [{"byteLength": 2}, {"uri": "a", "byteLength": 1}],
    "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": 2}],
    "contentAvailability": [{"bitstream": 0}], "childSubtreeAvailability": {"constant": 0},
}  # fmt: skip
IFC = b"ISO-10303-21;\nHEADER;\nFILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n#1=IFCWALL();\nENDSEC;\nEND-ISO-10303-21;\n"
TIMES = ["Sun, 22 Nov 2026 12:00:00 GMT", "120", "2026-11-22T12:00:00.1234567Z", "Mon, 01 Jan 2024 00:00:00 +9959"]


def answered(body: bytes, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(200, content=body, headers=headers)


def read_run(body: bytes) -> None:
    run = model_from(ExportRun, read_json(body), "Read the run")
    evaluate_run(run, imodel_id="i", accept_partial=True)


def read_links(body: bytes) -> None:
    value = read_json(body)
    assert isinstance(model_from(AuthorizationInformation, value, "Ask").authorization_url, str)
    HOSTS.resolve(model_from(MeshExport, value, "List").mesh_url, base=API)


def read_list(body: bytes) -> None:
    async def files() -> None:
        _ = [file async for file in apis_of(client_to(answered(body))).storage.search_files("f", "*")]

    asyncio.run(files())


def read_error(body: bytes) -> None:
    str(error_from(httpx.Response(400, content=body, headers={"x-correlation-id": "c"}), "Ask")).encode()


def read_sign_in(body: bytes) -> None:
    async def sign_in() -> None:
        endpoint = TokenEndpoint(Identity(issuer_url=ISSUER, client_id="c"), transport_to(answered(body)), HOSTS)
        await endpoint.request_token({})

    asyncio.run(sign_in())


def read_listing(body: bytes) -> None:
    check_names(one.name for one in tiles_of_page(read_xml(body)))


def read_tileset(files: Mapping[str, bytes]) -> None:
    with TemporaryDirectory() as folder:
        for name, content in ({"tileset.json": tileset(tile("a")), "a": b"1", "s.json": b"{}"} | dict(files)).items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        verify_tileset(Path(folder))


def with_subtree(content: bytes) -> dict[str, bytes]:
    return implicit() | {"subtrees/0/0/0.subtree": content}


def read_ifc(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.ifc")
        path.write_bytes(content)
        check_ifc(path, "IFC4")


def read_encoded(content: bytes) -> None:
    decoder = Decoder("gzip")
    for _ in decoder.decode(content):
        pass
    decoder.finish()


def read_url(text: str) -> None:
    split_url(HOSTS.resolve(text, base=API)).geturl().encode("ascii")
    parse_blob_address(SignedUrl(text))
    str(SignedUrl(text))


def read_headers(text: str) -> None:
    names: list[str] = ["ETag", "Content-Range", "Content-Length", "Content-Encoding", "Retry-After", "Date"]
    headers = dict.fromkeys(names, text)
    decode_md5(text)
    str(refusal(503, headers, "h"))
    check_range(206, headers, "h", (0, 5), BlobProperties(9, text))


def read_times(text: str) -> None:
    parse_timestamp(text)
    parse_http_date(text)
    assert 0 <= parse_retry_after(text, text) <= 366 * 24 * 3600


def lines_like(*samples: str) -> st.SearchStrategy[str]:
    """Random texts, and the samples with some bytes replaced."""
    changed = st.sampled_from(samples).flatmap(lambda sample: overwritten(sample.encode()))
    return st.text(max_size=60) | changed.map(lambda text: text.decode(errors="surrogateescape"))


TARGETS = {
    "run": Target(read_run, damaged(RUN)),
    "links": Target(read_links, damaged(MESH | CONSENT)),
    "list": Target(read_list, damaged(FILES)),
    "error": Target(read_error, damaged(ERROR)),
    "discovery": Target(read_sign_in, damaged(DISCOVERY)),
    "token": Target(read_sign_in, damaged(TOKEN)),
    "delivery": Target(read_change, damaged(json.loads(delivery()))),
    "listing": Target(read_listing, overwritten(LISTING)),
    "tileset": Target(read_tileset, files(tileset_json=damaged(TILESET))),
    "glTF": Target(read_tileset, files(a=damaged(GLTF))),
    "binary tile": Target(read_tileset, files(a=overwritten(cmpt(b3dm(glb(4, GLTF)), i3dm(b"a", 0))))),
    "subtree": Target(
        read_tileset,
        (damaged(SUBTREE) | overwritten(subtree(SUBTREE, b"\1\2"))).map(with_subtree),
    ),
    "IFC": Target(read_ifc, overwritten(IFC)),
    "gzip": Target(read_encoded, overwritten(gzip.compress(b"hello world", mtime=0))),
    "URL": Target(read_url, lines_like("//[::1", "https://api.bentley.com:99999/a?se=2026-11-22", "https://h/c/b?Expires=9")),
    "headers": Target(read_headers, lines_like('"0x8D"', "bytes 0-4/9", "CY9rzUYh03PK3k6DJie09g==", *TIMES)),
    "times": Target(read_times, lines_like(*TIMES)),
}  # fmt: skip


@pytest.mark.parametrize("name", TARGETS)
def test_any_input(name: str) -> None:
    """A second of made-up input leaves a value or an error whose text can be shown."""
    assert try_for(SECONDS, TARGETS[name]) > 0


@pytest.mark.campaign
@pytest.mark.parametrize("name", TARGETS)
def test_any_input_for_a_minute(name: str) -> None:
    """A minute of made-up input leaves a value or an error whose text can be shown."""
    assert try_for(CAMPAIGN_SECONDS, TARGETS[name]) > 0
