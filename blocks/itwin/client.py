"""The platform's API as one signed-in caller sees it.

It signs, signs in again once after a 401, turns pages, and reads redirects without following them. The bearer token
goes to the API's origin and nowhere else.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar, cast
from urllib.parse import parse_qs

import httpx
from pydantic import BaseModel, ValidationError

from blocks.errors import TransientError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.auth.access_tokens import TokenProvider
from blocks.itwin.transport import Json, Precondition, Transport, error_from, json_object

V1_JSON = "application/vnd.bentley.itwin-platform.v1+json"
V2_JSON = "application/vnd.bentley.itwin-platform.v2+json"
V1_OCTETS = "application/vnd.bentley.itwin-platform.v1+octet-stream"

Parameters = Mapping[str, str | int]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class ApiResponse:
    """What came back: the status, the JSON object (empty if there was none) and where Location leads."""

    status: int
    body: Json = field(default_factory=dict[str, Any])
    location: str | None = None


class ItwinClient:
    """The platform's API as one signed-in caller sees it.

    Args:
        api_url: Root of the API, for example `https://api.bentley.com`.
        hosts: Where links in answers may lead.
        transport: Sends the requests.
        tokens: Where access tokens come from.
    """

    def __init__(self, api_url: str, hosts: AllowedHosts, transport: Transport, tokens: TokenProvider) -> None:
        self._api_url = api_url.rstrip("/")
        self._hosts = hosts
        self._transport = transport
        self._tokens = tokens

    def server_now(self) -> datetime:
        """The time by the platform's clock."""
        return self._transport.server_now()

    def checked_link(self, link: str) -> str:
        """A link from the body of an answer, absolute, if its host is allowed.

        Raises:
            ConfigurationError: It is not; nothing has been sent there.
        """
        return self._hosts.resolve(link, base=self._api_url)

    async def get(
        self, path: str, *, what: str, accept: str = V1_JSON, params: Parameters | None = None, prefer: str = ""
    ) -> Json:
        """Read a JSON object.

        Raises:
            TransientError: The platform answers 202: it is still preparing the answer.
        """
        headers = {"Accept": accept, **({"Prefer": prefer} if prefer else {})}
        answer = await self.call("GET", path, what=what, headers=headers, params=params)
        if answer.status == HTTPStatus.ACCEPTED:
            raise TransientError(f"{what}: the iTwin Platform is still preparing the answer (202). Ask again soon.")
        return answer.body

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
        """Send a JSON object; statuses in `redirects` are answers like any other."""
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
        """One call, signed; signed in again once if the platform refuses the token.

        Raises:
            ExportError: One of the family, by what the caller does next.
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

    async def items(
        self,
        path: str,
        member: str,
        *,
        what: str,
        page_size: int,
        accept: str = V1_JSON,
        params: Parameters | None = None,
        prefer: str = "",
    ) -> AsyncIterator[Json]:
        """Every item of a paged list.

        Page addresses are built here: published samples of `next` lack parameters or jump. The list ends with an
        empty page, with a page that brings nothing new, or where the platform names no next page and the last one
        was not full.
        """
        asked: dict[str, str | int] = {"$top": page_size, **(params or {})}
        seen: set[str] = set()
        count = 0
        while True:
            page = await self.get(path, what=what, accept=accept, params=asked, prefer=prefer)
            listed = list_of_objects(page, member, what)
            found = [item for item in listed if str(item.get("id")) not in seen]
            for item in found:
                seen.add(str(item.get("id")))
                yield item
            count += len(found)
            if not found or _is_last(page, len(listed), page_size):
                return
            asked = {**asked, **_next_position(page, count)}

    def _read(self, response: httpx.Response, what: str) -> ApiResponse:
        location = response.headers.get("Location")
        if location:
            location = self._hosts.resolve(location, base=str(response.request.url))
        return ApiResponse(response.status_code, json_object(response, what), location)


def model_from(kind: type[Model], value: object, what: str) -> Model:
    """The value as a model.

    Raises:
        TransientError: It is not what the platform documents; the next answer may be.
    """
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        missing = ", ".join(".".join(str(part) for part in fault["loc"]) or "the whole" for fault in error.errors())
        raise TransientError(
            f"{what}: the iTwin Platform answered without a usable {kind.__name__} ({missing})."
        ) from None


def list_of_objects(page: Json, member: str, what: str) -> list[Json]:
    """The objects of a list member.

    Raises:
        TransientError: There is no such list.
    """
    found: object = page.get(member)
    if not isinstance(found, list):
        raise TransientError(f"{what}: the iTwin Platform answered without the list “{member}”.")
    return [cast("Json", item) for item in cast("list[object]", found) if isinstance(item, dict)]


def _next_link(page: Json) -> str:
    links: object = page.get("_links")
    following: object = cast("Json", links).get("next") if isinstance(links, dict) else None
    return str(cast("Json", following).get("href") or "") if isinstance(following, dict) else ""


def _is_last(page: Json, listed: int, page_size: int) -> bool:
    return isinstance(page.get("_links"), dict) and not _next_link(page) and listed < page_size


def _next_position(page: Json, count: int) -> dict[str, str | int]:
    query = _next_link(page).partition("?")[2].partition("#")[0]
    token = parse_qs(query).get("$continuationToken")
    return {"$continuationToken": token[0]} if token else {"$skip": count}
