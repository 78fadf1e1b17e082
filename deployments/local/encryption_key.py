"""The key that Prefect encrypts blocks with, kept outside the database: who copies the one cannot read the other."""

import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from blocks.disk import write_whole

VARIABLE = "PREFECT_SERVER_ENCRYPTION_KEY"
_IN_DATABASE = "ENCRYPTION_KEY"


class EncryptionKeyMiddleware:
    """Gives the server the key of a file; once its database is ready, takes a key of former days out of that.

    Args:
        app: Prefect's server.
        file: Made with a new key where it is absent; its owner may read it. The environment's key goes before it.
    """

    def __init__(self, app: ASGIApp, file: Path) -> None:
        self._app = app
        if VARIABLE not in os.environ:
            os.environ[VARIABLE] = _kept_key(file)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of the ASGI server, or its start."""

        async def send_when_ready(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await _empty_database_of_keys(Fernet(os.environ[VARIABLE]))
            await send(message)

        await self._app(scope, receive, send_when_ready if scope["type"] == "lifespan" else send)


def _kept_key(file: Path) -> str:
    if not file.exists():
        write_whole(file, Fernet.generate_key(), private=True)
    return file.read_text()


async def _empty_database_of_keys(key: Fernet) -> None:
    """Encrypt anew whatever was encrypted with the key in the database, and delete that."""
    from prefect.server.database import provide_database_interface  # noqa: PLC0415  after the environment is set
    from prefect.server.models.configuration import delete_configuration, read_configuration  # noqa: PLC0415
    from sqlalchemy import select  # noqa: PLC0415

    database = provide_database_interface()
    async with database.session_context(begin_transaction=True) as session:
        former = await read_configuration(session, _IN_DATABASE)
        if former is None:
            return
        for document in await session.scalars(select(database.BlockDocument)):
            document.data = _encrypted_anew(document.data, Fernet(former.value["fernet_key"]), key)
        await delete_configuration(session, _IN_DATABASE)


def _encrypted_anew(data: Any, former: Fernet, key: Fernet) -> Any:
    try:
        return key.encrypt(former.decrypt(data)).decode()
    except (InvalidToken, TypeError):  # already encrypted with the new key, or not at all
        return data
