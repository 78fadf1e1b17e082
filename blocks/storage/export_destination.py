"""The `Export Destination` block: an object store that exports are published to."""

from typing import Any, ClassVar, Self

from prefect.blocks.core import Block
from pydantic import Field, SecretStr, field_validator, model_validator

from blocks.errors import InputError
from blocks.known_secrets import remember_secret
from blocks.setting_text import unquoted_value
from blocks.settings import revealed
from blocks.storage.destination.address import is_store_address, parse_address
from blocks.storage.destination.store_access import StoreAccess


class ExportDestination(Block):
    """Where exports are published: a folder, or a container or bucket of Azure, S3 or Google Cloud.

    Example:
        Load a saved destination:
        ```python
        from blocks.storage.export_destination import ExportDestination

        destination = ExportDestination.load("BLOCK_NAME")
        ```
    """

    _block_type_name: ClassVar[str | None] = "Export Destination"
    _block_type_slug: ClassVar[str | None] = "export-destination"
    _description: ClassVar[str | None] = (
        "Where exports are published: a folder, or a container or bucket of Azure, S3 or Google Cloud."
    )
    _documentation_url: ClassVar[Any] = "https://docs.rs/object_store/latest/object_store/"
    _logo_url: ClassVar[Any] = (
        "https://cdn.sanity.io/images/3ugk85nk/production/54e3fa7e00197a4fbd1d82ed62494cb58d08c96a-250x250.png"
    )

    url: str = Field(
        default="",
        title="Address",
        description="az://CONTAINER/PREFIX, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or a folder; runs may name another.",
    )
    connection_string: SecretStr | None = Field(
        default=None, title="Connection string", description="Azure: connection string of the storage account."
    )
    account_key: SecretStr | None = Field(
        default=None, title="Account key", description="Azure: a key of the account, for an address that names it."
    )
    sas_token: SecretStr | None = Field(
        default=None,
        title="SAS",
        description="Azure: a SAS of the container, with permission to read, list, write and delete.",
    )
    access_key_id: SecretStr | None = Field(default=None, title="Access key id", description="S3: id of the key.")
    secret_access_key: SecretStr | None = Field(default=None, title="Secret access key", description="S3: the key.")
    session_token: SecretStr | None = Field(
        default=None, title="Session token", description="S3: the token of temporary credentials."
    )
    endpoint_url: str = Field(
        default="", title="Endpoint", description="Address of an S3-compatible store, or of an emulator."
    )
    region: str = Field(default="", title="Region", description="S3: region of the bucket, as eu-central-1.")
    service_account_json: SecretStr | None = Field(
        default=None, title="Service account", description="Google Cloud: the JSON key of a service account."
    )

    @field_validator("*", mode="before")
    @classmethod
    def _without_quotes(cls, value: object) -> object:
        return unquoted_value(value)

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if is_store_address(self.url):
            try:
                parse_address(self.url)
            except InputError as error:
                raise ValueError(str(error).rstrip(".")) from None
        for _, value in self:
            remember_secret(revealed(value) if isinstance(value, SecretStr) else "")
        return self

    @property
    def access(self) -> StoreAccess:
        """What opens the store."""
        return StoreAccess(
            connection_string=revealed(self.connection_string),
            account_key=revealed(self.account_key),
            sas_token=revealed(self.sas_token),
            access_key_id=revealed(self.access_key_id),
            secret_access_key=revealed(self.secret_access_key),
            session_token=revealed(self.session_token),
            endpoint_url=self.endpoint_url,
            region=self.region,
            service_account_json=revealed(self.service_account_json),
        )
