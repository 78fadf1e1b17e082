"""Store of a user's refresh token in a saved `iTwin Credentials` block, used by one process at a time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import BlockDocumentUpdate

from blocks.errors import DiskError, ExportError, SignInRequiredError
from blocks.prefect_server.errors import prefect_errors
from blocks.prefect_server.lease import HeldLease, Lease

FIELD = "refresh_token"


class SuccessorStore(Protocol):
    """Local store of replaced tokens until the block document has been updated."""

    @property
    def path(self) -> Path:
        """The file, for messages."""
        ...

    def successor_of(self, token: str) -> str | None:
        """The newest replacement of a token; None if there is none."""
        ...

    def keep(self, token: str, newest: str) -> None:
        """Store the newest replacement of a token."""
        ...

    def forget(self) -> None:
        """Remove the file."""
        ...


class BlockTokens:
    """The refresh token of one block document.

    A new token is written to a private file first and then to the block. If the process ends in between, or the Prefect
    server is unreachable, the next run on this machine uses the file. The file is kept until a later renewal finds the
    block up to date: a delayed write of a suspended process or slow server may store a token in the block that was
    used meanwhile, and then the file has its replacement.

    Args:
        document_id: Id of the block document.
        name: Name of the block, for messages.
        file: Stores new tokens until the block has them.
    """

    def __init__(self, document_id: UUID, name: str, file: SuccessorStore) -> None:
        self._document_id = document_id
        self._name = name
        self._file = file
        self._lease = Lease(f"itwin_export_sign_in_{document_id.hex}")
        self._held: HeldLease | None = None
        self._in_block = ""

    @property
    def sign_in(self) -> str:
        """Tells the user how to sign in again when no refresh token is accepted."""
        return f"Sign in again: itwin-export login --block {self._name}"

    @asynccontextmanager
    async def exclusively(self) -> AsyncGenerator[None]:
        """Prevent all processes that share the Prefect server from using the token until the context ends.

        Raises:
            TransientError: The lease was not free in time, or the Prefect API cannot be reached.
        """
        async with self._lease.held() as self._held:
            yield

    async def load(self) -> str:
        """Read the newest token: the block's, or its replacement that was not stored in the block.

        Raises:
            SignInRequiredError: The block has no token.
            ConfigurationError: The block does not exist.
            TransientError: The lease was lost, or the Prefect API gives no usable response.
        """
        token = await self._read()
        if not token:
            raise SignInRequiredError(f"Nobody is signed in with the block “{self._name}”. {self.sign_in}")
        self._in_block = token
        if self._held is not None:
            await self._held.check()
        return self._file.successor_of(token) or token

    async def replace(self, used: str, new: str) -> None:
        """Store the new token in the block, leaving its other fields as they are.

        Raises:
            ExportError: The block could not be updated; the message says where the token is stored.
        """
        is_in_file = self._store_in_file(used, new)
        try:
            await self._update_block(new)
        except ExportError as error:
            where = (
                f"It is stored in {self._file.path}: only runs on this machine can sign in until the block is updated."
                if is_in_file
                else f"It could not be stored on this machine either, so it is lost. {self.sign_in}"
            )
            raise type(error)(
                f"The new refresh token could not be stored in the block “{self._name}”. {where} {error}"
            ) from None
        is_up_to_date = used == self._in_block and not (self._held and self._held.taken_over)
        if is_up_to_date and self._file.successor_of(used) == new:
            self._file.forget()

    async def store(self, new: str) -> None:
        """Store the token of a new sign-in in the block and remove the file."""
        await self._update_block(new)
        self._file.forget()

    async def _update_block(self, new: str) -> None:
        update = BlockDocumentUpdate(data={FIELD: new}, merge_existing_data=True)
        with prefect_errors(f"Store the refresh token in the block “{self._name}”"):
            async with get_client() as client:
                await client.update_block_document(self._document_id, update)

    def _store_in_file(self, used: str, new: str) -> bool:
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
