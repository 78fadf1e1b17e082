"""The consent page of a run at the command line: opened in the user's browser."""

import asyncio
import contextlib

from blocks.errors import ConfigurationError
from blocks.itwin.auth.redirect_server import RedirectServer
from deployments.cli.browser import show_link


class ConsentPage:
    """Opens the consent page, and answers the browser when it returns from there.

    Made for one command; what it has begun ends with the event loop of the command, so that a browser which returns
    after the export has gone on still finds an answer.
    """

    def __init__(self) -> None:
        self._answers: set[asyncio.Task[None]] = set()  # asyncio itself keeps no reference to a task

    async def show(self, url: str, redirect_url: str) -> None:
        """Open the page and wait for the browser in the background."""
        answer = asyncio.create_task(_answer_browser(redirect_url))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        await show_link("Consent to exports", url)


async def _answer_browser(redirect_url: str) -> None:
    with contextlib.suppress(ConfigurationError):  # another program listens at the redirect address
        async with RedirectServer(redirect_url) as server:
            await server.serve_message(
                "Thank you", "Once the platform knows of your consent, the export goes on by itself."
            )
