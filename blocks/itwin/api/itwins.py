"""iTwins API. Vendor page: https://developer.bentley.com/apis/itwins/operations/get-my-itwins/."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from blocks.itwin.client import ItwinClient, model_from
from blocks.itwin.models import ITwin

PAGE_SIZE = 1000
MAX_RETURN = {"X-Max-Return": "10000"}
"""Highest number of iTwins in the list; without this header the platform cuts the list after 1000."""


@dataclass(frozen=True)
class ITwinsApi:
    """Client for the iTwins that the caller is a member of."""

    client: ItwinClient

    async def list_itwins(self, *, search: str = "", page_size: int = PAGE_SIZE) -> AsyncIterator[ITwin]:
        """Iterate over the iTwins of the caller; the platform leaves inactive ones out.

        Args:
            search: Only iTwins with this text in their display name or number.
            page_size: Items per request.
        """
        what = "List the iTwins"
        params = {"$search": search} if search else None
        async for item in self.client.items(
            "/itwins", "iTwins", what=what, page_size=page_size, params=params, headers=MAX_RETURN
        ):
            yield model_from(ITwin, item, what)
