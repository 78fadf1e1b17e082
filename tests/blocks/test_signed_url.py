"""A pre-signed URL is whole only where a request is sent."""

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from blocks.signed_url import SignedUrl
from blocks.storage.renewable_link import RenewableLink, fixed_link

SAS = SignedUrl("https://Acc.blob.core.windows.net/c/a%20b.ifc?sp=r&se=2026-12-01T10%3A00%3A00Z&sig=s3cret%2F%3D")


@dataclass(frozen=True)
class Holder:
    link: SignedUrl


@pytest.mark.parametrize("text", [str(SAS), repr(SAS), f"{SAS}", f"{Holder(SAS)}", "%s" % SAS, ascii([SAS])])  # noqa: UP031
def test_no_text_of_it_has_the_signature(text: str) -> None:
    """Every way of printing a signed URL shows the host and the expiry, and no query."""
    assert "SignedUrl(acc.blob.core.windows.net, expires 2026-12-01 10:00:00 UTC)" in text
    assert "s3cret" not in text
    assert "sig" not in text


@pytest.mark.parametrize("store", [pickle.dumps, copy.deepcopy, json.dumps, TypeAdapter(object).dump_json])
def test_it_is_never_stored(store: Callable[[object], object]) -> None:
    """A signed URL cannot be pickled, copied or written as JSON, not even inside another object."""
    for held in (SAS, Holder(SAS), [SAS]):
        with pytest.raises(Exception, match=r"not stored|serializ") as caught:
            store(held)
        assert "s3cret" not in str(caught.value)
    with pytest.raises(TypeError, match="not stored"):
        asdict(Holder(SAS))


@pytest.mark.parametrize(
    ("query", "expiry"),
    [
        ("se=2026-12-01T10:00:00Z", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("se=2026-12-01T10%3A00Z", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("se=2026-12-01", datetime(2026, 12, 1, tzinfo=UTC)),
        ("Expires=1796119200&Signature=x", datetime(2026, 12, 1, 10, tzinfo=UTC)),
        ("Expires=soon&se=2026-12-01", None),
        ("Expires=99999999999999999999", None),
        ("se=never", None),
        ("si=policy", None),
        ("", None),
    ],
)
def test_its_expiry(query: str, expiry: datetime | None) -> None:
    """The expiry of a SAS and of a CDN's link is read; none where it is missing or no time."""
    assert SignedUrl(f"https://host/c?{query}").expiry == expiry


def test_an_invalid_url_is_printed_too() -> None:
    """A text that is no URL has no host and no expiry, and is not shown."""
    assert str(SignedUrl("http://[::1/c?sig=s3cret")) == "SignedUrl()"


def test_the_link_of_a_file() -> None:
    """A file's path goes before the query, which stays untouched, with one slash and what is odd encoded."""
    expected = "https://host/c/a%20b/%C3%BC%23.glb?sv=1&sig=a%2Fb"
    assert SignedUrl("https://host/c?sv=1&sig=a%2Fb").of_blob("a b/ü#.glb").reveal() == expected
    assert SignedUrl("https://host/c/?sv=1&sig=a%2Fb").of_blob("a b/ü#.glb").reveal() == expected
    assert SignedUrl("https://host/c").of_blob("x").reveal() == "https://host/c/x"
    assert (
        SignedUrl("https://host/c/?sig=a%2Fb").with_query("comp=list").reveal() == "https://host/c?sig=a%2Fb&comp=list"
    )


def test_a_fixed_link_is_the_same_link() -> None:
    """A link that cannot be renewed is returned as it is until the server refuses it."""
    assert asyncio.run(RenewableLink(fixed_link(SAS)).current()) == SAS
