"""Transactions of the server's SQLite that write, one after the other: none is refused for what another one wrote."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import MODELS_DEPENDENCIES
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class OneWriterAtATime(AioSqliteConfiguration):
    """Prefect's SQLite, whose transactions wait for the right to write before they read.

    Prefect begins most of them as readers. SQLite refuses such a one at its first write when another has written since
    (https://www.sqlite.org/rescode.html#busy_snapshot), however long it may wait, and the server answers 503: Prefect's
    clients ask again, but its UI tells the person who submitted a flow run of an error.
    """

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction]:
        """Begin as a writer; sessions that are opened meanwhile begin as they would without this."""
        async with super().begin_transaction(session, with_for_update=True) as transaction:
            await session.connection()  # BEGIN is sent with the first use only
            if not with_for_update:
                SQLITE_BEGIN_MODE.set("DEFERRED")  # the surrounding context sets the former mode again
            yield transaction


def write_one_at_a_time(connection_url: str) -> None:
    """Set up the database of a server in this process; PostgreSQL needs none of it."""
    if make_url(connection_url).get_backend_name() == "sqlite":
        MODELS_DEPENDENCIES["database_config"] = OneWriterAtATime(connection_url=connection_url)
