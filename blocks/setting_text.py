"""Normalise the values of settings: white space, line ends, quotes, and host names given as addresses."""

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

from blocks.shown_text import is_text
from blocks.urls import host_of, is_loopback

_INVISIBLE = "\ufeff\u200b"
_ALLOWED_HOST = re.compile(r"(?:\*\.(?=[^.]+\.))?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*(?::\d{1,5})?|[0-9a-f]*:[0-9a-f:.]+")


def unquoted(text: str) -> str:
    """The text without blanks, line ends and quotes around it.

    Raises:
        ValueError: It holds bytes that are no UTF-8, which could be neither sent nor shown.
    """
    if not is_text(text):
        raise ValueError("is not UTF-8")
    bare = text.strip().strip(_INVISIBLE).strip()
    while len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "\"'":
        bare = bare[1:-1].strip()
    return bare


def unquoted_value(value: object) -> object:
    """A text or a secret without what is around it; any other value as it is."""
    if isinstance(value, SecretStr):
        return SecretStr(unquoted(value.get_secret_value()))
    return unquoted(value) if isinstance(value, str) else value


def platform_address(text: str) -> str:
    """The root address of an API or issuer, without a slash at its end.

    Raises:
        ValueError: It is none, or it would send secrets over plain HTTP.
    """
    url = unquoted(text)
    try:
        scheme = urlsplit(url).scheme.lower()
    except ValueError:
        scheme = ""
    if scheme not in {"https", "http"} or not host_of(url):
        raise ValueError("must start with https:// (or http:// on loopback)")
    if scheme == "http" and not is_loopback(host_of(url)):
        raise ValueError("must start with https://: plain http:// is for loopback only, it would show your secrets")
    return url.rstrip("/")


def allowed_host(text: str) -> str:
    """The entry of a list of allowed hosts: `host`, `host:port` or `*.domain`, in lower case.

    Raises:
        ValueError: No link can ever match it.
    """
    entry = unquoted(text).lower()
    scheme, _, rest = entry.rpartition("://")
    host = re.split(r"[/?#]", rest, maxsplit=1)[0].removesuffix(":443")
    host = f"*{host}" if host.startswith(".") else host
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if scheme not in {"", "https"} or not _ALLOWED_HOST.fullmatch(host):
        raise ValueError(
            "holds an entry that no link can match; write HOST, HOST:PORT or *.DOMAIN, separated by commas "
            "(links are followed over https:// only)"
        )
    return host
