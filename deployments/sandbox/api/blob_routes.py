"""Blobs of the blob account: read, write, delete.

https://learn.microsoft.com/rest/api/storageservices/operations-on-block-blobs
"""

import asyncio
import base64
import binascii
import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.sandbox.api.blob_access import (
    BlobRefusedError,
    account_of,
    authorize,
    check_read_conditions,
    check_write_conditions,
    may_overwrite,
    require_container,
    service_headers,
)
from deployments.sandbox.api.blob_sources import read_source
from deployments.sandbox.api.responses import sandbox_of
from deployments.sandbox.clock import http_date
from deployments.sandbox.content.blob import Blob, content_md5
from deployments.sandbox.state.sas import RESPONSE_HEADERS

LARGEST_HASHED_RANGE = 4 * 1024 * 1024
_MD5_BYTES = 16
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_LISTED_BLOCK = re.compile(r"<(?:Latest|Uncommitted|Committed)>([^<]+)</")
_KEPT_HEADERS = ("Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control")
_METADATA = "x-ms-meta-"


async def read_blob(request: Request) -> Response:
    """GET and HEAD, whole or in ranges."""
    container, name = _address(request, "r")
    blob = account_of(request).get(container, name)
    if blob is None:
        raise BlobRefusedError(404, "BlobNotFound")
    if not blob.is_measured:
        await asyncio.to_thread(blob.measure)
    check_read_conditions(request, blob)
    headers = _read_headers(request, blob)
    span = _range(request)
    if request.method == "HEAD" or span is None:
        if _wants_hash(request):
            raise BlobRefusedError(400, "InvalidHeaderValue")
        headers |= {"Content-MD5": blob.content_md5} if blob.content_md5 else {}
        if request.method == "HEAD":
            return Response(status_code=200, headers=headers | {"Content-Length": str(blob.size)})
        return Response(blob.read(), 200, headers)
    return _part(request, blob, headers, span)


async def write_blob(request: Request) -> Response:
    """Put Blob, Put Blob From URL, Put Block, Put Block List and Set Blob Metadata."""
    comp = request.query_params.get("comp", "")
    write = {"": _put_blob, "block": _put_block, "blocklist": _put_block_list, "metadata": _set_metadata}.get(comp)
    if write is None:
        raise BlobRefusedError(400, "InvalidQueryParameterValue")
    container, name = _address(request, "w" if comp else "cw")
    content = await request.body()
    if not comp and "x-ms-copy-source" in request.headers:
        return await asyncio.to_thread(_put_blob_from_url, request, container, name, content)
    return write(request, container, name, content)


async def delete_blob(request: Request) -> Response:
    """Delete Blob."""
    container, name = _address(request, "d")
    blob = account_of(request).get(container, name)
    if blob is None:
        raise BlobRefusedError(404, "BlobNotFound")
    check_write_conditions(request, blob)
    account_of(request).delete(container, name)
    return Response(status_code=202, headers=service_headers(request))


def _address(request: Request, permissions: str) -> tuple[str, str]:
    """Container and name of the blob, once access is granted and the container is there."""
    container, name = str(request.path_params["container"]), str(request.path_params["blob"])
    authorize(request, f"/{container}/{name}", permissions)
    require_container(request, container)
    return container, name


def _put_blob(request: Request, container: str, name: str, content: bytes) -> Response:
    if request.headers.get("x-ms-blob-type") != "BlockBlob":
        raise BlobRefusedError(400, "MissingRequiredHeader")
    for header in ("content-md5", "x-ms-blob-content-md5"):
        _check_md5(request.headers.get(header), content)
    blob = _stored(request, container, name, Blob(content, _kind(request.headers), sandbox_of(request).clock.now()))
    return _written(request, blob, {"Content-MD5": blob.content_md5 or ""})


def _put_blob_from_url(request: Request, container: str, name: str, content: bytes) -> Response:
    """https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url."""
    if request.headers.get("x-ms-blob-type") != "BlockBlob":
        raise BlobRefusedError(400, "MissingRequiredHeader")
    if content:
        raise BlobRefusedError(400, "InvalidHeaderValue")
    source = read_source(request)
    kind = request.headers.get("x-ms-blob-content-type") or source.content_type
    blob = _stored(request, container, name, Blob(source.read(), kind, sandbox_of(request).clock.now()))
    return _written(request, blob, {"Content-MD5": blob.content_md5 or ""})


def _put_block(request: Request, container: str, name: str, content: bytes) -> Response:
    """The MD5 is checked and not kept."""
    block = request.query_params.get("blockid", "")
    _decoded(block, "InvalidQueryParameterValue")
    _check_md5(request.headers.get("content-md5"), content)
    account_of(request).blocks.setdefault((container, name), {})[block] = content
    return Response(status_code=201, headers={**service_headers(request), "Content-MD5": content_md5(content)})


def _put_block_list(request: Request, container: str, name: str, content: bytes) -> Response:
    """The blob has an MD5 only if the request names one, and that is kept unchecked."""
    _check_md5(request.headers.get("content-md5"), content)
    blocks = account_of(request).blocks.get((container, name), {})
    try:
        joined = b"".join(blocks[part] for part in _LISTED_BLOCK.findall(content.decode()))
    except (KeyError, UnicodeDecodeError):
        raise BlobRefusedError(400, "InvalidBlockList") from None
    md5 = request.headers.get("x-ms-blob-content-md5")
    if md5:
        _decoded(md5, "InvalidMd5", _MD5_BYTES)
    blob = Blob(joined, _kind(request.headers), sandbox_of(request).clock.now(), bool(md5), stored_md5=md5)
    stored = _stored(request, container, name, blob)
    account_of(request).blocks.pop((container, name), None)
    return _written(request, stored)


def _set_metadata(request: Request, container: str, name: str, _content: bytes) -> Response:
    blob = account_of(request).get(container, name)
    if blob is None:
        raise BlobRefusedError(404, "BlobNotFound")
    check_write_conditions(request, blob)
    kept = {key: value for key, value in blob.headers.items() if not key.startswith(_METADATA)}
    headers = kept | _metadata(request.headers)
    now = sandbox_of(request).clock.now()
    changed = Blob(blob.source, blob.content_type, now, blob.has_md5, headers, stored_md5=blob.stored_md5)
    account_of(request).store(container, name, changed)
    return Response(status_code=200, headers=_identity(request, changed))


def _stored(request: Request, container: str, name: str, blob: Blob) -> Blob:
    older = account_of(request).get(container, name)
    if older is not None and not may_overwrite(request):
        raise BlobRefusedError(403, "UnauthorizedBlobOverwrite")
    check_write_conditions(request, older)
    asked = {key: request.headers.get(f"x-ms-blob-{key.lower()}") for key in _KEPT_HEADERS}
    blob.headers = {key: value for key, value in asked.items() if value} | _metadata(request.headers)
    return account_of(request).store(container, name, blob)


def _written(request: Request, blob: Blob, more: dict[str, str] | None = None) -> Response:
    return Response(status_code=201, headers={**_identity(request, blob), **(more or {})})


def _kind(headers: Headers) -> str:
    return headers.get("x-ms-blob-content-type") or headers.get("content-type") or "application/octet-stream"


def _metadata(headers: Headers) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.startswith(_METADATA)}


def _check_md5(sent: str | None, content: bytes) -> None:
    if sent is None:
        return
    _decoded(sent, "InvalidMd5", _MD5_BYTES)
    if sent != content_md5(content):
        raise BlobRefusedError(400, "Md5Mismatch")


def _decoded(text: str, code: str, length: int | None = None) -> None:
    """Require base64, of so many bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BlobRefusedError(400, code) from None
    if not raw or (length is not None and len(raw) != length):
        raise BlobRefusedError(400, code)


def _range(request: Request) -> re.Match[str] | None:
    """The range asked for; `x-ms-range` wins."""
    asked = request.headers.get("x-ms-range") or request.headers.get("range")
    return _RANGE.fullmatch(asked.strip()) if asked else None


def _wants_hash(request: Request) -> bool:
    return request.headers.get("x-ms-range-get-content-md5", "").lower() == "true"


def _part(request: Request, blob: Blob, headers: dict[str, str], span: re.Match[str]) -> Response:
    first, last = int(span[1]), min(int(span[2] or blob.size), blob.size - 1)
    if first > last:
        raise BlobRefusedError(416, "InvalidRange", {"Content-Range": f"bytes */{blob.size}"})
    content = blob.read()[first : last + 1]
    headers |= {"Content-Range": f"bytes {first}-{last}/{blob.size}"}
    if blob.content_md5:
        headers["x-ms-blob-content-md5"] = blob.content_md5
    if _wants_hash(request):
        if len(content) <= LARGEST_HASHED_RANGE:
            headers["Content-MD5"] = content_md5(content)
        elif sandbox_of(request).options.long_hashed_range == "refused":
            raise BlobRefusedError(400, "OutOfRangeInput")
    return Response(content, 206, headers)


def _read_headers(request: Request, blob: Blob) -> dict[str, str]:
    signed = {header: request.query_params.get(name) for name, header in RESPONSE_HEADERS.items()}
    return {
        **_identity(request, blob),
        "Content-Type": blob.content_type,
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
        **blob.headers,
        **{header: value for header, value in signed.items() if value},
    }


def _identity(request: Request, blob: Blob) -> dict[str, str]:
    return {**service_headers(request), "ETag": blob.etag, "Last-Modified": http_date(blob.modified_at)}


def routes(account: str) -> list[Route]:
    """Everything in the containers of the account."""
    one = f"/{account}/{{container}}/{{blob:path}}"
    return [
        Route(one, read_blob, methods=["GET", "HEAD"]),
        Route(one, write_blob, methods=["PUT"]),
        Route(one, delete_blob, methods=["DELETE"]),
    ]
