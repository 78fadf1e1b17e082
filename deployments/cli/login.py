"""`itwin-export login`: sign in once in a browser; runs as that user work from then on."""

import sys
from typing import Annotated

from cyclopts import Parameter
from prefect.blocks.core import Block
from pydantic import SecretStr, ValidationError

from blocks.errors import ConfigurationError
from blocks.itwin.auth.sign_in import sign_in
from blocks.itwin.credentials import ItwinCredentials
from blocks.prefect_server.errors import prefect_errors
from blocks.settings import read_settings
from deployments.cli.browser import notes, show_link
from deployments.cli.own_server import run_with_server


def login(
    *,
    block: str | None = None,
    browser: bool = True,
    timeout_seconds: float = 300,
    show_token: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Sign in with a browser and keep the refresh token, so that scheduled runs work as you.

    Args:
        block: Name of the iTwin Credentials block that keeps it; made from the environment if it does not exist.
            Without a block, the line for the environment is printed.
        browser: Open the browser; with --no-browser only the link is printed.
        timeout_seconds: Longest wait for the sign-in.
        show_token: Without a block: print the line even where standard output is no terminal.
    """
    if block is None and not show_token and not sys.stdout.isatty():
        raise ConfigurationError(
            "Standard output is not a terminal, so a refresh token printed there may end in a log. Name a block that "
            "keeps it (--block NAME), or insist (--show-token)."
        )
    run_with_server(_login(block, is_browser_wanted=browser, timeout_seconds=timeout_seconds))


async def _login(block: str | None, *, is_browser_wanted: bool, timeout_seconds: float) -> None:
    credentials = await _credentials(block)

    async def show(url: str) -> None:
        await show_link("Sign in", url, is_browser_wanted=is_browser_wanted)

    async def keep(token: str) -> None:
        if block is None:
            _print_for_environment(token)
        else:
            await _keep_in_block(credentials, block, token)

    async with credentials.get_token_endpoint() as endpoint:
        await sign_in(endpoint, credentials.redirect_url, show=show, keep=keep, timeout_seconds=timeout_seconds)


async def _credentials(block: str | None) -> ItwinCredentials:
    """The application to sign in to: the saved block's, or the environment's."""
    saved = await _saved(block) if block else None
    if saved is None:
        settings = read_settings().model_copy(update={"authentication_type": "User"})
        return ItwinCredentials.from_settings(settings)
    if saved.authentication_type != "User":
        raise ConfigurationError(f"The block “{block}” is for a Service, which needs no sign-in. Name another block.")
    return saved


async def _saved(name: str) -> ItwinCredentials | None:
    with prefect_errors(f"Read the block “{name}”"):
        try:
            return await ItwinCredentials.aload(name)
        except ValidationError as error:
            fault = error.errors(include_input=False)[0]["msg"]
            raise ConfigurationError(f"The block “{name}” is not usable: {fault}.") from None
        except ValueError:  # Prefect's word for: there is none
            return None


async def _keep_in_block(credentials: ItwinCredentials, name: str, token: str) -> None:
    if (in_block := credentials.block_tokens) is not None:
        async with in_block.exclusively():
            await in_block.store(token)
    else:
        with prefect_errors(f"Save the block “{name}”"):
            await _save(credentials.model_copy(update={"refresh_token": SecretStr(token)}), name)
    notes.print(f"Signed in; the block “{name}” keeps the refresh token. Use it: --credentials {name}", markup=False)


async def _save(block: Block, name: str) -> None:
    try:
        await block.asave(name)
    except ValueError as error:
        raise ConfigurationError(f"The block “{name}” cannot be saved: {error}") from None


def _print_for_environment(token: str) -> None:
    notes.print("Signed in. Keep this line in the environment or in a private .env, and tell nobody:", markup=False)
    sys.stdout.write(f"ITWIN_AUTHENTICATION_TYPE=User\nITWIN_REFRESH_TOKEN={token}\n")
