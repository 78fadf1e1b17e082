"""Links a person has to open: printed always, opened where there is a browser."""

import asyncio
import webbrowser

from rich.console import Console

from blocks.shown_text import without_controls

notes = Console(stderr=True, soft_wrap=True, highlight=False)


async def show_link(what: str, url: str, *, is_browser_wanted: bool = True) -> None:
    """Print the link, and open it where there is a browser."""
    notes.print(f"{what}: {without_controls(url)}", markup=False)
    if is_browser_wanted and not await asyncio.to_thread(webbrowser.open, url):
        notes.print("No browser could be opened here; open the link yourself.", markup=False)
