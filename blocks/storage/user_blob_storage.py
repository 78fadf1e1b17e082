"""The `User Blob Storage` block: an Azure container of the user that receives the exports."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from azure.core.exceptions import AzureError, ResourceExistsError
from azure.identity import DefaultAzureCredential
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, UserDelegationKey, generate_blob_sas
from prefect.blocks.core import Block
from pydantic import Field, SecretStr, field_validator, model_validator

from blocks.errors import ConfigurationError
from blocks.known_secrets import remember_secret
from blocks.setting_text import unquoted_value
from blocks.settings import Settings
from blocks.signed_url import SignedUrl
from blocks.storage.azure_transport import RoutedRequestsTransport, azure_reason
from blocks.storage.container_check import NoContainerError, check_link, check_writable
from blocks.storage.sas_check import SasLink, check_distinct

CLOCK_SKEW = timedelta(minutes=15)
STORAGE_SCOPE = "https://storage.azure.com/.default"
PROBE = ".itwin-export-check"
"""Blob name used in the access check before a run; it is never written."""
_WRITE_ONLY = BlobSasPermissions(create=True, write=True)


@dataclass(frozen=True)
class BlobTarget:
    """SAS URLs that one run writes to; they must not appear in parameters, results or logs."""

    output: SignedUrl
    logs: SignedUrl | None


class UserBlobStorage(Block):
    """Your own Azure container for exports: the platform writes the file there and this project fetches it.

    Example:
        Load a saved container:
        ```python
        from blocks.storage.user_blob_storage import UserBlobStorage

        storage = UserBlobStorage.load("BLOCK_NAME")
        ```
    """

    _block_type_name: ClassVar[str | None] = "User Blob Storage"
    _block_type_slug: ClassVar[str | None] = "user-blob-storage"
    _description: ClassVar[str | None] = (
        "Your own Azure container for exports: the platform writes the file there and this project fetches it."
    )
    _documentation_url: ClassVar[Any] = (
        "https://developer.bentley.com/apis/export/operations/create-export-connection-run/"
    )
    _logo_url: ClassVar[Any] = (
        "https://cdn.sanity.io/images/3ugk85nk/production/54e3fa7e00197a4fbd1d82ed62494cb58d08c96a-250x250.png"
    )

    connection_string: SecretStr | None = Field(
        default=None,
        title="Connection string",
        description="Connection string of the storage account; short-lived SAS links are made from it for each run.",
    )
    account_url: str | None = Field(
        default=None,
        title="Account address",
        description="Instead of a connection string: https://ACCOUNT.blob.core.windows.net, with Azure AD.",
    )
    container: str | None = Field(default=None, title="Container", description="Name of the container.")
    create_container: bool = Field(
        default=False,
        title="Create the container",
        description="Create the container where it does not exist; else a missing one is an error.",
    )
    prefix: str = Field(default="", title="Folder", description="Folder inside the container; empty for its root.")
    output_sas_url: SecretStr | None = Field(
        default=None,
        title="Output SAS link",
        description="Instead of an account: a ready-made SAS link of one blob, with read, create and write permission.",
    )
    logs_sas_url: SecretStr | None = Field(
        default=None, title="Log SAS link", description="A ready-made SAS link of the blob that takes the log."
    )
    mapping_file_sas_url: SecretStr | None = Field(
        default=None,
        title="Mapping file SAS link",
        description="A ready-made SAS link of a mapping file, with read permission; for exports that name none.",
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_quotes(cls, value: object) -> object:
        return unquoted_value(value)

    @model_validator(mode="after")
    def _one_way_is_complete(self) -> Self:
        if self.output_sas_url is None and not (self.container and (self.connection_string or self.account_url)):
            raise ValueError("give a connection string (or an account address) and a container, or an output SAS link")
        for secret in (self.connection_string, self.output_sas_url, self.logs_sas_url, self.mapping_file_sas_url):
            remember_secret(secret.get_secret_value() if secret else "")
        return self

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Create the block from environment variables.

        Raises:
            ConfigurationError: Variables are missing.
        """
        has_account = settings.blob_connection_string is not None and settings.blob_container
        if not has_account and settings.blob_output_sas_url is None:
            raise ConfigurationError(
                "USER_BLOB_STORAGE needs ITWIN_BLOB_CONNECTION_STRING and ITWIN_BLOB_CONTAINER, or "
                "ITWIN_BLOB_OUTPUT_SAS_URL, or a saved User Blob Storage block. None of them is set."
            )
        return cls(
            connection_string=settings.blob_connection_string,
            container=settings.blob_container,
            output_sas_url=settings.blob_output_sas_url,
            logs_sas_url=settings.blob_logs_sas_url,
        )

    @property
    def place(self) -> str:
        """URL of the target folder or blob without secrets; identifies the storage in run records."""
        if not self.has_account:
            return self._output.unsigned
        with self._service() as service:
            return f"{service.url.partition('?')[0].rstrip('/')}/{self.container}/{self.prefix.strip('/')}"

    def check(self, *, until: datetime, save_logs: bool) -> None:
        """Check the block's own values until the deadline, without a request to the storage.

        Raises:
            ConfigurationError: No link can be made, or a ready-made one has the wrong target, times or permissions.
        """
        if self.ready_made_mapping is not None:
            SasLink("mapping file", self.ready_made_mapping, is_read=True, is_written=False).check(until)
        if self.has_account:
            self.output_for("check", until=until, save_logs=save_logs)
            return
        links = self._ready_made(save_logs=save_logs)
        for link in links:
            link.check(until)
        if len(links) > 1:
            check_distinct(*links)

    async def verify_access(self, *, until: datetime, save_logs: bool) -> None:
        """Check with requests to the storage that an export's files can be written and read, before a run is started.

        Creates a missing container if `create_container` is set; writes nothing else.

        Raises:
            ConfigurationError: The storage is unreachable or rejects the request, or the container does not exist.
            ThrottledError: The storage is overloaded or fails (408, 429 or 5xx).
        """
        if not self.has_account:
            for link in self._ready_made(save_logs=save_logs):
                if link.is_read or link.can_read:
                    await check_link(link)
            return
        url = await asyncio.to_thread(self._new_sas_url, PROBE, _WRITE_ONLY, until)
        try:
            await check_writable(url, self._advice)
        except NoContainerError:
            if not self.create_container:
                raise
            await asyncio.to_thread(self._create_container)
            await check_writable(url, self._advice)

    def output_for(self, blob_name: str, *, until: datetime, save_logs: bool) -> BlobTarget:
        """SAS URLs for the platform: ready-made ones, or new write-only ones that expire at `until`."""
        if not self.has_account:
            return BlobTarget(self._output, self._logs if save_logs else None)
        logs = self._new_sas_url(_log_name(blob_name), _WRITE_ONLY, until) if save_logs else None
        return BlobTarget(self._new_sas_url(blob_name, _WRITE_ONLY, until), logs)

    def link_to(self, blob_name: str, *, until: datetime) -> SignedUrl:
        """SAS URL to download the exported file: the ready-made one, or a new one that expires at `until`."""
        if not self.has_account:
            return self._output
        return self._new_sas_url(blob_name, BlobSasPermissions(read=True), until)

    def link_to_log(self, blob_name: str, *, until: datetime) -> SignedUrl | None:
        """SAS URL to download the exporter's log; None if a ready-made one has no read permission."""
        if self.has_account:
            return self._new_sas_url(_log_name(blob_name), BlobSasPermissions(read=True), until)
        url = self._logs
        return url if url is not None and SasLink("log", url, is_read=False).can_read else None

    @property
    def ready_made_mapping(self) -> SignedUrl | None:
        """The ready-made link of a mapping file."""
        return SignedUrl(self.mapping_file_sas_url.get_secret_value()) if self.mapping_file_sas_url else None

    @property
    def has_account(self) -> bool:
        """True if SAS URLs can be made; false if there are ready-made ones only."""
        return bool(self.container and (self.connection_string or self.account_url))

    @property
    def _output(self) -> SignedUrl:
        """The ready-made output link."""
        if self.output_sas_url is None:
            raise ConfigurationError("User Blob Storage: the output SAS link is missing.")
        return SignedUrl(self.output_sas_url.get_secret_value())

    @property
    def _logs(self) -> SignedUrl | None:
        """The ready-made log link."""
        return SignedUrl(self.logs_sas_url.get_secret_value()) if self.logs_sas_url else None

    def _ready_made(self, *, save_logs: bool) -> list[SasLink]:
        """The ready-made links used by an export."""
        links = [SasLink("output", self._output, is_read=True)]
        if save_logs and self._logs is not None:
            links.append(SasLink("log", self._logs, is_read=False))
        return links

    @property
    def _advice(self) -> str:
        if self.connection_string is not None:
            return "Check the AccountKey of the connection string, and the account's network rules."
        return "The identity needs the role Storage Blob Data Contributor there, and the network rules must admit it."

    def _create_container(self) -> None:
        try:
            with self._service() as service:
                service.get_container_client(str(self.container)).create_container()
        except ResourceExistsError:
            return  # a concurrent export created it
        except AzureError as error:
            raise self._unusable(error, f"container {self.container} does not exist and cannot be created") from None

    def _new_sas_url(self, blob_name: str, permission: BlobSasPermissions, until: datetime) -> SignedUrl:
        name = "/".join(part for part in (self.prefix.strip("/"), blob_name) if part)
        start, expiry = datetime.now(UTC) - CLOCK_SKEW, until
        try:
            with self._service() as service:
                key = None if self.connection_string else _delegation_key(service, start, expiry)
                blob = service.get_blob_client(str(self.container), name)
                query = generate_blob_sas(
                    account_name=str(service.account_name),
                    container_name=str(self.container),
                    blob_name=name,
                    account_key=None if key else _account_key(service),
                    user_delegation_key=key,
                    permission=permission,
                    start=start,
                    expiry=expiry,
                )
                return SignedUrl(f"{blob.url}?{query}")
        except (AzureError, ValueError, TypeError, KeyError) as error:
            raise self._unusable(error, f"no SAS link can be made for container {self.container}") from None

    def _unusable(self, error: Exception, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"User Blob Storage: {what} ({azure_reason(error)}). Check the connection string or account address."
        )

    def _service(self) -> BlobServiceClient:
        transport = RoutedRequestsTransport()
        if self.connection_string is not None:
            connection_string = self.connection_string.get_secret_value()
            return BlobServiceClient.from_connection_string(connection_string, transport=transport)
        credential = DefaultAzureCredential(transport=transport)
        return BlobServiceClient(str(self.account_url), credential=credential, transport=transport)


def _delegation_key(service: BlobServiceClient, start: datetime, expiry: datetime) -> UserDelegationKey:
    """A key that signs SAS links; signs in first, because the storage client retries that for a minute."""
    service.credential.get_token(STORAGE_SCOPE)
    return service.get_user_delegation_key(start, expiry)


def _account_key(service: BlobServiceClient) -> str:
    key = getattr(service.credential, "account_key", None)
    if not key:
        raise ValueError("the connection string holds no AccountKey")
    return str(key)


def _log_name(blob_name: str) -> str:
    return f"{blob_name}.log"
