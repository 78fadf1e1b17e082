"""What every request to the blob account is checked for: signature, permission and conditions.

https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
https://learn.microsoft.com/rest/api/storageservices/specifying-conditional-headers-for-blob-service-operations
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import Response

from deployments.sandbox.api.responses import sandbox_of
from deployments.sandbox.content.blob import Blob
from deployments.sandbox.state import sas
from deployments.sandbox.state.blobs import BlobAccount

NOT_MODIFIED = 304
XML = '<?xml version="1.0" encoding="utf-8"?>'
_SERVICE_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}")


class BlobRefusedError(Exception):
    """An error answer in the XML of Azure Blob Storage."""

    def __init__(self, status: int, code: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.headers = headers or {}


def answer_blob_refusal(request: Request, error: Exception) -> Response:
    """The XML body; the code is also in the header `x-ms-error-code`."""
    if not isinstance(error, BlobRefusedError):
        raise error
    headers = {"x-ms-error-code": error.code, **service_headers(request), **error.headers}
    if error.status == NOT_MODIFIED or request.method == "HEAD":
        return Response(status_code=error.status, headers=headers)
    inner = f"<Code>{error.code}</Code><Message>{error.code}</Message>"
    return Response(f"{XML}<Error>{inner}</Error>", error.status, headers, "application/xml")


def account_of(request: Request) -> BlobAccount:
    """The storage account."""
    return sandbox_of(request).blobs


def service_headers(request: Request) -> dict[str, str]:
    """The headers of every answer; the version is the one asked for, else the one of the SAS."""
    version = request.headers.get("x-ms-version", "")
    if not _SERVICE_VERSION.fullmatch(version):
        version = request.query_params.get("sv", sas.VERSION)
    headers = {"x-ms-request-id": str(uuid4()), "x-ms-version": version, "Server": "Windows-Azure-Blob/1.0"}
    if client_id := request.headers.get("x-ms-client-request-id"):
        headers["x-ms-client-request-id"] = client_id
    return headers


def authorize(request: Request, resource: str, permissions: str) -> None:
    """Require a SAS with one of these permissions; a Bearer token beside it is ignored.

    A request signed with the account key (`SharedKey`) may do everything; its signature is not checked.

    Raises:
        BlobRefusedError: 403.
    """
    query, account = request.query_params, account_of(request)
    if _is_signed_by_owner(request):
        return
    if not sas.is_valid(account.key, f"/{account.account}{resource}", query, sandbox_of(request).clock.now()):
        raise BlobRefusedError(403, "AuthenticationFailed")
    if not sas.allows_protocol(query, request.url.scheme):
        raise BlobRefusedError(403, "AuthorizationProtocolMismatch")
    if not sas.allows_address(query, request.client.host if request.client else ""):
        raise BlobRefusedError(403, "AuthorizationSourceIPMismatch")
    if not set(permissions) & set(query.get("sp", "")):
        raise BlobRefusedError(403, "AuthorizationPermissionMismatch")


def require_owner(request: Request) -> None:
    """Require the account key: a SAS of a container or blob cannot manage containers."""
    if not _is_signed_by_owner(request):
        raise BlobRefusedError(403, "AuthorizationFailure")


def require_container(request: Request, container: str) -> None:
    """404 for any request about a container that does not exist."""
    if container not in account_of(request).containers:
        raise BlobRefusedError(404, "ContainerNotFound")


def may_overwrite(request: Request) -> bool:
    """False for a SAS with `c` (create) and without `w` (write)."""
    return _is_signed_by_owner(request) or "w" in request.query_params.get("sp", "")


def check_read_conditions(request: Request, blob: Blob) -> None:
    """412 or 304, by the four conditional headers."""
    headers = request.headers
    if headers.get("if-none-match") == "*":
        raise BlobRefusedError(400, "UnsatisfiableCondition")
    if not _matches(headers.get("if-match"), blob, absent=True):
        raise BlobRefusedError(412, "ConditionNotMet")
    if _matches(headers.get("if-none-match"), blob, absent=False):
        raise BlobRefusedError(NOT_MODIFIED, "ConditionNotMet")
    if (since := _date(request, "if-modified-since")) and _written_at(blob) <= since:
        raise BlobRefusedError(NOT_MODIFIED, "ConditionNotMet")
    if (since := _date(request, "if-unmodified-since")) and _written_at(blob) > since:
        raise BlobRefusedError(412, "ConditionNotMet")


def check_write_conditions(request: Request, blob: Blob | None) -> None:
    """409 for `If-None-Match: *` on an existing blob, otherwise 412, by the four conditional headers."""
    headers = request.headers
    wanted, unwanted = headers.get("if-match"), headers.get("if-none-match")
    if blob is None:
        if wanted is not None:
            raise BlobRefusedError(412, "ConditionNotMet")
        return
    if unwanted == "*":
        raise BlobRefusedError(409, "BlobAlreadyExists")
    if not _matches(wanted, blob, absent=True) or _matches(unwanted, blob, absent=False):
        raise BlobRefusedError(412, "ConditionNotMet")
    modified, unmodified = _date(request, "if-modified-since"), _date(request, "if-unmodified-since")
    if (modified and _written_at(blob) <= modified) or (unmodified and _written_at(blob) > unmodified):
        raise BlobRefusedError(412, "ConditionNotMet")


def _is_signed_by_owner(request: Request) -> bool:
    header = request.headers.get("authorization", "")
    return "sig" not in request.query_params and header.startswith(f"SharedKey {account_of(request).account}:")


def _matches(etag: str | None, blob: Blob, *, absent: bool) -> bool:
    return absent if etag is None else etag == "*" or etag.strip('"') == blob.etag.strip('"')


def _written_at(blob: Blob) -> datetime:
    """HTTP dates have whole seconds."""
    return blob.modified_at.replace(microsecond=0)


def _date(request: Request, name: str) -> datetime | None:
    text = request.headers.get(name)
    if text is None:
        return None
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        raise BlobRefusedError(400, "InvalidHeaderValue") from None
