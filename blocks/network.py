"""How hosts are reached: which proxy a URL goes through and which certificates are trusted, decided once.

httpx, aiohttp, libcurl and requests each read the environment in another way. They are told instead:

* Proxy: `HTTPS_PROXY` or `HTTP_PROXY` by the scheme of the URL, else `ALL_PROXY`, except for what `NO_PROXY` names
  (in capitals or not), else what the system is set to. Loopback is always reached directly. SOCKS is refused by name.
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
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi

from blocks.errors import ConfigurationError, ExportError, InterruptedTransferError
from blocks.urls import host_of, is_loopback

DEFAULT_PORTS = {"http": 80, "https": 443}
_HASHED_NAME = re.compile(r"[0-9a-f]{8}\.\d+")
"""How OpenSSL finds a certificate in a folder."""


@dataclass(frozen=True)
class Route:
    """How a URL is reached; `proxy` may hold a password, `says` never does."""

    says: str
    proxy: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Trust:
    """The certificates that vouch for a host; both paths are None for the store of Windows."""

    says: str
    file: str | None = None
    folder: str | None = None

    def context(self) -> ssl.SSLContext:
        """A new TLS context that trusts exactly these.

        Raises:
            ConfigurationError: They cannot be read.
        """
        try:
            return ssl.create_default_context(cafile=self.file, capath=self.folder)
        except OSError as error:
            reason = "it is no PEM file" if isinstance(error, ssl.SSLError) else error.strerror
            raise ConfigurationError(
                f"The certificates of {self.says} cannot be read ({reason}). Name a readable PEM file in SSL_CERT_FILE."
            ) from None


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
    return Route(f"through the proxy {_shown(address)} ({origin})", address.geturl())


def proxy_for(url: str) -> str | None:
    """The proxy a URL goes through, with scheme and port; none if it is reached directly.

    Raises:
        ConfigurationError: The environment names a proxy that cannot be used.
    """
    return route_to(url).proxy


def via(url: str) -> str:
    """What to add to “cannot be reached”: the proxy, if there is one, with a blank in front."""
    route = route_to(url)
    return f" {route.says}" if route.proxy else ""


def trust() -> Trust:
    """Which certificates are trusted now.

    Raises:
        ConfigurationError: `SSL_CERT_FILE` or `SSL_CERT_DIR` names what is not there.
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
    """Find out, before anything is started, that these can be asked.

    Raises:
        ConfigurationError: The environment names certificates or a proxy that cannot be used.
    """
    tls_context()
    for url in urls:
        route_to(url)


def tls_context() -> ssl.SSLContext:
    """A new TLS context that trusts what the environment or the system says now.

    Raises:
        ConfigurationError: The certificates cannot be read.
    """
    return trust().context()


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it was raised from, however deep libraries have wrapped it."""
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
    """Why a certificate was refused, if that is what went wrong; empty where the library does not say."""
    faults = [fault for fault in causes_of(error) if isinstance(fault, ssl.SSLCertVerificationError)]
    reasons = (str(getattr(fault, "verify_message", "")) for fault in faults)  # aiohttp's own kind lacks it
    return next(filter(None, reasons), "") if faults else None


def untrusted(host: str, reason: str = "") -> ConfigurationError:
    """The error for a host whose certificate nobody trusted vouches for; trying again does not help."""
    said = f" ({reason.rstrip('.')})" if reason else ""
    return ConfigurationError(
        f"The certificate of {host} is not trusted{said}; trusted is {trust().says}. If your network has certificates "
        f"of its own, set SSL_CERT_FILE to a PEM file with them."
    )


def refused_by_proxy(url: str, status: int) -> ExportError:
    """The error for a proxy that does not connect: its configuration, or trouble that may pass."""
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
    """The variable that names the proxy; without one it is what Windows or macOS is set to."""
    name = f"{scheme}_proxy"
    return next((known for known in (name, name.upper()) if os.environ.get(known)), "the system's settings")


def _proxy_address(value: str, variable: str) -> SplitResult:
    """What the variable means, with scheme and port: clients differ in what they take for granted."""
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
            f"{variable} names a SOCKS proxy ({scheme}://{host}), which is not supported. Set HTTPS_PROXY to an HTTP "
            f"proxy (http://HOST:PORT), or name the hosts in NO_PROXY."
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
    """True if an entry of NO_PROXY means the host: `*`, a domain with all below it, an address or a network."""
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
    """The store of the system; slim images and some Pythons on macOS have none."""
    if sys.platform == "win32":
        return Trust("the system's store")
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    folder = paths.openssl_capath if _holds_certificates(paths.openssl_capath) else None
    if file or folder:
        return Trust(f"the system's store ({' and '.join(filter(None, (file, folder)))})", file, folder)
    return Trust("the package certifi, because the system has no store", certifi.where())


def _holds_certificates(folders: str) -> bool:
    """True if one of the folders, separated as in PATH, has certificates where OpenSSL looks for them."""
    return any(
        _HASHED_NAME.fullmatch(name)
        for folder in folders.split(os.pathsep)
        if folder and Path(folder).is_dir()
        for name in os.listdir(folder)  # noqa: PTH208  names only, and it ends at the first that fits
    )
