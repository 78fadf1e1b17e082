"""A user's refresh token in a saved `iTwin Credentials` block, spent by one process at a time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate

from blocks.errors import DiskError, ExportError, SignInRequiredError
from blocks.prefect_server.errors import prefect_errors
from blocks.prefect_server.lease import Hold, Lease

FIELD = "refresh_token"


class SuccessorStore(Protocol):
    """Where a refresh token waits until the block holds it."""

    @property
    def path(self) -> Path:
        """The file it waits in, for messages."""
        ...

    def successor_of(self, token: str) -> str | None:
        """The newest token that descends from this one; none if none is known."""
        ...

    def keep(self, token: str, newest: str) -> None:
        """Keep the newest descendant of a token."""
        ...

    def forget(self) -> None:
        """Remove what is kept."""
        ...


class BlockTokens:
    """The refresh token of one block document.

    A new token is written to a private file first and to the block then, so that a process that ends in between, or a
    Prefect server that is away, costs nobody the sign-in: the next run on this machine goes on from the file. It stays
    there until a renewal finds the block in order: what a process that stood still, or a server that did, writes to the
    block late is a token that was spent meanwhile, and the file tells its successor.

    Args:
        document_id: The saved block.
        name: Its name, for people.
        file: Where a token waits until the block holds it.
    """

    def __init__(self, document_id: UUID, name: str, file: SuccessorStore) -> None:
        self._document_id = document_id
        self._name = name
        self._file = file
        self._lease = Lease(f"itwin_export_sign_in_{document_id.hex}")
        self._hold: Hold | None = None
        self._in_block = ""

    @property
    def sign_in(self) -> str:
        """What a person does when no refresh token is accepted any more."""
        return f"Sign in again: itwin-export login --block {self._name}"

    @asynccontextmanager
    async def exclusively(self) -> AsyncGenerator[None]:
        """Keep every other process that shares the Prefect server from spending the token meanwhile."""
        async with self._lease.held() as self._hold:
            yield

    async def load(self) -> str:
        """The newest token: the block's, or its successor that did not reach the block.

        Raises:
            SignInRequiredError: The block holds none.
            ConfigurationError: The block is gone.
        """
        token = await self._read()
        if not token:
            raise SignInRequiredError(f"Nobody is signed in with the block “{self._name}”. {self.sign_in}")
        self._in_block = token
        if self._hold is not None:
            await self._hold.check()
        return self._file.successor_of(token) or token

    async def replace(self, used: str, new: str) -> None:
        """Put the new token into the block, and only that: other fields may be edited meanwhile.

        Raises:
            ExportError: The block does not take it; the message says where the token is now.
        """
        waits_in_file = self._wait_in_file(used, new)
        try:
            await self._put(new)
        except ExportError as error:
            where = (
                f"It waits in {self._file.path}: only runs on this machine can sign in until the block takes it."
                if waits_in_file
                else f"It could not be kept on this machine either, so it is lost. {self.sign_in}"
            )
            raise type(error)(
                f"The new refresh token did not get into the block “{self._name}”. {where} {error}"
            ) from None
        in_order = used == self._in_block and not (self._hold and self._hold.taken_over)
        if in_order and self._file.successor_of(used) == new:
            self._file.forget()

    async def store(self, new: str) -> None:
        """Put the token of a new sign-in into the block; nothing waits in the file any longer."""
        await self._put(new)
        self._file.forget()

    async def _put(self, new: str) -> None:
        update = BlockDocumentUpdate(data={FIELD: new}, merge_existing_data=True)
        with prefect_errors(f"Store the refresh token in the block “{self._name}”"):
            async with get_client() as client:
                await client.update_block_document(self._document_id, update)

    def _wait_in_file(self, used: str, new: str) -> bool:
        try:
            self._file.keep(used, new)
        except DiskError:
            return False
        return True

    async def _read(self) -> str:
        with prefect_errors(f"Read the block “{self._name}”"):
            async with get_client() as client:
                document = await client.read_block_document(self._document_id, include_secrets=True)
        return str(cast("dict[str, object]", document.data).get(FIELD) or "")
