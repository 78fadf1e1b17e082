"""Test hosts, a proxy, and an environment without proxy and certificate variables."""

import os
from collections.abc import Generator

import pytest

from tests.blocks.network.hosts import Hosts, Proxy, running_proxy, serving_hosts


@pytest.fixture(scope="package")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Generator[Hosts]:
    """Every host of the tests, behind TLS."""
    with serving_hosts(tmp_path_factory.mktemp("certificates")) as serving:
        yield serving


@pytest.fixture(scope="package")
def package_proxy(hosts: Hosts) -> Generator[Proxy]:
    with running_proxy(hosts.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(package_proxy: Proxy) -> Proxy:
    """A proxy with an empty request log."""
    package_proxy.asked.clear()
    return package_proxy


@pytest.fixture(autouse=True)
def _no_network_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without proxy and certificate variables."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy") or name.startswith("SSL_CERT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def _trusted(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(hosts.authority))
