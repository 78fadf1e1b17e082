"""A pre-signed URL: whoever has it may read or write, until it expires."""

from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import parse_qs, quote, urlsplit

from blocks.timestamps import parse_timestamp
from blocks.urls import host_of


class SignedUrl:
    """A SAS URL of Azure or a signed URL of a CDN.

    Only `reveal` returns it whole: `str` and `repr` show its host and its expiry, and it cannot be pickled, so that it
    gets into no log, message, parameter, result or file. It is no dataclass, because those are searched and written
    member by member.
    """

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def reveal(self) -> str:
        """The whole URL, for the client that sends the request."""
        return self._url

    @property
    def host(self) -> str:
        """Its host in lower case; empty if there is none."""
        return host_of(self._url)

    @property
    def unsigned(self) -> str:
        """The URL without its query, which is where the signature is."""
        return self._url.partition("?")[0]

    @property
    def expiry(self) -> datetime | None:
        """When it expires: `se` of a SAS, `Expires` (seconds since 1970) of a CDN; None if unknown.

        https://learn.microsoft.com/rest/api/storageservices/create-service-sas,
        https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html
        """
        if seconds := self.parameter("Expires"):
            return _from_seconds(seconds)
        moment = parse_timestamp(self.parameter("se"))
        return moment if isinstance(moment, datetime) else None

    def parameter(self, name: str) -> str:
        """A query parameter; empty if missing, or if the URL is invalid."""
        try:
            return parse_qs(urlsplit(self._url).query).get(name, [""])[0]
        except ValueError:
            return ""

    def of_blob(self, name: str) -> "SignedUrl":
        """The URL of a blob in the container (or CDN folder) that this one is for, with the same signature."""
        base, mark, query = self._url.partition("?")
        return SignedUrl(f"{base.rstrip('/')}/{quote(name)}{mark}{query}")

    def with_query(self, more: str) -> "SignedUrl":
        """This URL with more, already encoded query parameters, and without trailing slashes of its path."""
        base, _, query = self._url.partition("?")
        return SignedUrl(f"{base.rstrip('/')}?{query}&{more}")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SignedUrl) and other._url == self._url

    def __hash__(self) -> int:
        return hash(self._url)

    def __repr__(self) -> str:
        until = f", expires {self.expiry:%Y-%m-%d %H:%M:%S} UTC" if self.expiry else ""
        return f"SignedUrl({self.host}{until})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("A signed URL is not stored; request a new one where it is needed.")


def _from_seconds(text: str) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(text), UTC) if text.isdecimal() else None
    except (ValueError, OverflowError, OSError):
        return None
