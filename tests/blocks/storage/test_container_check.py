"""The container check before a run, against a real Azurite and a scripted server."""

import base64
import secrets
import socket
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
from azure.storage.blob import BlobSasPermissions, BlobServiceClient, generate_blob_sas
from pydantic import SecretStr

from blocks.errors import ConfigurationError
from blocks.storage.retry import ThrottledError
from blocks.storage.user_blob_storage import UserBlobStorage
from deployments.sandbox.azurite import ACCOUNT, CONTAINER, RunningAzurite

UNTIL = datetime.now(UTC) + timedelta(hours=4)


def storage_of(azurite: RunningAzurite, **changes: Any) -> UserBlobStorage:
    usual: dict[str, Any] = {
        "connection_string": SecretStr(azurite.connection_string),
        "container": CONTAINER,
        "prefix": "checked",
    }
    return UserBlobStorage(**(usual | changes))


def link(azurite: RunningAzurite, permissions: str, *, container: str = CONTAINER, key: str = "") -> SecretStr:
    """A ready-made link of a blob that does not exist."""
    query = generate_blob_sas(
        account_name=ACCOUNT,
        container_name=container,
        blob_name="given.ifc",
        account_key=key or azurite.key,
        permission=BlobSasPermissions.from_string(permissions),
        expiry=UNTIL + timedelta(hours=1),
    )
    return SecretStr(f"{azurite.url}/{ACCOUNT}/{container}/given.ifc?{query}")


def names_in(azurite: RunningAzurite, container: str) -> list[str]:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        return [blob.name for blob in service.get_container_client(container).list_blobs()]


async def refused(storage: UserBlobStorage) -> str:
    """The message with which the check rejects a storage."""
    with pytest.raises(ConfigurationError) as caught:
        await storage.verify_access(until=UNTIL, save_logs=True)
    assert "sig=" not in str(caught.value)
    return str(caught.value)


async def test_a_container_that_takes_files_passes_and_stays_as_it_is(azurite: RunningAzurite) -> None:
    """An account that may write passes, twice, and the check leaves no blob behind."""
    storage = storage_of(azurite)
    for _ in range(2):
        await storage.verify_access(until=UNTIL, save_logs=True)
    assert not [name for name in names_in(azurite, CONTAINER) if name.startswith("checked")]


async def test_a_missing_container_is_named(azurite: RunningAzurite) -> None:
    """Without create_container a missing container is an error that names it and says what to do, and stays missing."""
    storage = storage_of(azurite, container="nosuch")
    for _ in range(2):
        said = await refused(storage)
        assert "no container “nosuch” on 127.0.0.1 (HTTP 404, ContainerNotFound)" in said
        assert "create_container" in said


async def test_a_missing_container_is_created_where_the_block_says_so(azurite: RunningAzurite) -> None:
    """With create_container the container is created empty, and a second check passes."""
    name = f"made-{secrets.token_hex(4)}"
    for _ in range(2):
        await storage_of(azurite, container=name, create_container=True).verify_access(until=UNTIL, save_logs=True)
    assert names_in(azurite, name) == []


async def test_a_wrong_account_key_is_refused_at_once(azurite: RunningAzurite) -> None:
    """For a wrong account key the error says what to check."""
    wrong = base64.b64encode(secrets.token_bytes(64)).decode()
    text = azurite.connection_string.replace(azurite.key, wrong)
    said = await refused(storage_of(azurite, connection_string=SecretStr(text)))
    assert f"refuses to write into container “{CONTAINER}” on 127.0.0.1 (HTTP 403" in said
    assert "AccountKey" in said
    assert wrong not in said


async def test_a_ready_made_link_is_tried(azurite: RunningAzurite) -> None:
    """A link of a blob that does not exist yet passes; a wrong signature or a missing container does not."""
    await UserBlobStorage(output_sas_url=link(azurite, "rcw")).verify_access(until=UNTIL, save_logs=True)
    wrong = base64.b64encode(secrets.token_bytes(64)).decode()
    said = await refused(UserBlobStorage(output_sas_url=link(azurite, "rcw", key=wrong)))
    assert f"refuses the output SAS link of container “{CONTAINER}” (HTTP 403" in said
    said = await refused(UserBlobStorage(output_sas_url=link(azurite, "rcw", container="nosuch")))
    assert "no container “nosuch”" in said


async def test_a_link_that_may_not_overwrite_what_is_there(azurite: RunningAzurite) -> None:
    """If the blob exists, a link without write permission is rejected."""
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        service.get_blob_client(CONTAINER, "given.ifc").upload_blob(b"earlier", overwrite=True)
        storage = UserBlobStorage(output_sas_url=link(azurite, "rc"))
        said = await refused(storage)
        service.get_blob_client(CONTAINER, "given.ifc").delete_blob()
    assert f"“given.ifc” is already in container “{CONTAINER}”" in said
    await storage.verify_access(until=UNTIL, save_logs=True)


@pytest.mark.parametrize("way", ["account", "link"])
async def test_a_host_that_is_not_there(way: str) -> None:
    """An unreachable host is an error that names it, for an account and for a link."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}/acc"
    key = base64.b64encode(b"key").decode()
    account = SecretStr(f"AccountName=acc;AccountKey={key};BlobEndpoint={address}")
    given = SecretStr(f"{address}/c/model.ifc?sp=rcw&sig={key}")
    storage = (
        UserBlobStorage(connection_string=account, container="c")
        if way == "account"
        else UserBlobStorage(output_sas_url=given)
    )
    assert "The host of container “c” on 127.0.0.1 cannot be reached" in await refused(storage)


@pytest.fixture
def busy() -> Generator[tuple[str, list[str]]]:
    """A host that answers 503 and records the requests."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_response(503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


async def test_a_host_that_cannot_answer_now_is_left_to_the_task(busy: tuple[str, list[str]]) -> None:
    """A 503 is a transient error after one request, so that only the task's own retries repeat it."""
    url, asked = busy
    storage = UserBlobStorage(output_sas_url=SecretStr(f"{url}/acc/c/model.ifc?sp=rcw&sig=s"))
    with pytest.raises(ThrottledError, match="cannot answer now") as caught:
        await storage.verify_access(until=UNTIL, save_logs=True)
    assert {urlsplit(path).path for path in asked} == {"/acc/c/model.ifc"}
    assert (len(asked), caught.value.is_transient, caught.value.is_retried) == (1, True, False)
