"""HTTP client of the iTwin Platform for one authenticated caller.

It adds the bearer token, requests a new token once after a 401, iterates over pages, and returns the Location of
redirects without following them. The bearer token is sent to the API's origin only.

Vendor page: https://developer.bentley.com/apis/overview/.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast

import httpx
from pydantic import BaseModel, ValidationError

from blocks.errors import TransientError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.auth.access_tokens import TokenProvider
from blocks.itwin.paging import ListedItems, is_last, next_position
from blocks.itwin.server_clock import ServerClock
from blocks.itwin.transport import Json, Precondition, Transport, error_from, json_object

V1_JSON = "application/vnd.bentley.itwin-platform.v1+json"
V2_JSON = "application/vnd.bentley.itwin-platform.v2+json"
BLOCK_BLOB = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
V1_OCTETS = "application/vnd.bentley.itwin-platform.v1+octet-stream"
REPRESENTATION = {"Prefer": "return=representation"}
"""Asks for the items of a list in their full representation."""

Parameters = Mapping[str, str | int]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class ApiResponse:
    """A response: status, JSON object (empty without one), `Location` if its host is allowed, size in bytes."""

    status: int
    body: Json = field(default_factory=dict[str, Any])
    location: str | None = None
    size: int = 0


class ItwinClient:
    """Client of the iTwin Platform for one authenticated caller.

    Args:
        api_url: Root of the API, for example `https://api.bentley.com`.
        hosts: The allow list for links in responses.
        transport: Sends the requests.
        tokens: Provides access tokens.
    """

    def __init__(self, api_url: str, hosts: AllowedHosts, transport: Transport, tokens: TokenProvider) -> None:
        self._api_url = api_url.rstrip("/")
        self._hosts = hosts
        self._transport = transport
        self._tokens = tokens

    @property
    def clock(self) -> ServerClock:
        """The platform's clock, as the `Date` of its responses tells it."""
        return self._transport.clock

    @property
    def requests_sent(self) -> int:
        """Requests to the platform that have been sent over its connections."""
        return self._transport.sent

    def server_now(self) -> datetime:
        """The current time (UTC) by the platform's clock."""
        return self.clock.now()

    def checked_link(self, link: str) -> str:
        """The absolute form of a link from a response body.

        Raises:
            ConfigurationError: Its host is not allowed; nothing has been sent there.
        """
        return self._hosts.resolve(link, base=self._api_url)

    async def get(
        self,
        path: str,
        *,
        what: str,
        accept: str = V1_JSON,
        params: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Json:
        """Send a GET request and return its JSON object.

        Args:
            path: Path below the API's root.
            what: What is requested, for error messages.
            accept: Media type, which selects the version of the API.
            params: Query parameters.
            headers: Headers besides `Accept`.

        Raises:
            TransientError: The platform answers 202: the response is not ready yet (undocumented for GET; observed in
                itwin-unreal-plugin).
            ExportError: See `call`.
        """
        return (await self._get(path, what, accept, params, headers)).body

    async def _get(
        self, path: str, what: str, accept: str, params: Parameters | None, headers: Mapping[str, str] | None
    ) -> ApiResponse:
        answer = await self.call("GET", path, what=what, headers={"Accept": accept, **(headers or {})}, params=params)
        if answer.status == HTTPStatus.ACCEPTED:
            raise TransientError(f"{what}: the iTwin Platform is still preparing the response (202). Try again later.")
        return answer

    async def post(
        self,
        path: str,
        body: Json,
        *,
        what: str,
        accept: str = V1_JSON,
        redirects: tuple[int, ...] = (),
        check: Precondition | None = None,
    ) -> ApiResponse:
        """POST a JSON object; `redirects` and `check` as in `call`."""
        headers = {"Accept": accept}
        return await self.call("POST", path, what=what, headers=headers, json=body, redirects=redirects, check=check)

    async def call(
        self,
        method: str,
        path: str,
        *,
        what: str,
        headers: Mapping[str, str],
        params: Parameters | None = None,
        json: Json | None = None,
        redirects: tuple[int, ...] = (),
        check: Precondition | None = None,
    ) -> ApiResponse:
        """Send one authenticated request; after a 401 it is repeated once with a new token.

        Args:
            method: HTTP method.
            path: Path below the API's root.
            what: What is requested, for error messages.
            headers: Without `Authorization`.
            params: Query parameters.
            json: The body.
            redirects: Redirect statuses that are returned instead of raised.
            check: Called right before each sending; an exception it raises cancels the request.

        Raises:
            ExportError: The subclass that fits the status, see `error_from`.
        """
        token = await self._tokens.token()
        send = partial(self._send_signed, method, path, what, headers=headers, check=check, params=params, json=json)
        response = await send(token)
        if response.status_code == 401:
            response = await send(await self._tokens.token(rejected=token))
        if response.is_success or response.status_code in redirects:
            return self._read(response, what)
        raise error_from(response, what)

    async def _send_signed(
        self,
        method: str,
        path: str,
        what: str,
        token: str,
        *,
        headers: Mapping[str, str],
        check: Precondition | None,
        **content: Any,
    ) -> httpx.Response:
        signed = {**headers, "Authorization": f"Bearer {token}"}
        request = httpx.Request(method, f"{self._api_url}{path}", headers=signed, **content)
        return await self._transport.send(request, what=what, check=check)

    async def put_blob(self, link: str, content: bytes, *, what: str) -> None:
        """Write a block blob at a pre-signed link, without the bearer token.

        Raises:
            ConfigurationError: The link's host is not allowed; nothing has been sent there.
            ExportError: The subclass that fits the status, see `error_from`.
        """
        request = httpx.Request("PUT", self.checked_link(link), headers=BLOCK_BLOB, content=content)
        response = await self._transport.send_to_blob(request, what=what)
        if not response.is_success:
            raise error_from(response, what)

    async def items(
        self,
        path: str,
        member: str,
        *,
        what: str,
        page_size: int,
        accept: str = V1_JSON,
        params: Parameters | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Json]:
        """Iterate over all items of a paged list; each id is yielded once.

        Page URLs are built here instead of following `_links.next`: in the vendor's samples of list runs and list
        connections it lacks parameters or skips items
        (https://developer.bentley.com/apis/export/operations/get-export-connections/). The list ends with an empty
        page, with a page of known ids only, or when there is no next link and the page was not full.

        Args:
            path: Path below the API's root.
            member: Name of the list in the response.
            what: What is requested, for error messages.
            page_size: Items per request (`$top`).
            accept: Media type, which selects the version of the API.
            params: Further query parameters.
            headers: Headers besides `Accept`.

        Raises:
            ExportError: See `call`.
        """
        asked: dict[str, str | int] = {"$top": page_size, **(params or {})}
        items = ListedItems(what)
        while True:
            answer = await self._get(path, what, accept, asked, headers)
            listed = list_of_objects(answer.body, member, what)
            found = items.add(listed, answer.size)
            for item in found:
                yield item
            if not found or is_last(answer.body, len(listed), page_size):
                return
            asked = {**asked, **next_position(answer.body, items.count)}

    def _read(self, response: httpx.Response, what: str) -> ApiResponse:
        location = response.headers.get("Location")
        if location:
            location = self._hosts.resolve(location, base=str(response.request.url))
        return ApiResponse(response.status_code, json_object(response, what), location, len(response.content))


def model_from(kind: type[Model], value: object, what: str) -> Model:
    """Validate a value as a model.

    Raises:
        TransientError: It does not match the documented shape; a later response may.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        missing = ", ".join(
            ".".join(str(part) for part in fault["loc"]) or "the whole object" for fault in error.errors()
        )
        raise TransientError(
            f"{what}: the iTwin Platform answered without a usable {kind.__name__} ({missing})."
        ) from None


def list_of_objects(page: Json, member: str, what: str) -> list[Json]:
    """The objects of a list member; items that are no objects are ignored.

    Raises:
        TransientError: The member is missing or not a list.
    """
    found: object = page.get(member)
    if not isinstance(found, list):
        raise TransientError(f"{what}: the iTwin Platform answered without the list “{member}”.")
    return [cast("Json", item) for item in cast("list[object]", found) if isinstance(item, dict)]
