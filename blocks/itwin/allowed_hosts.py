"""Allow list of hosts for links that the platform returns."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from blocks.errors import ConfigurationError
from blocks.foreign_data import web_address
from blocks.urls import host_of, is_loopback

HTTPS_PORT = 443
VENDOR_DOMAINS = (".bentley.com", ".blob.core.windows.net")

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
"""Other characters, such as a backslash, are read as the end of the host by some HTTP clients."""


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts to which a request may be sent for a link that the platform returned.

    The API and issuer hosts, the vendor's domains and the extra hosts are allowed over HTTPS; loopback hosts (over
    HTTP too) only if the API itself is on loopback.

    Args:
        api_url: Root of the API.
        issuer_url: Root of the sign-in service.
        extra: Further host names, without scheme or port.
    """

    api_url: str
    issuer_url: str
    extra: tuple[str, ...] = ()

    def resolve(self, link: str, *, base: str) -> str:
        """The absolute form of a link, relative links against `base`, if its host is allowed.

        Raises:
            ConfigurationError: Its host is not allowed; nothing has been sent there.
        """
        url = web_address(link, base)
        if not self.allows(url):
            raise ConfigurationError(
                f"The platform returned a link to {_shown(url)}, which is not on the list of allowed hosts, so nothing "
                f"was sent there. If you trust it, add it to ITWIN_ALLOWED_HOSTS or to the block's allowed hosts."
            )
        return url

    def resolve_for_secret(self, link: str, *, base: str) -> str:
        """As `resolve`, for a link that receives the client secret: the issuer's origin, or an extra host by its port.

        Raises:
            ConfigurationError: It leads elsewhere; nothing has been sent there.
        """
        url = self.resolve(link, base=base)
        if _origin(url) == _origin(self.issuer_url) or any(_is_at(entry, url) for entry in self.extra):
            return url
        raise ConfigurationError(
            f"The sign-in service {self.issuer_url} wants the client's secret sent to {_shown(url)}, which is not its "
            f"own address, so nothing was sent there. If you trust it, add its host to ITWIN_ALLOWED_HOSTS or to the "
            f"block's allowed hosts."
        )

    def allows(self, url: str) -> bool:
        """True if a request may be sent to the URL."""
        host = host_of(url)
        if not _HOST.fullmatch(host) or "@" in urlsplit(url).netloc:
            return False
        scheme = urlsplit(url).scheme
        if is_loopback(host):
            return is_loopback(host_of(self.api_url)) and scheme in {"http", "https"}
        own = {host_of(self.api_url), host_of(self.issuer_url)}
        is_extra = any(_names(entry, url) for entry in self.extra)
        return scheme == "https" and (host in own or host.endswith(VENDOR_DOMAINS) or is_extra)


def _names(entry: str, url: str) -> bool:
    """True if an entry (`host`, `host:port`, `*.domain`) matches the host of a URL; without a port it matches any."""
    name, port = _host_and_port(entry)
    host = host_of(url)
    is_host = host.endswith(name[1:]) if name.startswith("*.") else host == name
    return is_host and port in {None, _origin(url)[2]}


def _is_at(entry: str, url: str) -> bool:
    """As `_names`, but an entry without a port matches the default port only."""
    port = _host_and_port(entry)[1]
    return _names(entry, url) and _origin(url)[2] == (port or HTTPS_PORT)


def _host_and_port(entry: str) -> tuple[str, int | None]:
    name, mark, port = entry.lower().partition(":")
    return (name, int(port)) if mark and port.isdecimal() else (entry.lower(), None)


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, host_of(url), parts.port or (HTTPS_PORT if parts.scheme == "https" else None)


def _shown(url: str) -> str:
    """Scheme and host for messages; with the scheme, because an http link to an allowed host is refused too."""
    host = host_of(url)
    return f"{urlsplit(url).scheme}://{host}" if host else "nowhere"
