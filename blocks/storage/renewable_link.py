"""A pre-signed URL that is renewed before it expires and after it was rejected."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from blocks.errors import LinkExpiredError
from blocks.known_secrets import remember_secret
from blocks.signed_url import SignedUrl

FetchLink = Callable[[], Awaitable[SignedUrl]]


def fixed_link(url: SignedUrl) -> FetchLink:
    """A `FetchLink` that always returns the same URL."""

    async def fetch() -> SignedUrl:
        return url

    return fetch


class RenewableLink:
    """The current link; concurrent callers share one renewal.

    Args:
        fetch: Requests a new link from the platform.
        margin: Seconds before its expiry at which a link is renewed.
    """

    def __init__(self, fetch: FetchLink, *, margin: float = 60.0) -> None:
        self._fetch = fetch
        self._margin = margin
        self._lock = asyncio.Lock()
        self._url = SignedUrl("")
        self._is_rejected = False
        self._fetched_at = 0.0

    async def current(self) -> SignedUrl:
        """The link to use now.

        Raises:
            LinkExpiredError: The server rejected the link and `fetch` returns the same one again.
        """
        if self._is_stale():
            async with self._lock:
                if self._is_stale():
                    await self._replace()
        return self._url

    def mark_rejected(self, url: SignedUrl) -> None:
        """Record that the server rejected this link; ignored if it is not the current one."""
        if url == self._url:
            self._is_rejected = True

    def clear_rejection(self) -> None:
        """Mark the link usable again: only the listing was refused."""
        self._is_rejected = False

    async def renew(self) -> None:
        """Fetch a new link if the current one was rejected or is about to expire."""
        await self.current()

    def _is_stale(self) -> bool:
        return not self._fetched_at or self._is_rejected or self._is_expiring()

    def _is_expiring(self) -> bool:
        """True if the link expires soon and is not new: a short lifetime or a wrong clock must not renew it always."""
        expiry = self._url.expiry
        is_old = time.monotonic() - self._fetched_at > self._margin
        return expiry is not None and is_old and expiry.timestamp() - time.time() < self._margin

    async def _replace(self) -> None:
        url = await self._fetch()
        if self._is_rejected and url == self._url:
            raise LinkExpiredError(
                f"{url.host} refuses the link and there is no other: it has expired or may not read. "
                "Make a new link and run the same again."
            )
        remember_secret(url.reveal())
        self._url, self._is_rejected, self._fetched_at = url, False, time.monotonic()
