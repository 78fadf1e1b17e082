"""The proxy of a URL and the certificates trusted on this machine."""

import ssl
from pathlib import Path

import certifi
import pytest

from blocks.errors import ConfigurationError
from blocks.network import route_to, trust
from tests.blocks.network.hosts import Hosts

URL = "https://account.blob.core.windows.net/c/b?sig=secret"


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        ("proxy:3128", "http://proxy:3128"),
        ("//proxy:3128", "http://proxy:3128"),
        ("http://proxy", "http://proxy:80"),
        ("HTTPS://proxy/", "https://proxy:443"),
        ("'http://proxy:3128'\n", "http://proxy:3128"),
        ("http://[::1]:3128", "http://[::1]:3128"),
        ("http://me:p%40ss@proxy:3128", "http://me:p%40ss@proxy:3128"),
        (" ", None),
    ],
)
def test_proxy_is_completed(value: str, proxy: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy gets an explicit scheme and port; surrounding blanks and quotes are ignored."""
    monkeypatch.setenv("HTTPS_PROXY", value)
    assert route_to(URL).proxy == proxy


@pytest.mark.parametrize(
    "value", ["http://", "proxy:port", "ftp://proxy:3128", "http://me:pa#ss@proxy:3128", "http://["]
)
def test_unusable_proxy(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An invalid proxy is an error with the variable's name and without its value, which may hold a password."""
    monkeypatch.setenv("https_proxy", value)
    with pytest.raises(ConfigurationError, match="https_proxy does not name a proxy") as caught:
        route_to(URL)
    assert "pa#ss" not in str(caught.value)


def test_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable of the scheme comes before ALL_PROXY, so a SOCKS proxy in ALL_PROXY is not used."""
    monkeypatch.setenv("ALL_PROXY", "socks5://socks:1080")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy:3128")
    assert route_to(URL).says == "through the proxy http://proxy:3128 (HTTPS_PROXY)"
    assert "secret" not in repr(route_to(URL))


@pytest.mark.parametrize(
    ("names", "is_exempt"),
    [
        ("*", True),
        ("windows.net", True),
        (".windows.net", True),
        ("*.windows.net", True),
        ("other.example, account.blob.core.windows.net:443", True),
        ("https://account.blob.core.windows.net", True),
        ("a b 'account.blob.core.windows.net'", True),
        ("account.blob.core.windows.net:8443", False),
        ("dows.net", False),
        ("core.windows.net.example", False),
        (" , ", False),
    ],
)
def test_no_proxy(names: str, is_exempt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY accepts domains including subdomains, with or without a port, in every notation."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", names)
    assert (route_to(URL).proxy is None) == is_exempt


@pytest.mark.parametrize(
    ("url", "is_exempt"),
    [
        ("https://10.1.2.3/", True),
        ("https://[fd00::7]/", True),
        ("https://11.1.2.3/", False),
        ("https://a10.b/", False),
    ],
)
def test_networks(url: str, is_exempt: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY accepts IP networks."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy:3128")
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,fd00::/8")
    assert (route_to(url).proxy is None) == is_exempt


def test_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a system certificate store every client trusts the certificates of certifi."""
    paths = ssl.get_default_verify_paths()._replace(
        openssl_cafile=str(tmp_path / "cert.pem"), openssl_capath=str(tmp_path)
    )
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    assert trust().file == certifi.where()
    assert trust().context().cert_store_stats()["x509_ca"] > 50


def test_file_without_certificates(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not PEM is an error that names it."""
    (tmp_path / "text.pem").write_text(hosts.authority.read_text().replace("BEGIN", "begin"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "text.pem"))
    with pytest.raises(ConfigurationError, match=r"text\.pem.*no PEM file"):
        trust().context()


def test_a_file_is_read_once_until_it_changes(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients share one TLS context; certificates that are added to the file are trusted by the next client."""
    file = tmp_path / "trusted.pem"
    file.write_text(hosts.authority.read_text())
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    first = trust().context()
    assert trust().context() is first
    file.write_text(hosts.authority.read_text() + Path(certifi.where()).read_text())
    assert trust().context().cert_store_stats()["x509"] > first.cert_store_stats()["x509"] == 1
