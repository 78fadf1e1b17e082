"""Paged lists of the iTwin Platform. Vendor page: https://developer.bentley.com/apis/overview/."""

from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qs

from blocks.bounds import LONGEST_ID, LONGEST_LIST, MOST_LISTED, MOST_PAGES
from blocks.errors import ExportError
from blocks.itwin.models import href_of
from blocks.itwin.transport import Json


@dataclass
class ListedItems:
    """The items of a paged list so far, by id; bounded, because a list may never end.

    Args:
        what: What is requested, for error messages.
    """

    what: str
    ids: set[str] = field(default_factory=set[str])
    pages: int = 0
    count: int = 0
    size: int = 0

    def add(self, listed: list[Json], size: int) -> list[Json]:
        """The items of a page that no page before it had.

        Raises:
            ExportError: The list has more pages, items or bytes than any real one.
        """
        found = [item for item in listed if _id_of(item) not in self.ids]
        self.ids.update(map(_id_of, found))
        self.pages, self.count, self.size = self.pages + 1, self.count + len(found), self.size + size
        if self.pages > MOST_PAGES or self.count > MOST_LISTED or self.size > LONGEST_LIST:
            raise ExportError(
                f"{self.what}: the list does not end: it has more than {MOST_PAGES} pages, {MOST_LISTED} items or "
                f"{LONGEST_LIST} bytes. Check ITWIN_API_URL, or have what is no longer needed removed there."
            )
        return found


def _id_of(item: Json) -> str:
    return str(item.get("id"))[:LONGEST_ID]


def _next_link(page: Json) -> str:
    links: object = page.get("_links")
    return href_of(cast("Json", links).get("next")) if isinstance(links, dict) else ""


def is_last(page: Json, listed: int, page_size: int) -> bool:
    """True if the page has no next link, though it names links, and is not full."""
    return isinstance(page.get("_links"), dict) and not _next_link(page) and listed < page_size


def next_position(page: Json, count: int) -> dict[str, str | int]:
    """The query parameters of the page after this one, `count` items into the list."""
    query = _next_link(page).partition("?")[2].partition("#")[0]
    token = parse_qs(query).get("$continuationToken")
    return {"$continuationToken": token[0]} if token else {"$skip": count}
