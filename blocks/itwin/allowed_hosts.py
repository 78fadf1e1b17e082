"""Which hosts a link returned by the platform may lead to."""

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from blocks.errors import ConfigurationError
from blocks.urls import host_of, is_loopback

VENDOR_DOMAINS = (".bentley.com", ".blob.core.windows.net")

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
"""Anything else, such as a backslash, another client may read as the end of the host."""


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts of one configuration.

    The API and issuer hosts, the vendor's domains and the extra hosts are allowed over HTTPS; loopback hosts (over
    HTTP too) only if the API itself is on loopback.
    """

    api_url: str
    issuer_url: str
    extra: tuple[str, ...] = ()

    def resolve(self, link: str, *, base: str) -> str:
        """Turn an absolute or relative link into an absolute one that may be followed.

        Raises:
            ConfigurationError: It leads to a host that is not allowed; nothing has been sent there.
        """
        url = _joined(base, link)
        if not self.allows(url):
            raise ConfigurationError(
                f"The platform returned a link to {_shown(url)}, which is not on the list of allowed hosts, so nothing "
                f"was sent there. If you trust it, add it to ITWIN_ALLOWED_HOSTS or to the block's allowed hosts."
            )
        return url

    def allows(self, url: str) -> bool:
        """True if the URL may be followed."""
        host = host_of(url)
        if not _HOST.fullmatch(host) or "@" in urlsplit(url).netloc:
            return False
        scheme = urlsplit(url).scheme
        if is_loopback(host):
            return is_loopback(host_of(self.api_url)) and scheme in {"http", "https"}
        own = {host_of(self.api_url), host_of(self.issuer_url), *(name.lower() for name in self.extra)}
        own_schemes = {"https", urlsplit(self.api_url).scheme} if host == host_of(self.api_url) else {"https"}
        return scheme in own_schemes and (host in own or host.endswith(VENDOR_DOMAINS))


def _joined(base: str, link: str) -> str:
    """The link made absolute; empty when it is none."""
    try:
        return urljoin(base, link)
    except ValueError:
        return ""


def _shown(url: str) -> str:
    """Scheme and host: a plain http link to an allowed host is refused, too."""
    host = host_of(url)
    return f"{urlsplit(url).scheme}://{host}" if host else "nowhere"
