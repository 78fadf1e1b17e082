"""Proxy and TLS configuration for every HTTP client: the proxy of a URL and the trusted certificates.

httpx, aiohttp, libcurl and requests each interpret the environment differently, so they get explicit values from here:

* Proxy: `HTTPS_PROXY` or `HTTP_PROXY` by the scheme of the URL, else `ALL_PROXY`, except for what `NO_PROXY` names
  (upper or lower case), else the system's proxy settings. Loopback is always direct. A SOCKS proxy is an error.
* Trust: `SSL_CERT_FILE` and `SSL_CERT_DIR` where they are set, else the system's store, else the package certifi.
"""

import ipaddress
import os
import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi

from blocks.errors import ConfigurationError, ExportError, InterruptedTransferError
from blocks.known_secrets import remember_secret
from blocks.urls import host_of, is_loopback

DEFAULT_PORTS = {"http": 80, "https": 443}
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
"""File names under which OpenSSL finds certificates in a folder: subject hash, dot, number."""


@dataclass(frozen=True)
class Route:
    """How a URL is reached: `proxy` may contain a password; `says`, the description for messages, never does."""

    says: str
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Trust:
    """The trusted CA certificates: a PEM file, a hashed folder or both; both None for the Windows store."""

    says: str
    file: str | None = None
    folder: str | None = None

    def context(self) -> ssl.SSLContext:
        """A TLS context that trusts exactly these certificates.

        Clients share it until the file changes: reading the certificates of a system takes 20 ms of CPU, and each
        export has half a dozen clients.

        Raises:
            ConfigurationError: They cannot be read.
        """
        try:
            changed = Path(self.file).stat() if self.file else None
            return _context(self.file, self.folder, changed and (changed.st_ino, changed.st_mtime_ns, changed.st_size))
        except OSError as error:
            reason = "it is no PEM file" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigurationError(
                f"The certificates of {self.says} cannot be read ({reason}). Name a readable PEM file in SSL_CERT_FILE."
            ) from None


@lru_cache(maxsize=4)
def _context(file: str | None, folder: str | None, _changed: tuple[int, int, int] | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=file, capath=folder)


def route_to(url: str) -> Route:
    """How a URL is reached.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """
    parts, host, proxies = urlsplit(url), host_of(url), getproxies()
    if is_loopback(host):
        return Route("directly (loopback)")
    variable = next((name for name in (parts.scheme, "all") if proxies.get(name, "").strip()), None)
    if variable is None:
        return Route("directly (no proxy is set)")
    port = parts.port or DEFAULT_PORTS.get(parts.scheme, 0)
    if _is_exempt(host, port, proxies.get("no", "")) or proxy_bypass(host):
        return Route("directly (NO_PROXY names it)")
    origin = _name_of(variable)
    address = _proxy_address(proxies[variable], origin)
    remember_secret(address.password or "")
    return Route(f"through the proxy {_shown(address)} ({origin})", address.geturl())


def proxy_for(url: str) -> str | None:
    """The proxy a URL goes through, with scheme and port; none if it is reached directly.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """
    return route_to(url).proxy


def via(url: str) -> str:
    """The proxy of a URL with a leading blank, to append to “cannot be reached”; empty without a proxy."""
    route = route_to(url)
    return f" {route.says}" if route.proxy else ""


def trust() -> Trust:
    """The certificates to trust, from the environment or the system.

    Raises:
        ConfigurationError: `SSL_CERT_FILE` or `SSL_CERT_DIR` names a missing file or an unusable folder.
    """
    file, folder = os.environ.get("SSL_CERT_FILE", "").strip(), os.environ.get("SSL_CERT_DIR", "").strip()
    if file and not Path(file).is_file():
        raise ConfigurationError(f"SSL_CERT_FILE names {file}, which is not a file. Correct it, or unset it.")
    if folder and not _holds_certificates(folder):
        raise ConfigurationError(
            f"SSL_CERT_DIR names {folder}, which holds no certificates by their hashes. Correct it, or run: "
            f"openssl rehash {folder}"
        )
    if file or folder:
        named = [f"{name} ({path})" for name, path in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)) if path]
        return Trust(" and ".join(named), file or None, folder or None)
    return _trust_of_the_system()


def check_network(*urls: str) -> None:
    """Check, before an export starts, that certificates and proxies for these URLs are usable; sends nothing.

    Raises:
        ConfigurationError: The environment names certificates or a proxy that cannot be used.
    """
    tls_context()
    for url in urls:
        route_to(url)


def check_prefect_network() -> None:
    """Check what Prefect's client needs: certificates, and that no proxy variable is unusable.

    The client (httpx) sets up the proxies of all variables, also of those that its address does not use.

    Raises:
        ConfigurationError: The environment names certificates or a proxy that cannot be used.
    """
    tls_context()
    proxies = getproxies()
    if "*" in re.split(r"[,\s]+", proxies.get("no", "")):
        return
    for scheme in (*DEFAULT_PORTS, "all"):
        if proxies.get(scheme, "").strip():
            _proxy_address(proxies[scheme], _name_of(scheme))


def tls_context() -> ssl.SSLContext:
    """The TLS context with the certificates of `trust()`.

    Raises:
        ConfigurationError: The certificates cannot be read.
    """
    return trust().context()


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and every error it wraps: causes, contexts, arguments and library-specific attributes."""
    pending: list[object] = [error]
    seen = set[int]()
    while pending:
        fault = pending.pop()
        if isinstance(fault, BaseException) and id(fault) not in seen:
            seen.add(id(fault))
            yield fault
            pending += [fault.__cause__, fault.__context__, *fault.args]
            pending += [getattr(fault, name, None) for name in ("reason", "inner_exception", "original_error")]


def certificate_fault(error: BaseException) -> str | None:
    """The reason a certificate was rejected; empty if the library gives none, None for any other error."""
    faults = [fault for fault in causes_of(error) if isinstance(fault, ssl.SSLCertVerificationError)]
    reasons = (str(getattr(fault, "verify_message", "")) for fault in faults)  # aiohttp's own kind lacks it
    return next(filter(None, reasons), "") if faults else None


def untrusted(host: str, reason: str = "") -> ConfigurationError:
    """The error for a host whose certificate is not trusted; it is not transient."""
    said = f" ({reason.rstrip('.')})" if reason else ""
    return ConfigurationError(
        f"The certificate of {host} is not trusted{said}; trusted is {trust().says}. If your network has certificates "
        f"of its own, set SSL_CERT_FILE to a PEM file with them."
    )


def refused_by_proxy(url: str, status: int) -> ExportError:
    """The error for a proxy that answers CONNECT with a status: configuration for 4xx, transient for others."""
    host, way = host_of(url), route_to(url).says
    match status:
        case 407:
            return ConfigurationError(
                f"{host} cannot be reached {way}: it asks for a user name and a password (407). Write them into the "
                f"variable, as http://USER:PASSWORD@HOST:PORT, special characters percent-encoded."
            )
        case _ if 400 <= status < 500:
            return ConfigurationError(
                f"{host} cannot be reached {way}: it refuses the connection ({status}). Have the host allowed there, "
                f"or name it in NO_PROXY."
            )
        case _:
            return InterruptedTransferError(f"{host} cannot be reached {way}: it answers {status}.")


def _name_of(scheme: str) -> str:
    """The environment variable that names the proxy, or the system settings of Windows or macOS."""
    name = f"{scheme}_proxy"
    return next((known for known in (name, name.upper()) if os.environ.get(known)), "the system's settings")


def _proxy_address(value: str, variable: str) -> SplitResult:
    """The proxy URL of a variable, with scheme and port filled in: clients differ in their defaults."""
    text = value.strip().strip("\"'").strip()
    text = text if "://" in text else f"http://{text.removeprefix('//')}"
    parts = urlsplit("")
    host, port = None, None
    with suppress(ValueError):
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    scheme = parts.scheme.lower()
    if scheme.startswith("socks"):
        raise ConfigurationError(
            f"{variable} names a SOCKS proxy ({scheme}://{host}), which is not supported. Unset {variable}; "
            f"an HTTP proxy may be named in HTTPS_PROXY (http://HOST:PORT)."
        )
    if scheme not in DEFAULT_PORTS or not host:
        raise ConfigurationError(
            f"{variable} does not name a proxy. Write it as http://HOST:PORT or http://USER:PASSWORD@HOST:PORT, "
            f"special characters percent-encoded."
        )
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    bracketed = f"[{host}]" if ":" in host else host
    return SplitResult(scheme, f"{user}{bracketed}:{port or DEFAULT_PORTS[scheme]}", "", "", "")


def _shown(address: SplitResult) -> str:
    return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"


def _is_exempt(host: str, port: int, names: str) -> bool:
    return any(_covers(entry.strip("\"'").lower(), host, port) for entry in re.split(r"[,\s]+", names) if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    """True if a NO_PROXY entry matches the host: `*`, a domain and its subdomains, an address or a network."""
    if entry == "*":
        return True
    name, entry_port = _host_and_port(entry.rpartition("://")[2])
    if entry_port and entry_port != str(port):
        return False
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(name, strict=False)
    except ValueError:
        domain = name.removeprefix("*").removeprefix(".")
        return bool(domain) and f".{host}".endswith(f".{domain}")


def _host_and_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    host, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    return host, port


def _trust_of_the_system() -> Trust:
    """The system's certificate store, or certifi's: slim images and some Pythons on macOS have no store."""
    if sys.platform == "win32":
        return Trust("the system's store")
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    folder = paths.openssl_capath if _holds_certificates(paths.openssl_capath) else None
    if file or folder:
        return Trust(f"the system's store ({' and '.join(filter(None, (file, folder)))})", file, folder)
    return Trust("the package certifi, because the system has no store", certifi.where())


def _holds_certificates(folders: str) -> bool:
    """True if one of the folders (separated as in PATH) contains certificates named by their hash."""
    return any(
        _HASHED_NAME.fullmatch(name)
        for folder in folders.split(os.pathsep)
        if folder and Path(folder).is_dir()
        for name in os.listdir(folder)  # noqa: PTH208  needs names only
    )
