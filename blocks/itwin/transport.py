"""HTTP transport: rate-limits requests to the platform and maps failures to `ExportError`."""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

import httpx

from blocks.bounds import ANSWER_SECONDS, LONGEST_ID
from blocks.errors import (
    ConflictError,
    ExportError,
    ForeignDataError,
    NotAuthorizedError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    SignInRequiredError,
    TransientError,
    without_secrets,
)
from blocks.foreign_data import Json, read_json_object
from blocks.itwin.answer_body import ACCEPT_ENCODING, read_answer
from blocks.itwin.rate_limit import Limiter
from blocks.itwin.routed_transport import RoutedTransport
from blocks.itwin.server_clock import ServerClock
from blocks.network import certificate_fault, refused_by_proxy, untrusted, via
from blocks.shown_text import shown
from blocks.telemetry import span
from blocks.timestamps import parse_http_date, parse_retry_after
from blocks.urls import host_of

API_TIMEOUT = httpx.Timeout(30, connect=10, pool=None)
API_LIMITS = httpx.Limits(max_connections=32, max_keepalive_connections=16, keepalive_expiry=30)
LONGEST_PAUSE_SECONDS = 24 * 3600.0
"""A longer pause (more than a daily quota needs) is an error; most exports reach their deadline before."""
ANNOUNCED_SECONDS = 10.0
BUDGET_HINT = (
    "The Community tier allows 500 requests a minute and 5,000 an hour: set ITWIN_REQUESTS_PER_MINUTE and "
    "ITWIN_REQUESTS_PER_HOUR to what your tier allows."
)
"""Vendor page: https://developer.bentley.com/apis/overview/rate-limits"""
DEFAULT_PAUSE_SECONDS = 5.0
USER_AGENT = "itwin-export"
MAX_RATE_LIMIT_RETRIES = 6  # 429 responses in a row before a request fails

Precondition = Callable[[], None]
"""Called right before each sending of a request, after any wait; an exception it raises cancels the request."""


log = logging.getLogger("prefect.itwin")


class Transport:
    """Sends rate-limited requests and maps failures to `ExportError`.

    Args:
        limiter: The rate limiter, shared with other transports.
        http_transport: Replaces the network in tests.
        clock: The platform's clock; it learns the time from the responses.
        answer_seconds: Time limit of one request with its answer, however the bytes come.
    """

    def __init__(
        self,
        limiter: Limiter,
        *,
        http_transport: httpx.AsyncBaseTransport | None = None,
        clock: ServerClock | None = None,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._limiter = limiter
        self._http = httpx.AsyncClient(
            timeout=API_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
            transport=http_transport or RoutedTransport(API_LIMITS),
        )
        self._answer_seconds = answer_seconds
        self.clock = clock or ServerClock()
        self.sent = 0

    async def send(self, request: httpx.Request, *, what: str, check: Precondition | None = None) -> httpx.Response:
        """Send a request; a 429 is repeated after the `Retry-After` it names, or 5 seconds.

        Returns:
            The response, whatever its status but 429.

        Raises:
            TransientError: No whole response in time, one that is too long, or the host cannot be reached.
            RateLimitedError: `MAX_RATE_LIMIT_RETRIES` 429 responses in a row, or a pause over `LONGEST_PAUSE_SECONDS`.
            ConfigurationError: The certificate is not trusted, or the proxy refuses the connection.
        """
        attempts = 0
        while True:
            await self._limiter.admit()
            if check:
                check()
            self.sent += 1
            response = await self._send_once(request, what)
            self.clock.note(parse_http_date(response.headers.get("Date")))
            if response.status_code != 429:
                return response
            attempts += 1
            asked_for = parse_retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
            pause = asked_for or DEFAULT_PAUSE_SECONDS
            if attempts == MAX_RATE_LIMIT_RETRIES or pause > LONGEST_PAUSE_SECONDS:
                raise error_from(response, what)
            self._pause(pause, response)

    async def send_to_blob(self, request: httpx.Request, *, what: str) -> httpx.Response:
        """Send a request to a blob host, outside of the platform's rate limit and clock.

        Raises:
            TransientError: No response within 30 seconds, or the host cannot be reached.
            ConfigurationError: The certificate is not trusted, or the proxy refuses the connection.
        """
        return await self._send_once(request, what)

    def _pause(self, seconds: float, response: httpx.Response) -> None:
        """Delay all requests of this process; a long pause is logged once."""
        if self._limiter.pause(seconds) and seconds >= ANNOUNCED_SECONDS:
            resumes_at = datetime.now().astimezone() + timedelta(seconds=seconds)
            log.warning(
                "The iTwin Platform asks for a pause of %.0f seconds (429%s); requests go on at %s. %s",
                seconds,
                _limited_operation(response),
                f"{resumes_at:%Y-%m-%d %H:%M:%S %Z}",
                BUDGET_HINT,
            )

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send_once(self, request: httpx.Request, what: str) -> httpx.Response:
        request.headers.setdefault("User-Agent", USER_AGENT)
        request.headers.setdefault("Accept-Encoding", ACCEPT_ENCODING)
        facts = {
            "http.request.method": request.method,
            "server.address": request.url.host,
            "url.path": request.url.path,
        }
        try:
            with span(request.method, **facts) as added:
                async with asyncio.timeout(self._answer_seconds):
                    response = await read_answer(await self._http.send(request, stream=True))
                added["http.response.status_code"] = response.status_code
                return response
        except (httpx.TimeoutException, TimeoutError):
            problem = "did not answer in time"
        except ForeignDataError as error:
            raise TransientError(
                f"{what}: the answer of {_origin(request.url)} cannot be read: {error}. Try again later. If it stays "
                f"so, check ITWIN_API_URL / ITWIN_ISSUER_URL."
            ) from None
        except httpx.HTTPError as error:
            raise_unless_transient(error, str(request.url))
            problem = f"could not be reached ({without_secrets(str(error)) or type(error).__name__})"
        raise TransientError(
            f"{what}: {_origin(request.url)} {problem}{via(str(request.url))}. Check the network and ITWIN_API_URL / "
            f"ITWIN_ISSUER_URL, then try again."
        )


def raise_unless_transient(error: httpx.HTTPError, url: str) -> None:
    """Raise for errors that retrying cannot fix.

    Raises:
        ConfigurationError: The certificate is not trusted, or the proxy refuses the connection.
    """
    if (reason := certificate_fault(error)) is not None:
        raise untrusted(host_of(url), reason) from None
    status = str(error)[:3]
    if isinstance(error, httpx.ProxyError) and status.isascii() and status.isdigit() and status < "500":
        raise refused_by_proxy(url, int(status)) from None


def error_from(response: httpx.Response, what: str) -> ExportError:  # noqa: PLR0911  one row per status
    """The `ExportError` for a response; the only place where platform statuses are mapped to errors."""
    status = response.status_code
    sentence = f"{what}: the iTwin Platform answered {status}{_error_text(response)}."
    match status:
        case 401:
            return SignInRequiredError(f"{sentence} Check the credentials; as a user, run: itwin-export login")
        case 403:
            return NotAuthorizedError(
                f"{sentence} Ask the iTwin's administrator to give this client or user a role with access to it."
            )
        case 404 | 405 | 410:
            return NotFoundError(f"{sentence} Check the id, and that this client or user may see it.")
        case 409:
            return ConflictError(f"{sentence} A concurrent request succeeded first; try again.")
        case 429:
            return RateLimitedError(
                f"{sentence} The rate limit is reached{_limited_operation(response)}: try again later. {BUDGET_HINT}"
            )
        case _ if status >= 500 or status in {408, 425}:
            return TransientError(f"{sentence} Try again later.")
        case _ if response.is_redirect:
            return TransientError(f"{sentence} A redirect was not expected here; check ITWIN_API_URL.")
        case _:
            return RequestRefusedError(f"{sentence} Correct the input.")


def _error_text(response: httpx.Response) -> str:
    envelope = _object_or_nothing(response)
    inner: object = envelope.get("error", envelope)
    parts = _parts_of_error(cast("Json", inner)) if isinstance(inner, dict) else [str(inner or "")]
    correlation = response.headers.get("x-correlation-id")
    if correlation:
        parts.append(f"correlation id {correlation}")
    text = shown(without_secrets(" · ".join(part for part in parts if part))).rstrip(".")
    return f" ({text})" if text else ""


def _parts_of_error(error: Json) -> list[str]:
    parts = [str(error.get("code") or ""), str(error.get("message") or "").rstrip(".")]
    details: object = error.get("details")
    for detail in cast("list[object]", details) if isinstance(details, list) else []:
        if isinstance(detail, dict):
            known = cast("Json", detail)
            target = f" {known['target']}" if known.get("target") else ""
            parts.append(f"{known.get('code') or ''}{target}: {str(known.get('message') or '').rstrip('.')}")
    return parts


def _limited_operation(response: httpx.Response) -> str:
    names = ("API", "Operation", "Tier")
    values = [shown(response.headers.get(f"ITwinPlatform-RateLimited-{name}", ""), LONGEST_ID) for name in names]
    return f", {' '.join(filter(None, values))}" if any(values) else ""


def json_object(response: httpx.Response, what: str) -> Json:
    """The JSON object of a response; empty without a body, and for a redirect or a 202 with another body.

    Raises:
        TransientError: Any other response has a body that is not a JSON object.
    """
    if not response.content:
        return {}
    if response.is_redirect or response.status_code == 202:
        return _object_or_nothing(response)
    try:
        return read_json_object(response.content)
    except ForeignDataError as error:
        raise TransientError(
            f"{what}: the iTwin Platform answered {response.status_code} with an unreadable body: {error}."
        ) from None


def _object_or_nothing(response: httpx.Response) -> Json:
    """The JSON object of an error, or of a redirect or a 202 where only Location is needed; empty for another body."""
    try:
        return read_json_object(response.content)
    except ForeignDataError:
        return {}


def _origin(url: httpx.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
