"""Addresses of object stores."""

import pytest

from blocks.errors import InputError
from blocks.storage.destination.address import StoreAddress, is_store_address, parse_address

ACCOUNT = "https://plant01.blob.core.windows.net"


@pytest.mark.parametrize(
    ("text", "address", "url"),
    [
        ("az://exports", StoreAddress("az", "exports", ""), "az://exports"),
        ("AZ://exports/a b/ü%+/", StoreAddress("az", "exports", "a b/ü%+"), "az://exports/a b/ü%+"),
        ("s3://my.bucket/x", StoreAddress("s3", "my.bucket", "x"), "s3://my.bucket/x"),
        ("gs://my_bucket", StoreAddress("gs", "my_bucket", ""), "gs://my_bucket"),
        (
            "abfss://exports@plant01.dfs.core.windows.net/x/y",
            StoreAddress("az", "exports", "x/y", ACCOUNT),
            f"{ACCOUNT}/exports/x/y",
        ),
        (f"{ACCOUNT}/exports/a%20b/", StoreAddress("az", "exports", "a b", ACCOUNT), f"{ACCOUNT}/exports/a b"),
    ],
)
def test_an_address_is_read(text: str, address: StoreAddress, url: str) -> None:
    """Every promised form is read, and shown in one form without a slash at its end."""
    assert is_store_address(text)
    assert parse_address(text) == address
    assert parse_address(text).url == url


@pytest.mark.parametrize(
    "text",
    [
        "az://",
        "az:///prefix",
        "s3://a/b//c",
        "s3://bucket/../x",
        "s3://bucket/a /x",
        "s3://bucket:9000/x",
        "s3://key@bucket/x",
        "gs://bucket/a\\b",
        "az://exports/\x1b[2J",
        "gs://bucket/" + "x" * 513,
        "ftp://host/x",
        "https://example.com/exports",
        "abfss://exports/x",
        "https://[/x",
    ],
)
def test_an_address_that_cannot_be_used_is_refused(text: str) -> None:
    """One printable sentence says why, and which forms there are."""
    with pytest.raises(InputError, match="Give a folder, or az://CONTAINER/PREFIX") as refused:
        parse_address(text)
    assert str(refused.value).isprintable()


def test_a_signature_in_the_address_is_refused_unseen() -> None:
    """A SAS in the address is refused without being repeated: it would end up in parameters and reports."""
    with pytest.raises(InputError, match="belongs into the block Export Destination") as refused:
        parse_address(f"{ACCOUNT}/exports?sv=1&sig=abcdefghijk")
    assert "abcdefghijk" not in str(refused.value)


@pytest.mark.parametrize("text", ["exports", "/data/a:b", "C:\\exports", "az:/exports", "~/x"])
def test_a_path_is_no_address(text: str) -> None:
    """Everything without a scheme and two slashes is a folder."""
    assert not is_store_address(text)
