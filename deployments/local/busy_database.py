"""A request that found the database busy is tried again by the server: Prefect's UI would show it as an error."""

import asyncio
import random
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TRIES = 30
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.02, 1.0


class BusyDatabaseMiddleware:
    """Repeats a request that Prefect answers with 503, one such request at a time.

    Prefect begins most transactions as readers. SQLite refuses such a one at its first write when another has written
    since (https://www.sqlite.org/rescode.html#busy_snapshot); Prefect has rolled it back when it answers. Its own
    clients try again, a browser does not.

    Args:
        app: Prefect's server.
        first_pause: Seconds before the second try; each further pause is twice as long, at most one second, less up to
            a half by chance.
    """

    def __init__(self, app: ASGIApp, first_pause: float = FIRST_PAUSE_SECONDS) -> None:
        self._app = app
        self._first_pause = first_pause
        self._one_at_a_time = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of the ASGI server, or its start."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _RepeatedBody(receive)
        if await self._answered(scope, body, send):
            return
        async with self._one_at_a_time:
            for tried in range(TRIES - 2):
                await asyncio.sleep(self._pause(tried))
                body.rewind()
                if await self._answered(scope, body, send):
                    return
        body.rewind()
        await self._app(scope, body, send)

    def _pause(self, tried: int) -> float:
        longest = min(self._first_pause * 2**tried, LONGEST_PAUSE_SECONDS)
        return longest * random.uniform(0.5, 1)  # noqa: S311  no secret

    async def _answered(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Whether the server answered with anything but 503, which is kept from the client."""
        is_refused = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal is_refused
            if message["type"] == "http.response.start":
                is_refused = message["status"] == HTTPStatus.SERVICE_UNAVAILABLE
            if not is_refused:
                await send(message)

        try:
            await self._app(dict(scope), receive, send_unless_refused)
        except Exception:
            if not is_refused:  # Starlette raises what a handler of all exceptions has answered, too
                raise
        return not is_refused


class _RepeatedBody:
    """What a client sends, as often as it is asked for."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: list[Message] = []
        self._given = 0

    async def __call__(self) -> Message:
        if self._given == len(self._kept):
            self._kept.append(await self._receive())
        self._given += 1
        return self._kept[self._given - 1]

    def rewind(self) -> None:
        """Give everything from the beginning again."""
        self._given = 0
