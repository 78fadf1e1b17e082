"""A run at the command line that waits for consent: its person sits right here."""

import asyncio
import contextlib

from blocks.errors import ConfigurationError
from blocks.itwin.auth.redirect_server import RedirectServer
from deployments.cli.browser import show_link

_greeters: set[asyncio.Task[None]] = set()


async def show_consent(url: str, redirect_url: str) -> None:
    """Open the consent page, and greet the browser when it returns from there."""
    greeter = asyncio.create_task(_greet(redirect_url))  # ends with the command
    _greeters.add(greeter)
    greeter.add_done_callback(_greeters.discard)
    await show_link("Consent to exports", url)


async def _greet(redirect_url: str) -> None:
    with contextlib.suppress(ConfigurationError):  # nobody is greeted where the address is not ours
        async with RedirectServer(redirect_url) as server:
            await server.serve_message(
                "Thank you", "Once the platform knows of your consent, the export goes on by itself."
            )
