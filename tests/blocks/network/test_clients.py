"""Every client reaches its hosts through the same proxy and trusts the same certificates."""

from pathlib import Path

import pytest
from azure.core.exceptions import AzureError

from blocks.errors import ConfigurationError, ExportError
from blocks.network import DEFAULT_PORTS
from tests.blocks.network.clients import CLIENTS
from tests.blocks.network.hosts import NAMES, Hosts, Proxy, running_proxy

HOST = f"https://{NAMES[1]}"
every_client = pytest.mark.parametrize("client", CLIENTS)


@every_client
@pytest.mark.parametrize(
    ("variable", "written"),
    [
        ("HTTPS_PROXY", "{}"),
        ("https_proxy", " 'http://{}/' "),
        ("ALL_PROXY", "http://{}"),
        ("HTTPS_PROXY", "http://me:p%40ss@{}"),
    ],
)
@pytest.mark.usefixtures("_trusted")
async def test_proxy(
    client: str, variable: str, written: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every client uses the configured proxy, in each notation, with its password, and contacts nothing else."""
    monkeypatch.setenv(variable, written.format(proxy.address))
    await CLIENTS[client](HOST, tmp_path)
    password = " me:p@ss" if "@" in written else ""
    assert proxy.asked == [f"CONNECT {NAMES[1]}:{DEFAULT_PORTS['https']}{password}"]


@every_client
@pytest.mark.usefixtures("_trusted")
async def test_loopback(
    client: str, hosts: Hosts, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Loopback hosts are reached directly even if a proxy is set."""
    monkeypatch.setenv("HTTPS_PROXY", proxy.address)
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    await CLIENTS[client](f"https://127.0.0.1:{hosts.port}", tmp_path)
    assert proxy.asked == []


@every_client
async def test_socks(client: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A SOCKS proxy is an error that names the proxy without its password."""
    monkeypatch.setenv("ALL_PROXY", "socks5h://me:secret@127.0.0.1:1080")
    with pytest.raises(
        ConfigurationError, match=r"ALL_PROXY names a SOCKS proxy.*not supported.*HTTPS_PROXY"
    ) as caught:
        await CLIENTS[client](HOST, tmp_path)
    assert "secret" not in str(caught.value)


@every_client
@pytest.mark.parametrize(("status", "says"), [(407, "user name and a password"), (403, "NO_PROXY")])
@pytest.mark.usefixtures("_trusted")
async def test_proxy_refuses(
    client: str, status: int, says: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy that refuses is contacted once; the error names it and the next step."""
    with running_proxy(hosts.port, status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:secret@{proxy.address}")
        with pytest.raises(ConfigurationError, match=f"{proxy.address}.*HTTPS_PROXY.*{says}") as caught:
            await CLIENTS[client](HOST, tmp_path)
    assert len(proxy.asked) == 1
    assert "secret" not in str(caught.value)


@every_client
@pytest.mark.usefixtures("_trusted")
async def test_proxy_in_trouble(client: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A proxy that cannot reach the host is a transient error."""
    with running_proxy(hosts.port, 502) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.address)
        with pytest.raises((ExportError, AzureError)) as caught:
            await CLIENTS[client](HOST, tmp_path)
    assert isinstance(caught.value, AzureError) or caught.value.is_transient


@every_client
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_own_authority(
    client: str, variable: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Every client trusts a host whose authority is in SSL_CERT_FILE or SSL_CERT_DIR."""
    monkeypatch.setenv(variable, str(hosts.folder if variable == "SSL_CERT_DIR" else hosts.authority))
    await CLIENTS[client](f"https://127.0.0.1:{hosts.port}", tmp_path)


@every_client
async def test_unknown_authority(client: str, hosts: Hosts, tmp_path: Path) -> None:
    """A host with an untrusted certificate is contacted once; the error names it and SSL_CERT_FILE."""
    before = len(hosts.connections)
    with pytest.raises(ConfigurationError, match=r"certificate of 127\.0\.0\.1 is not trusted.*set SSL_CERT_FILE"):
        await CLIENTS[client](f"https://127.0.0.1:{hosts.port}", tmp_path)
    assert len(hosts.connections) == before + 1


@every_client
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
async def test_certificates_that_are_not_there(
    client: str, variable: str, hosts: Hosts, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A certificate variable with a missing path is an error that names both, before anything is sent."""
    before = len(hosts.connections)
    monkeypatch.setenv(variable, str(tmp_path / "nothing"))
    with pytest.raises(ConfigurationError, match=f"{variable} names {tmp_path}/nothing"):
        await CLIENTS[client](f"https://127.0.0.1:{hosts.port}", tmp_path)
    assert len(hosts.connections) == before
