"""Whole objects, conditions, listings and copies, the same in Azurite, in moto's S3 and in a Google Cloud server."""

from functools import partial
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from blocks.storage.destination.address import parse_address
from blocks.storage.destination.object_store import MISSING, Version
from blocks.storage.destination.store_access import open_store
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.destination.web_headers import IMMUTABLE, headers_of
from deployments.sandbox.azurite import RunningAzurite
from tests.object_stores.destinations import StoreUnderTest, of_azurite, s3_access

NAMES = ["plain.json", "a b/c+d%25é.json", "100% “done”/ü & more.ifc", "#1?/x=y.json"]


@pytest.mark.parametrize("name", NAMES)
def test_an_object_is_read_as_it_was_written(destination: StoreUnderTest, name: str) -> None:
    """Content, version and name come back, also of names with blanks, `%`, `+` and other alphabets."""
    store = destination.open()
    version = store.write(name, b"content")
    found = store.read(name, 100)
    assert found
    assert (found.content, found.version.etag) == (b"content", version.etag)
    listed = store.entries("")
    assert {key: (entry.size, entry.etag) for key, entry in listed.items()} == {name: (7, version.etag)}


def test_only_the_first_writer_creates(destination: StoreUnderTest) -> None:
    """A write under the condition that there is no such object is refused where there is one."""
    store = destination.open()
    store.write("manifest.json", b"the first", condition=MISSING)
    with pytest.raises(ChangedMeanwhileError):
        store.write("manifest.json", b"the other", condition=MISSING)
    found = store.read("manifest.json", 100)
    assert found
    assert found.content == b"the first"


def test_only_the_version_that_was_seen_is_replaced(destination: StoreUnderTest) -> None:
    """A write under the condition of a version is refused after another write, and where the object is gone."""
    store = destination.open()
    seen = store.write("manifest.json", b"1")
    store.write("manifest.json", b"two", condition=seen)
    with pytest.raises(ChangedMeanwhileError):
        store.write("manifest.json", b"three", condition=seen)
    with pytest.raises(ChangedMeanwhileError):
        store.write("gone.json", b"3", condition=Version("0x1", "17"))


def test_a_big_file_arrives_in_parts(destination: StoreUnderTest, tmp_path: Path) -> None:
    """A file of several parts comes back with the same SHA-256, and its ETag is the one that is listed."""
    store, file = destination.open(), tmp_path / "model.ifc"
    file.write_bytes(bytes(range(256)) * 80_000)
    version = store.upload("model.ifc", file, headers_of("model.ifc", IMMUTABLE))
    assert store.entries("")["model.ifc"].etag == version.etag
    assert store.download("model.ifc", tmp_path / "copy") == store.sha256_of("model.ifc")
    assert (tmp_path / "copy").read_bytes() == file.read_bytes()


def test_a_prefix_ends_at_a_slash(destination: StoreUnderTest) -> None:
    """What lies below `ab` is neither listed nor deleted with `a`."""
    store = destination.open()
    for key in ("a/1.json", "a/b/2.json", "ab/3.json", "a.json"):
        store.write(key, b"{}")
    assert sorted(store.entries("a")) == ["a/1.json", "a/b/2.json"]
    assert sorted(store.folders()) == ["a", "ab"]
    store.delete(store.entries("a"))
    assert sorted(store.entries("")) == ["a.json", "ab/3.json"]


def test_a_copy_is_made_inside_the_store(destination: StoreUnderTest) -> None:
    """A copied object has the same content; what is deleted twice counts as deleted."""
    store = destination.open()
    store.write("a b/ü%.json", b"same")
    store.copy("a b/ü%.json", "c/d+.json")
    found = store.read("c/d+.json", 10)
    assert found
    assert found.content == b"same"
    store.delete(["a b/ü%.json"])
    store.delete(["a b/ü%.json"])
    assert list(store.entries("")) == ["c/d+.json"]


def test_what_is_missing_is_none_and_what_is_too_long_is_refused(destination: StoreUnderTest) -> None:
    """A missing object is None; one that is longer than it may be is not read."""
    store = destination.open()
    assert store.read("nothing.json", 10) is None
    store.write("long.json", b"x" * 11)
    with pytest.raises(ConfigurationError, match="longer than 10 bytes"):
        store.read("long.json", 10)


def test_a_missing_container_is_named(azurite: RunningAzurite, moto: str) -> None:
    """A container or bucket that does not exist ends in one sentence, not as a missing object."""
    for url, access in (("az://nowhere", of_azurite(azurite).access), ("s3://nowhere/x", s3_access(moto))):
        store = open_store(parse_address(url), access)
        for use in (partial(store.read, "a.json", 10), partial(store.write, "a.json", b""), partial(store.entries, "")):
            with pytest.raises(ConfigurationError, match=f"The container or bucket of {url} does not exist"):
                use()
