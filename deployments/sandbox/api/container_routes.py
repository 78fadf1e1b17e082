"""Containers of the blob account: create, delete, list.

https://learn.microsoft.com/rest/api/storageservices/operations-on-containers
"""

import asyncio
import base64
import binascii
from collections.abc import Iterable, Iterator
from itertools import islice
from xml.sax.saxutils import escape

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from deployments.sandbox.api.blob_access import (
    XML,
    BlobRefusedError,
    account_of,
    authorize,
    require_container,
    require_owner,
    service_headers,
)
from deployments.sandbox.api.responses import sandbox_of
from deployments.sandbox.clock import http_date
from deployments.sandbox.content.blob import Blob

LARGEST_LIST = 5000
_BEHIND_EVERY_NAME = "\U0010ffff"


async def list_containers(request: Request) -> Response:
    """The containers of the account."""
    if request.query_params.get("comp") != "list":
        raise BlobRefusedError(400, "InvalidQueryParameterValue")
    require_owner(request)
    prefix = request.query_params.get("prefix", "")
    date = http_date(sandbox_of(request).clock.now())
    entries = "".join(
        f"<Container><Name>{escape(name)}</Name><Properties><Last-Modified>{date}</Last-Modified></Properties></Container>"
        for name in sorted(account_of(request).containers)
        if name.startswith(prefix)
    )
    body = f"{XML}<EnumerationResults><Containers>{entries}</Containers><NextMarker/></EnumerationResults>"
    return Response(body, 200, service_headers(request), "application/xml")


async def create_container(request: Request) -> Response:
    """201, or 409 when there is one or the name was deleted within the last half minute."""
    container = _container(request)
    require_owner(request)
    account = account_of(request)
    if account.is_being_deleted(container):
        raise BlobRefusedError(409, "ContainerBeingDeleted")
    if not account.create_container(container):
        raise BlobRefusedError(409, "ContainerAlreadyExists")
    return Response(status_code=201, headers=service_headers(request))


async def delete_container(request: Request) -> Response:
    """202, and the blobs are gone."""
    container = _container(request)
    require_owner(request)
    if not account_of(request).delete_container(container):
        raise BlobRefusedError(404, "ContainerNotFound")
    return Response(status_code=202, headers=service_headers(request))


async def read_container(request: Request) -> Response:
    """The list of blobs, or the properties of the container."""
    container = _container(request)
    if request.query_params.get("comp") == "list":
        authorize(request, f"/{container}", "l")
        require_container(request, container)
        # Sizes and hashes of thousands of tiles take time.
        return await asyncio.to_thread(_list, request, container)
    require_owner(request)
    require_container(request, container)
    return Response(status_code=200, headers=service_headers(request))


def _container(request: Request) -> str:
    if request.query_params.get("restype") != "container":
        raise BlobRefusedError(400, "InvalidQueryParameterValue")
    return str(request.path_params["container"])


def _list(request: Request, container: str) -> Response:
    query = request.query_params
    most = query.get("maxresults", str(LARGEST_LIST))
    if not most.isdigit() or int(most) < 1:
        raise BlobRefusedError(400, "OutOfRangeQueryParameterValue")
    size = min(int(most), LARGEST_LIST)
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    names = account_of(request).names(container, prefix, _position(query.get("marker", "")))
    shown = list(islice(_folded(names, prefix, delimiter), size + 1))
    marker = _marker(*shown[size - 1]) if len(shown) > size else ""
    blobs = account_of(request).containers[container]
    entries = "".join(_folder(name) if is_folded else _entry(name, blobs[name]) for name, is_folded in shown[:size])
    asked = f"<Prefix>{escape(prefix)}</Prefix><Delimiter>{escape(delimiter)}</Delimiter>"
    body = (
        f'{XML}<EnumerationResults ContainerName="{container}">{asked}<MaxResults>{size}</MaxResults>'
        f"<Blobs>{entries}</Blobs><NextMarker>{marker}</NextMarker></EnumerationResults>"
    )
    return Response(body, 200, service_headers(request), "application/xml")


def _folded(names: Iterable[str], prefix: str, delimiter: str) -> Iterator[tuple[str, bool]]:
    """Names; those that share the text up to the delimiter are folded into that text, which is then marked true."""
    last = None
    for name in names:
        head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
        shown = (f"{prefix}{head}{found}", True) if found else (name, False)
        if shown != last:
            yield shown
        last = shown


def _folder(name: str) -> str:
    return f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>"


def _entry(name: str, blob: Blob) -> str:
    md5 = blob.content_md5
    properties = {
        "Last-Modified": http_date(blob.modified_at),
        "Etag": blob.etag.strip('"'),
        "Content-Length": blob.size,
        "Content-Type": escape(blob.content_type),
        "Content-Encoding": escape(blob.headers.get("Content-Encoding", "")),
        **({"Content-MD5": md5} if md5 else {}),
        "BlobType": "BlockBlob",
    }
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in properties.items())
    return f"<Blob><Name>{escape(name)}</Name><Properties>{inner}</Properties></Blob>"


def _marker(shown: str, is_folded: bool) -> str:
    """The name behind which the next page begins; behind a folded one is behind all that begin with it."""
    position = shown + _BEHIND_EVERY_NAME if is_folded else shown
    return base64.urlsafe_b64encode(position.encode()).decode()


def _position(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise BlobRefusedError(400, "InvalidQueryParameterValue") from None


def routes(account: str) -> list[Route]:
    """The account itself and its containers."""
    one = f"/{account}/{{container}}"
    return [
        Route(f"/{account}/", list_containers),
        Route(one, read_container, methods=["GET", "HEAD"]),
        Route(one, create_container, methods=["PUT"]),
        Route(one, delete_container, methods=["DELETE"]),
    ]
