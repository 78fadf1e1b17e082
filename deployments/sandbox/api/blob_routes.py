"""The blob service's HTTP face, as far as readers and writers of SAS links need it.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

import asyncio
import base64
import hashlib
import re
from itertools import islice
from uuid import uuid4
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.sandbox.api.responses import sandbox_of
from deployments.sandbox.clock import http_date
from deployments.sandbox.content.blob import Blob
from deployments.sandbox.state import sas
from deployments.sandbox.state.blobs import BlobAccount

NOT_MODIFIED = 304
LARGEST_LIST = 5000
LARGEST_HASHED_RANGE = 4 * 1024 * 1024
_XML = '<?xml version="1.0" encoding="utf-8"?>'
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class BlobRefusedError(Exception):
    """An error answer in the blob service's XML."""

    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers = headers or {}


def answer_blob_refusal(_request: Request, error: Exception) -> Response:
    """The XML body, and the code once more as a header."""
    if not isinstance(error, BlobRefusedError):
        raise error
    headers = {"x-ms-error-code": error.code, **_service_headers(), **error.headers}
    if error.status == NOT_MODIFIED:
        return Response(status_code=error.status, headers=headers)
    inner = f"<Code>{error.code}</Code><Message>{error.code}</Message>"
    return Response(f"{_XML}<Error>{inner}</Error>", error.status, headers, "application/xml")


async def serve_container(request: Request) -> Response:
    """List a container, or make one."""
    container = str(request.path_params["container"])
    query = request.query_params
    if query.get("restype") != "container":
        raise BlobRefusedError(400, "InvalidQueryParameterValue")
    if request.method == "PUT":
        _authorize(request, f"/{container}", "cw")
        _account(request).containers.setdefault(container, {})
        return Response(status_code=201, headers=_service_headers())
    if query.get("comp") == "list":
        _authorize(request, f"/{container}", "l")
        # Hashes of thousands of tiles take their time.
        return await asyncio.to_thread(_list, request, container)
    _authorize(request, f"/{container}", "rl")
    if container not in _account(request).containers:
        raise BlobRefusedError(404, "ContainerNotFound")
    return Response(status_code=200, headers=_service_headers())


async def read_blob(request: Request) -> Response:
    """GET and HEAD, whole or in ranges."""
    container, name = str(request.path_params["container"]), str(request.path_params["blob"])
    _authorize(request, f"/{container}/{name}", "r")
    blob = _account(request).get(container, name)
    if blob is None:
        raise BlobRefusedError(404, "BlobNotFound")
    if blob.is_cold:
        await asyncio.to_thread(lambda: blob.md5)
    _check_conditions(request, blob)
    headers = _blob_headers(blob)
    if request.method == "HEAD":
        whole = {"Content-Length": str(blob.size), "Content-MD5": blob.content_md5}
        return Response(status_code=200, headers=headers | whole)
    asked = request.headers.get("x-ms-range") or request.headers.get("range")
    span = _RANGE.fullmatch(asked.strip()) if asked else None
    if span is None:
        return Response(blob.read(), 200, {**headers, "Content-MD5": blob.content_md5})
    return _part(request, blob, int(span[1]), int(span[2]) if span[2] else blob.size - 1)


async def write_blob(request: Request) -> Response:
    """Put Blob, Put Block and Put Block List."""
    container, name = str(request.path_params["container"]), str(request.path_params["blob"])
    _authorize(request, f"/{container}/{name}", "cw")
    content = await request.body()
    sent = request.headers.get("content-md5")
    if sent and sent != _md5(content):
        raise BlobRefusedError(400, "Md5Mismatch")
    account, key = _account(request), (container, name)
    comp = request.query_params.get("comp")
    if comp == "block":
        account.blocks.setdefault(key, {})[request.query_params["blockid"]] = content
        return Response(status_code=201, headers={**_service_headers(), "Content-MD5": _md5(content)})
    if comp == "blocklist":
        blocks = account.blocks.pop(key, {})
        content = b"".join(blocks[part] for part in re.findall(r"<\w+>([^<]+)</", content.decode()))
    elif request.headers.get("x-ms-blob-type") != "BlockBlob":
        raise BlobRefusedError(400, "MissingRequiredHeader")
    kind = request.headers.get("x-ms-blob-content-type") or request.headers.get("content-type")
    blob = account.put(container, name, content, kind or "application/octet-stream")
    return Response(status_code=201, headers={**_blob_headers(blob), "Content-MD5": blob.content_md5})


async def delete_blob(request: Request) -> Response:
    """Delete Blob."""
    container, name = str(request.path_params["container"]), str(request.path_params["blob"])
    _authorize(request, f"/{container}/{name}", "d")
    if not _account(request).delete(container, name):
        raise BlobRefusedError(404, "BlobNotFound")
    return Response(status_code=202, headers=_service_headers())


def _account(request: Request) -> BlobAccount:
    return sandbox_of(request).blobs


def _authorize(request: Request, resource: str, permissions: str) -> None:
    """A SAS that allows one of these permissions; a Bearer header beside it is ignored.

    Without a SAS, a request signed with the account's key is taken at its word: the signature is not checked.
    """
    query, account = request.query_params, _account(request)
    if "sig" not in query:
        if request.headers.get("authorization", "").startswith(f"SharedKey {account.account}:"):
            return
        raise BlobRefusedError(403, "AuthenticationFailed")
    if not sas.is_valid(account.key, f"/{account.account}{resource}", query, sandbox_of(request).clock.now()):
        raise BlobRefusedError(403, "AuthenticationFailed")
    if not set(permissions) & set(query.get("sp", "")):
        raise BlobRefusedError(403, "AuthorizationPermissionMismatch")


def _check_conditions(request: Request, blob: Blob) -> None:
    wanted = request.headers.get("if-match")
    if wanted and wanted != "*" and wanted.strip('"') != blob.etag.strip('"'):
        raise BlobRefusedError(412, "ConditionNotMet")
    known = request.headers.get("if-none-match")
    if known and known.strip('"') == blob.etag.strip('"'):
        raise BlobRefusedError(NOT_MODIFIED, "ConditionNotMet")


def _part(request: Request, blob: Blob, first: int, last: int) -> Response:
    last = min(last, blob.size - 1)
    if first > last:
        raise BlobRefusedError(416, "InvalidRange", {"Content-Range": f"bytes */{blob.size}"})
    content = blob.read()[first : last + 1]
    headers = {
        **_blob_headers(blob),
        "Content-Range": f"bytes {first}-{last}/{blob.size}",
        "x-ms-blob-content-md5": blob.content_md5,
    }
    if request.headers.get("x-ms-range-get-content-md5") == "true" and len(content) <= LARGEST_HASHED_RANGE:
        headers["Content-MD5"] = _md5(content)
    return Response(content, 206, headers)


def _list(request: Request, container: str) -> Response:
    account, query = _account(request), request.query_params
    if container not in account.containers:
        raise BlobRefusedError(404, "ContainerNotFound")
    most = query.get("maxresults", str(LARGEST_LIST))
    if not most.isdigit() or int(most) < 1:
        raise BlobRefusedError(400, "OutOfRangeQueryParameterValue")
    size = min(int(most), LARGEST_LIST)
    names = account.names(container, query.get("prefix", ""), _after(query.get("marker", "")))
    shown = list(islice(names, size + 1))
    marker = _marker(shown[size - 1]) if len(shown) > size else ""
    blobs = "".join(_entry(name, account.containers[container][name]) for name in shown[:size])
    xml = (
        f'{_XML}<EnumerationResults ContainerName="{container}">'
        f"<MaxResults>{size}</MaxResults><Blobs>{blobs}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    )
    return Response(xml, 200, _service_headers(), "application/xml")


def _entry(name: str, blob: Blob) -> str:
    properties = {
        "Last-Modified": http_date(blob.modified_at),
        "Etag": blob.etag.strip('"'),
        "Content-Length": blob.size,
        "Content-Type": blob.content_type,
        "Content-MD5": blob.content_md5,
        "BlobType": "BlockBlob",
    }
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in properties.items())
    return f"<Blob><Name>{escape(name)}</Name><Properties>{inner}</Properties></Blob>"


def _marker(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _after(marker: str) -> str:
    return base64.urlsafe_b64decode(marker).decode() if marker else ""


def _blob_headers(blob: Blob) -> dict[str, str]:
    return {
        **_service_headers(),
        "ETag": blob.etag,
        "Last-Modified": http_date(blob.modified_at),
        "Content-Type": blob.content_type,
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
    }


def _service_headers() -> dict[str, str]:
    return {"x-ms-request-id": str(uuid4()), "x-ms-version": sas.VERSION, "Server": "Windows-Azure-Blob/1.0"}


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def routes(account: str) -> list[Route]:
    """Everything below the account's name."""
    one = f"/{account}/{{container}}/{{blob:path}}"
    return [
        Route(one, read_blob, methods=["GET", "HEAD"]),
        Route(one, write_blob, methods=["PUT"]),
        Route(one, delete_blob, methods=["DELETE"]),
        Route(f"/{account}/{{container}}", serve_container, methods=["GET", "HEAD", "PUT"]),
    ]
