"""How the platform answers: the error envelope, paging, links."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from starlette.requests import Request
from starlette.responses import JSONResponse

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.tokens import Grant

JSON = dict[str, Any]
Item = TypeVar("Item")
LARGEST_PAGE = 1000


@dataclass(frozen=True)
class Detail:
    """One entry of an error's `details`."""

    code: str
    message: str
    target: str | None = None


class RefusedError(Exception):
    """An answer in the platform's error envelope."""

    def __init__(
        self, status: int, code: str, message: str, *details: Detail, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers


def invalid(code: str, target: str, message: str = "") -> RefusedError:
    """422 for one unacceptable value."""
    text = message or f"{target} is not acceptable."
    return RefusedError(422, code, "Request rejected.", Detail("InvalidValue", text, target))


def missing(code: str, target: str, kind: str = "MissingRequiredParameter") -> RefusedError:
    """422 for a missing parameter or property."""
    return RefusedError(422, code, "Request rejected.", Detail(kind, f"{target} is missing.", target))


def forbidden() -> RefusedError:
    """403 as documented."""
    return RefusedError(403, "InsufficientPermissions", "Permission missing.")


def envelope(code: str, message: str, details: Sequence[Detail] = ()) -> JSON:
    """The body of an error answer."""
    error: JSON = {"code": code, "message": message}
    if details:
        error["details"] = [
            {"code": d.code, "message": d.message} | ({"target": d.target} if d.target else {}) for d in details
        ]
    return {"error": error}


def answer_refusal(_request: Request, refusal: Exception) -> JSONResponse:
    """Turn a refusal into its answer."""
    refused = cast("RefusedError", refusal)
    body = envelope(refused.code, refused.message, refused.details)
    return JSONResponse(body, refused.status, headers=refused.headers)


def sandbox_of(request: Request) -> SandboxState:
    """The state behind this application."""
    return cast("SandboxState", request.app.state.sandbox)


def caller_of(request: Request) -> Grant:
    """The owner of the request's token; the middleware has checked it."""
    return cast("Grant", request.state.caller)


def base_url(request: Request) -> str:
    """Scheme and host as the caller wrote them, so that links work for the caller."""
    return f"{request.url.scheme}://{request.url.netloc}"


def check_access(request: Request, *ids: str) -> None:
    """403 when the caller was denied one of these, or has a share key for something else."""
    if not may_read(request, *ids):
        raise forbidden()


def may_read(request: Request, *ids: str) -> bool:
    """False when the caller was denied one of these, or has a share key for something else."""
    shared = caller_of(request).itwin_id
    return not sandbox_of(request).denied.intersection(ids) and (shared is None or shared in ids)


async def read_body(request: Request, code: str) -> JSON:
    """The JSON object that came in."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        detail = Detail("InvalidRequestBody", "Body is not valid JSON.")
        raise RefusedError(422, code, "Request rejected.", detail)
    return cast("JSON", body)


@dataclass(frozen=True)
class Page:
    """The part of a list that was asked for."""

    skip: int
    top: int

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """That part."""
        return items[self.skip : self.skip + self.top]


def whole_number(
    request: Request, name: str, refuse: Callable[[str], RefusedError], *, default: int, least: int, most: int
) -> int:
    """A number from the query."""
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text[:10]) <= most):
        raise refuse(name)
    return int(text)


def read_page(request: Request, default: int, refuse: Callable[[str], RefusedError], most: int = LARGEST_PAGE) -> Page:
    """`$skip` and `$top`."""
    top = whole_number(request, "$top", refuse, default=default, least=1, most=most)
    return Page(whole_number(request, "$skip", refuse, default=0, least=0, most=2**31), top)


def page_links(page: Page, total: int, link: Callable[[int, int], str]) -> JSON:
    """`self`, and `prev` and `next` where there are such pages; iModels writes null instead of leaving them out."""
    links = {"self": {"href": link(page.skip, page.top)}}
    if page.skip > 0:
        links["prev"] = {"href": link(max(0, page.skip - page.top), page.top)}
    if page.skip + page.top < total:
        links["next"] = {"href": link(page.skip + page.top, page.top)}
    return links


def wants_representation(request: Request) -> bool:
    """True when the caller prefers the long form."""
    return "return=representation" in _preference(request)


def wants_minimal(request: Request) -> bool:
    """True when the caller prefers the short form."""
    return "return=minimal" in _preference(request)


def _preference(request: Request) -> str:
    return request.headers.get("prefer", "").replace(" ", "").lower()
