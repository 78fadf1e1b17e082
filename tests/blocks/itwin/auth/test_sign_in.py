"""Sign-in of a user, with HTTP requests in place of a browser."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import aclosing
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError, ExportError, NotAuthorizedError, SignInRequiredError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.itwin.auth.redirect_server import RedirectServer
from blocks.itwin.auth.sign_in import sign_in
from blocks.itwin.auth.token_endpoint import Identity, TokenEndpoint
from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.transport import Transport
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.identity import IDENTITY, Client
from deployments.sandbox.state.options import Options

Browse = Callable[[httpx.AsyncClient, str], Awaitable[httpx.Response]]


@pytest.fixture(scope="module")
def willing() -> Generator[RunningSandbox]:
    """A sign-in service that grants every request without user input."""
    with running_sandbox(options=Options(auto_sign_in=True)) as running:
        yield running


@pytest.fixture
def redirect_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://localhost:{free.getsockname()[1]}/callback"


async def follow(browser: httpx.AsyncClient, link: str) -> httpx.Response:
    return await browser.get(link)


async def signed_in(
    sandbox: RunningSandbox,
    redirect_url: str,
    browse: Browse = follow,
    *,
    client: Client = IDENTITY.native,
    timeout_seconds: float = 60,
) -> tuple[list[str], httpx.Response | None, ExportError | None]:
    """The stored token, the browser's last page and the error of a sign-in."""
    secret = SecretStr(client.secret) if client.secret else None
    identity = Identity(issuer_url=sandbox.url, client_id=client.id, authentication_type="User", client_secret=secret)
    kept: list[str] = []
    async with (
        aclosing(Transport(RequestLimiter(60_000))) as transport,
        httpx.AsyncClient(follow_redirects=True, timeout=60) as browser,
    ):
        browsing: list[asyncio.Task[httpx.Response]] = []

        async def show(link: str) -> None:
            browsing.append(asyncio.ensure_future(browse(browser, link)))

        async def keep(token: str) -> None:
            kept.append(token)

        endpoint = TokenEndpoint(identity, transport, AllowedHosts(sandbox.url, sandbox.url))
        problem = None
        try:
            await sign_in(endpoint, redirect_url, show=show, keep=keep, timeout_seconds=timeout_seconds)
        except ExportError as error:
            problem = error
        pages = [await task for task in browsing]
    return kept, pages[0] if pages else None, problem


@pytest.mark.parametrize("client", [IDENTITY.native, IDENTITY.web], ids=["without a secret", "with a secret"])
async def test_a_sign_in_brings_a_refresh_token(willing: RunningSandbox, redirect_url: str, client: Client) -> None:
    """Applications with and without a secret get a refresh token that works, and the browser says so."""
    kept, page, problem = await signed_in(willing, redirect_url, client=client)
    assert problem is None
    assert [token in willing.state.tokens.refresh_tokens for token in kept] == [True]
    assert page is not None
    assert "You are signed in" in page.text
    assert kept[0] not in page.text


async def test_the_code_is_asked_for_with_pkce(willing: RunningSandbox, redirect_url: str) -> None:
    """The link carries an S256 challenge, a state and the scope that brings a refresh token."""
    links: list[str] = []

    async def look(browser: httpx.AsyncClient, link: str) -> httpx.Response:
        links.append(link)
        return await browser.get(link)

    for _ in range(2):
        await signed_in(willing, redirect_url, look)
    first, second = (parse_qs(urlsplit(link).query) for link in links)
    assert first["code_challenge_method"] == ["S256"]
    assert first["scope"] == ["itwin-platform offline_access"]
    assert first["state"] != second["state"]
    assert first["code_challenge"] != second["code_challenge"]


async def test_an_answer_with_another_state_is_sent_away(willing: RunningSandbox, redirect_url: str) -> None:
    """A callback with another state gets an error page, and the sign-in still succeeds."""
    foreign: list[httpx.Response] = []

    async def forge_first(browser: httpx.AsyncClient, link: str) -> httpx.Response:
        foreign.append(await browser.get(f"{redirect_url}?code=stolen&state=guessed"))
        foreign.append(await browser.get(f"{redirect_url}?code=stolen"))
        return await browser.get(link)

    kept, _, problem = await signed_in(willing, redirect_url, forge_first)
    assert [page.status_code for page in foreign] == [400, 400]
    assert problem is None
    assert len(kept) == 1


async def test_a_refusal_ends_with_a_sentence(willing: RunningSandbox, redirect_url: str) -> None:
    """If the user declines, the browser shows it and the command fails as not authorised."""

    async def refuse(browser: httpx.AsyncClient, link: str) -> httpx.Response:
        state = parse_qs(urlsplit(link).query)["state"][0]
        return await browser.get(f"{redirect_url}?error=access_denied&error_description=<b>No</b>&state={state}")

    kept, page, problem = await signed_in(willing, redirect_url, refuse)
    assert isinstance(problem, NotAuthorizedError)
    assert "refused" in str(problem)
    assert problem.exit_code == 3
    assert kept == []
    assert page is not None
    assert "You are not signed in" in page.text
    assert "<b>" not in page.text


async def test_a_code_that_is_not_accepted_ends_with_a_sentence(willing: RunningSandbox, redirect_url: str) -> None:
    """An invalid code ends the sign-in with an error, which the browser shows."""

    async def invent(browser: httpx.AsyncClient, link: str) -> httpx.Response:
        state = parse_qs(urlsplit(link).query)["state"][0]
        return await browser.get(f"{redirect_url}?code=invented&state={state}")

    kept, page, problem = await signed_in(willing, redirect_url, invent)
    assert isinstance(problem, SignInRequiredError)
    assert kept == []
    assert page is not None
    assert "You are not signed in" in page.text


async def test_nobody_coming_ends_with_a_sentence(willing: RunningSandbox, redirect_url: str) -> None:
    """Without a sign-in the wait times out as not authorised, and the error has the timeout."""

    async def look_away(browser: httpx.AsyncClient, link: str) -> httpx.Response:
        return await browser.get(f"{redirect_url.removesuffix('callback')}favicon.ico", params={"of": link[:4]})

    _, page, problem = await signed_in(willing, redirect_url, look_away, timeout_seconds=1)
    assert isinstance(problem, SignInRequiredError)
    assert "within 1 seconds" in str(problem)
    assert page is not None
    assert page.status_code == 404


async def test_a_port_in_use_is_named(willing: RunningSandbox) -> None:
    """A redirect address whose port is in use is a configuration error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _, _, problem = await signed_in(willing, f"http://localhost:{port}/callback")
    assert isinstance(problem, ConfigurationError)
    assert f"Port {port}" in str(problem)


@pytest.mark.parametrize(
    "address",
    [
        "https://localhost:3113/callback",
        "http://example.com:3113/",
        "http://0.0.0.0:3113/",
        "localhost",
        "http://127.0.0.1:99999/",
        "//[::1",
    ],
)
def test_only_this_machine_is_listened_on(address: str) -> None:
    """A redirect address that is not plain HTTP on loopback with a valid port is refused before a socket is opened."""
    with pytest.raises(ConfigurationError, match="ITWIN_REDIRECT_URL"):
        RedirectServer(address)


async def test_noise_at_the_door_is_survived(willing: RunningSandbox, redirect_url: str) -> None:
    """Idle connections and invalid requests do not block the browser's callback."""
    address = urlsplit(redirect_url)

    async def shout_first(browser: httpx.AsyncClient, link: str) -> httpx.Response:
        _, silent = await asyncio.open_connection("127.0.0.1", address.port)
        _, rude = await asyncio.open_connection("127.0.0.1", address.port)
        rude.write(b"\x16\x03\x01 nonsense\r\n\r\n")
        page = await browser.get(link)
        for writer in (silent, rude):
            writer.close()
            await writer.wait_closed()
        return page

    kept, _, problem = await signed_in(willing, redirect_url, shout_first)
    assert problem is None
    assert len(kept) == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /callback?state=s HTTP/1.1\r\nHost: ",
        b"GET /callback HTTP/1.1\r\nHost: " + b"a" * 40_000,
        b"POST /callback HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /callback HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01 nonsense\r\n\r\n",
    ],
    ids=["half a head", "too long a head", "another method", "without a host", "no HTTP"],
)
async def test_what_is_no_request_for_the_page_is_turned_away(redirect_url: str, sent: bytes) -> None:
    """A head that does not arrive in time, or is no valid GET, is answered with 404 and its connection closed."""
    async with RedirectServer(redirect_url, read_seconds=0.2):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(redirect_url).port)
        writer.write(sent)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")
