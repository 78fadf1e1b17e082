"""The source of Put Blob From URL: a blob of this account that its link permits to read.

https://learn.microsoft.com/rest/api/storageservices/put-blob-from-url
"""

from urllib.parse import parse_qsl, unquote, urlsplit

from starlette.requests import Request

from deployments.sandbox.api.blob_access import BlobRefusedError, account_of
from deployments.sandbox.api.responses import sandbox_of
from deployments.sandbox.content.blob import Blob
from deployments.sandbox.state import sas

FIRST_VERSION = "2020-04-08"
LARGEST_SOURCE = 5000 * 1024 * 1024
LONGEST_SOURCE_URL = 2048


def read_source(request: Request) -> Blob:
    """The blob that a request names as its source, once every condition on it holds.

    Raises:
        BlobRefusedError: The version is too old, the source cannot be read with its link, is too large, has changed, or
            has another MD5 than the request says.
    """
    url = request.headers["x-ms-copy-source"]
    if request.headers.get("x-ms-version", "") < FIRST_VERSION or len(url.encode()) > LONGEST_SOURCE_URL:
        raise BlobRefusedError(400, "InvalidHeaderValue")
    blob = _found(request, url)
    blob.measure()
    if blob.size > LARGEST_SOURCE:
        raise BlobRefusedError(409, "CannotVerifyCopySource")
    wanted = request.headers.get("x-ms-source-if-match")
    if wanted is not None and wanted != "*" and wanted.strip('"') != blob.etag.strip('"'):
        raise BlobRefusedError(412, "SourceConditionNotMet")
    md5 = request.headers.get("x-ms-source-content-md5")
    if md5 is not None and md5 != blob.content_md5:
        raise BlobRefusedError(400, "Md5Mismatch")
    return blob


def _found(request: Request, url: str) -> Blob:
    """The source; where it cannot be read, Azure answers with the status that the source gave."""
    account, parts = account_of(request), urlsplit(url)
    query = dict(parse_qsl(parts.query))
    base, _, place = unquote(parts.path).partition(f"/{account.account}/")
    if base or (parts.hostname, parts.port) != (request.url.hostname, request.url.port):
        raise BlobRefusedError(404, "CannotVerifyCopySource")
    now = sandbox_of(request).clock.now()
    if not sas.is_valid(account.key, f"/{account.account}/{place}", query, now) or "r" not in query.get("sp", ""):
        raise BlobRefusedError(403, "CannotVerifyCopySource")
    blob = account.get(*place.split("/", 1)) if "/" in place else None
    if blob is None:
        raise BlobRefusedError(404, "CannotVerifyCopySource")
    return blob
