"""A large file that an object store takes while it is being downloaded."""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from blocks.storage.destination.file_upload import LEAST_SIZE, FileUploads
from blocks.storage.destination.object_store import ObjectStore
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import Answer, XmlStore

MIB = 1024 * 1024
CONTENT = bytes(range(256)) * (20 * 4096)


@pytest.fixture
def s3(s3_store: XmlStore) -> ObjectStore:
    """The store that is opened."""
    return of_xml_store(s3_store).open()


@pytest.fixture
def uploads(s3: ObjectStore) -> Generator[FileUploads]:
    """Uploads into the store."""
    with closing(FileUploads(s3, lambda name: f"ifc/{name}")) as uploads:
        yield uploads


def grow(uploads: FileUploads, folder: Path, content: bytes, *, until: int = len(CONTENT)) -> Path:
    """Download a file in order, up to so many bytes; where it will be."""
    target, part = folder / "model.ifc", folder / "model.ifc.part"
    with part.open("wb") as file:
        for start in range(0, until, 3 * MIB):
            file.write(content[start : min(start + 3 * MIB, until)])
            file.flush()
            uploads.advance(target, part, file.tell(), len(content))
    if until == len(content):
        part.replace(target)
    return target


def content_of(store: ObjectStore) -> bytes | None:
    """What readers find."""
    opened = store.open("ifc/model.ifc")
    return b"".join(opened.pieces) if opened else None


def test_it_appears_when_it_is_committed(destination: StoreUnderTest, tmp_path: Path) -> None:
    """An uploaded file is invisible until it is committed, and then complete, with its Content-Type."""
    store = destination.open()
    with closing(FileUploads(store, lambda name: f"ifc/{name}")) as uploads:
        target = grow(uploads, tmp_path, CONTENT)
        assert content_of(store) is None
        version = uploads.commit(target)
    assert content_of(store) == CONTENT
    opened = store.open("ifc/model.ifc")
    assert opened
    assert version
    assert opened.etag == version.etag


def test_parts_arrive_during_the_download(uploads: FileUploads, s3_store: XmlStore, tmp_path: Path) -> None:
    """The first parts are in the store while the rest of the file is still to come."""
    grow(uploads, tmp_path, CONTENT, until=18 * MIB)
    while not any(s3_store.parts.values()):
        pass
    assert s3_store.objects == {}


def test_what_is_abandoned_leaves_nothing(s3: ObjectStore, s3_store: XmlStore, tmp_path: Path) -> None:
    """An export that fails before it is published leaves neither an object nor parts."""
    with closing(FileUploads(s3, lambda name: f"ifc/{name}")) as uploads:
        grow(uploads, tmp_path, CONTENT)
    assert s3_store.objects == {}
    assert s3_store.parts == {}


def test_another_version_begins_anew(uploads: FileUploads, s3: ObjectStore, tmp_path: Path) -> None:
    """Where the file changes in mid-download, what was uploaded of the one before is no part of it."""
    later = CONTENT[::-1]
    grow(uploads, tmp_path, CONTENT, until=9 * MIB)
    uploads.restart(tmp_path / "model.ifc")
    target = grow(uploads, tmp_path, later)
    assert uploads.commit(target)
    assert content_of(s3) == later


def test_a_store_that_refuses_a_part_gets_the_file_later(
    uploads: FileUploads, s3: ObjectStore, s3_store: XmlStore, tmp_path: Path
) -> None:
    """The upload of a complete file takes the place of one that failed meanwhile."""
    s3_store.fault = lambda method, _key: Answer(403, "AccessDenied") if method == "PUT" else None
    target = grow(uploads, tmp_path, CONTENT)
    assert uploads.commit(target) is None
    s3_store.fault = None
    s3.upload("ifc/model.ifc", target, {})
    assert content_of(s3) == CONTENT


def test_small_files_wait(uploads: FileUploads, s3_store: XmlStore, tmp_path: Path) -> None:
    """A small file takes one request once it is complete."""
    small = b"x" * (LEAST_SIZE - 1)
    target = grow(uploads, tmp_path, small, until=len(small))
    assert uploads.commit(target) is None
    assert s3_store.requests == []
