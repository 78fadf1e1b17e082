"""What opens an object store: credentials that are given, else what the cloud's own environment offers."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from obstore.store import AzureStore, GCSStore, S3Store
from obstore.store import ObjectStore as Client

from blocks.errors import ConfigurationError
from blocks.storage.destination.address import StoreAddress
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_errors import store_errors

RETRIES = {"max_retries": 6, "retry_timeout": timedelta(seconds=90)}
_CONNECT, _WHOLE_REQUEST = "10s", "120s"


@dataclass(frozen=True, repr=False)
class StoreAccess:
    """Credentials and addresses by the names of the block `Export Destination`; empty where none are given."""

    connection_string: str = ""
    account_key: str = ""
    sas_token: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    session_token: str = ""
    endpoint_url: str = ""
    region: str = ""
    service_account_json: str = ""


def open_store(address: StoreAddress, access: StoreAccess) -> ObjectStore:
    """The store of an address; sends no request.

    Raises:
        ConfigurationError: What is given does not fit.
    """
    with store_errors(address.url, "be opened"):
        return ObjectStore(_CLIENTS[address.scheme](address, access), address.url)


def _azure(address: StoreAddress, access: StoreAccess) -> Client:
    parts = _connection_parts(access.connection_string)
    endpoint = access.endpoint_url or parts.get("BlobEndpoint", "") or address.account_url
    account = address.account or parts.get("AccountName", "") or _account_of(endpoint)
    named = parts.get("AccountName", account)
    if address.account and named != address.account:
        raise ConfigurationError(f"{address.url} is not in the account of the connection string. Correct one of them.")
    config = _given(
        account_name=account,
        account_key=access.account_key or parts.get("AccountKey", ""),
        sas_key=(access.sas_token or parts.get("SharedAccessSignature", "")).lstrip("?"),
        endpoint=endpoint.rstrip("/"),
    )
    return AzureStore(address.container, prefix=address.prefix or None, config=config, **_options(endpoint))


def _s3(address: StoreAddress, access: StoreAccess) -> Client:
    config = _given(
        access_key_id=access.access_key_id,
        secret_access_key=access.secret_access_key,
        session_token=access.session_token,
        endpoint=access.endpoint_url.rstrip("/"),
        region=access.region,
    )
    return S3Store(address.container, prefix=address.prefix or None, config=config, **_options(access.endpoint_url))


def _gcs(address: StoreAddress, access: StoreAccess) -> Client:
    config = _given(service_account_key=access.service_account_json, base_url=access.endpoint_url.rstrip("/"))
    return GCSStore(address.container, prefix=address.prefix or None, config=config, **_options(access.endpoint_url))


def _account_of(endpoint: str) -> str:
    """The account of an endpoint: the first label of its host, or the first folder where the host is an IP address.

    Connection strings with a SAS name no account besides.
    """
    parts = urlsplit(endpoint)
    host = parts.hostname or ""
    is_address = host.replace(".", "").isdigit() or ":" in host
    return parts.path.strip("/").partition("/")[0] if is_address else host.partition(".")[0]


_CLIENTS = {"az": _azure, "s3": _s3, "gs": _gcs}


def _given(**config: str) -> Any:
    """The configuration without what is not given, which the client then looks for in the environment."""
    return {name: value for name, value in config.items() if value}


def _options(endpoint: str) -> dict[str, Any]:
    """Plain HTTP only where an endpoint was given with it."""
    insecure = {"allow_http": True} if endpoint.startswith("http://") else {}
    client = {"connect_timeout": _CONNECT, "timeout": _WHOLE_REQUEST, **insecure}
    return {"client_options": client, "retry_config": RETRIES}


def _connection_parts(text: str) -> dict[str, str]:
    """Members of a connection string of Azure.

    https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string
    """
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
