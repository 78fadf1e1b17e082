"""A process that renews its access token again and again: refresher.py BLOCK TIMES."""

import asyncio
import sys
from contextlib import aclosing

from blocks.errors import TransientError
from blocks.itwin.auth.access_tokens import AccessTokens
from blocks.itwin.credentials import ItwinCredentials


async def renewed(tokens: AccessTokens, token: str | None) -> str:
    """Another token; a passing failure is tried again, as the decorators of the tasks do."""
    while True:
        try:
            return await tokens.token(rejected=token)
        except TransientError as error:
            sys.stdout.write(f"trying again: {error}\n")


async def main(block: str, times: int) -> None:
    """Say `ready`, then `renewed` after each renewal."""
    credentials = await ItwinCredentials.aload(block)
    async with aclosing(credentials.transport()) as transport:
        tokens = AccessTokens(credentials.identity, transport, credentials.hosts, credentials.refresh_tokens)
        sys.stdout.write("ready\n")
        token = None
        for _ in range(times):
            token = await renewed(tokens, token)
            sys.stdout.write("renewed\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
