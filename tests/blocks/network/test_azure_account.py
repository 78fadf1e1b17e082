"""Access to a container with Azure AD uses the same proxy and certificates, and its errors are readable."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.core.exceptions import ClientAuthenticationError

from blocks.errors import ConfigurationError
from blocks.storage.azure_transport import azure_reason
from blocks.storage.user_blob_storage import UserBlobStorage
from tests.blocks.network.hosts import Hosts, Proxy

CHAIN = """DefaultAzureCredential failed to retrieve a token from the included credentials.
Attempted credentials:
\tEnvironmentCredential: Authentication unavailable. Environment variables are not fully configured.
\tManagedIdentityCredential: Authentication unavailable. No managed identity endpoint found.
\tAzureCliCredential: AADSTS70043: The refresh token has expired. Run az login.
To mitigate this issue, please refer to the troubleshooting guidelines here."""


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> UserBlobStorage:
    """An account address, and an application whose secret is wrong."""
    for name, value in {"TENANT_ID": "tenant", "CLIENT_ID": "application", "CLIENT_SECRET": "wrong-secret"}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    return UserBlobStorage(account_url="https://account.blob.core.windows.net", container="exports")


def check(storage: UserBlobStorage) -> str:
    """The error message for an account that cannot be used."""
    with pytest.raises(ConfigurationError) as caught:
        storage.check(until=datetime.now(UTC) + timedelta(hours=1), save_logs=False)
    return str(caught.value)


@pytest.mark.usefixtures("_trusted")
def test_refused_secret(account: UserBlobStorage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure AD is reached through the proxy, and the error contains its reason for the rejection."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    said = check(account)
    assert "AADSTS7000215: Invalid client secret" in said
    assert "wrong-secret" not in said
    assert set(proxy.asked) == {"CONNECT login.microsoftonline.com:443"}


def test_unknown_authority(account: UserBlobStorage, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that is not trusted is named together with SSL_CERT_FILE, after one attempt."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    said = check(account)
    assert "certificate of login.microsoftonline.com is not trusted" in said
    assert "SSL_CERT_FILE" in said
    assert len(proxy.asked) == 1


def test_missing_file(account: UserBlobStorage, hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate file that is missing is named, also in the address of the container."""
    monkeypatch.setenv("SSL_CERT_FILE", f"{hosts.authority}.missing")
    assert "SSL_CERT_FILE names" in check(account)


def test_ways_to_sign_in() -> None:
    """The message lists the credentials that were tried and their errors, and omits the others."""
    said = azure_reason(ClientAuthenticationError(CHAIN))
    assert said == "AzureCliCredential: AADSTS70043: The refresh token has expired. Run az login."


def test_no_way_to_sign_in() -> None:
    """If no credential was tried, the message is the first line of the error."""
    said = azure_reason(ClientAuthenticationError(CHAIN.replace("AADSTS70043", "Azure CLI not found on path")))
    assert said == "DefaultAzureCredential failed to retrieve a token from the included credentials."
