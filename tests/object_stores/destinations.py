"""Destinations in the object stores that the tests run against."""

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from uuid import uuid4

import pytest

from blocks.storage.destination.address import parse_address
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_access import StoreAccess, open_store
from deployments.sandbox.azurite import RunningAzurite
from tests.object_stores.moto_server import running_moto
from tests.object_stores.xml_store import XmlStore, running_xml_store

S3_SECRET, S3_KEY_ID = "s3-secret-access-key-0123", "AKIAEXPORTS0123456789"


@dataclass(frozen=True)
class StoreUnderTest:
    """A place of its own in a running store: the address, and what opens it."""

    url: str
    access: StoreAccess

    def open(self) -> ObjectStore:
        """The store as the application opens it."""
        return open_store(parse_address(self.url), self.access)


def s3_access(endpoint: str) -> StoreAccess:
    """What opens an S3 server on loopback."""
    return StoreAccess(access_key_id=S3_KEY_ID, secret_access_key=S3_SECRET, endpoint_url=endpoint, region="us-east-1")


def gcs_access(endpoint: str) -> StoreAccess:
    """What opens a Google Cloud server on loopback that wants no token."""
    account = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    return StoreAccess(service_account_json=json.dumps(account), endpoint_url=endpoint)


def of_xml_store(store: XmlStore) -> StoreUnderTest:
    """A destination in a store of ours."""
    access = {"s3": s3_access, "gs": gcs_access}[store.dialect](store.url)
    return StoreUnderTest(f"{store.dialect}://exports/{uuid4().hex}", access)


@pytest.fixture(scope="session")
def moto() -> Generator[str]:
    """The address of moto's S3 server."""
    with running_moto() as url:
        yield url


@pytest.fixture(scope="session")
def gcs() -> Generator[XmlStore]:
    """A local server that implements the XML API of Google Cloud Storage."""
    with running_xml_store("gs") as store:
        yield store


@pytest.fixture
def s3_store() -> Generator[XmlStore]:
    """An S3 server of ours, with faults; one for each test."""
    with running_xml_store("s3") as store:
        yield store


@pytest.fixture(params=["az", "s3", "gs"])
def destination(request: pytest.FixtureRequest) -> StoreUnderTest:
    """An empty place in Azurite, in moto's S3 and in a Google Cloud server."""
    make: dict[str, Callable[[], StoreUnderTest]] = {
        "az": lambda: of_azurite(request.getfixturevalue("azurite")),
        "s3": lambda: StoreUnderTest(f"s3://exports/{uuid4().hex}", s3_access(request.getfixturevalue("moto"))),
        "gs": lambda: of_xml_store(request.getfixturevalue("gcs")),
    }
    return make[str(request.param)]()


def of_azurite(azurite: RunningAzurite) -> StoreUnderTest:
    """A place in Azurite."""
    return StoreUnderTest(f"az://exports/{uuid4().hex}", StoreAccess(connection_string=azurite.connection_string))
