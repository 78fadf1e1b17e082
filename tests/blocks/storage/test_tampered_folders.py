"""What others put into a shared folder deletes, publishes and reads nothing outside of it."""

import dataclasses
import hashlib
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.disk import PartFile, trial_folder, write_whole
from blocks.errors import ContentError
from blocks.storage.download.checkpoint import ChunkCheckpoint
from blocks.storage.download.source import BlobProperties
from blocks.storage.file_names import find_unstorable, safe_name
from blocks.storage.manifest import LONGEST_MANIFEST, ManifestFile, read_manifest
from blocks.storage.publish import publish_files, verify_published
from blocks.storage.tileset.checkpoint import LONGEST_CHECKPOINT, PublishedTiles, TileCheckpoint
from blocks.storage.tileset.listing import Tile
from blocks.storage.tileset.publish import previous_path, recover
from blocks.storage.tileset.tile_body import FetchedTile
from tests.blocks.storage.test_publish import manifest_of, stage
from tests.blocks.storage.tileset.test_publish import names_in, publish
from tests.blocks.storage.tileset.tilesets import small
from tests.tampering import hostile

SECRET = b"a private file"
DIGEST = hashlib.sha256(SECRET).hexdigest()
MD5 = hashlib.md5(SECRET, usedforsecurity=False)
KNOWN = BlobProperties(size=10, etag='"v1"', md5=None)
FAST = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file outside the folder of exports."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "private.ifc").write_bytes(SECRET)
    return folder / "private.ifc"


def names_of(victim: Path) -> list[str]:
    """The ways to name the victim from `shared/out`."""
    return [str(victim), "../../home/private.ifc", "a/../../../home/private.ifc", "./../../home/private.ifc"]


def tamper(folder: Path, *names: str, victim: Path) -> None:
    """Let the manifest in a folder list more files, described as the victim is."""
    state = victim.stat()
    manifest = read_manifest(folder)
    assert manifest
    more = tuple(
        ManifestFile(name, "tile", state.st_size, DIGEST, state.st_mtime_ns, md5=MD5.hexdigest()) for name in names
    )
    document: dict[str, Any] = manifest.model_dump(mode="json")
    document["files"] += [dataclasses.asdict(file) for file in more]
    (folder / "manifest.json").write_text(json.dumps(document))


@pytest.mark.parametrize("way", range(4))
def test_a_manifest_deletes_nothing_outside(way: int, tmp_path: Path, victim: Path) -> None:
    """Publishing a tileset or IFC files over a tampered manifest leaves a file that it names by path alone."""
    publish(tmp_path / "shared", small(3))
    tamper(tmp_path / "shared" / "mesh", names_of(victim)[way], victim=victim)
    publish(tmp_path / "shared", small(2))
    for text in ("one", "two"):
        staged = stage(tmp_path / "staging", model=text)
        publish_files(staged, tmp_path / "shared" / "out", manifest_of(*staged))
        tamper(tmp_path / "shared" / "out", names_of(victim)[way], victim=victim)
    assert victim.read_bytes() == SECRET


@pytest.mark.parametrize("way", range(4))
def test_a_manifest_brings_no_private_file_into_the_export(way: int, tmp_path: Path, victim: Path) -> None:
    """A tile is not linked from a path outside, though size, time and MD5 of the manifest are those of the file."""
    publish(tmp_path / "shared", small(3))
    tamper(tmp_path / "shared" / "mesh", names_of(victim)[way], victim=victim)
    (tmp_path / "staging").mkdir()
    wanted = Tile("tile.glb", len(SECRET), '"v1"', MD5.digest())
    assert PublishedTiles(tmp_path / "shared" / "mesh").take(wanted, tmp_path / "staging") is None
    assert names_in(tmp_path / "staging") == []


@pytest.mark.parametrize("inside", ["link.ifc", "folder/private.ifc"])
def test_links_among_published_tiles_are_not_followed(inside: str, tmp_path: Path, victim: Path) -> None:
    """A symbolic link in a published folder is neither verified, linked into the next export nor deleted through."""
    publish(tmp_path / "shared", small(3))
    folder = tmp_path / "shared" / "mesh"
    (folder / "link.ifc").symlink_to(victim)
    (folder / "folder").symlink_to(victim.parent)
    tamper(folder, inside, victim=victim)
    manifest = read_manifest(folder)
    assert manifest
    with pytest.raises(ContentError, match="is missing"):
        verify_published(folder, manifest)
    (tmp_path / "staging").mkdir()
    tiles = PublishedTiles(folder)
    assert tiles.take(Tile("tile.glb", len(SECRET), '"v1"', MD5.digest()), tmp_path / "staging") is None
    tiles.share(FetchedTile(inside, len(SECRET), DIGEST), tmp_path / "staging")
    assert names_in(tmp_path / "staging") == []
    publish(tmp_path / "shared", small(2))
    assert victim.read_bytes() == SECRET
    assert names_in(tmp_path / "shared") == ["mesh", "mesh.kept-1"]


@pytest.mark.parametrize("is_published", [True, False])
def test_a_link_in_the_place_of_the_previous_tileset(is_published: bool, tmp_path: Path) -> None:
    """What a planted link `.mesh.previous` leads to is neither deleted nor published."""
    theirs = publish(tmp_path / "theirs", small(3))
    if is_published:
        publish(tmp_path / "shared", small(2))
    (tmp_path / "shared").mkdir(exist_ok=True)
    previous_path(tmp_path / "shared" / "mesh").symlink_to(tmp_path / "theirs" / "mesh")
    recover(tmp_path / "shared" / "mesh")
    verify_published(tmp_path / "theirs" / "mesh", theirs, full=True)
    assert names_in(tmp_path / "shared") == (["mesh"] if is_published else [])


def test_what_another_process_removes_first_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tileset is published though another process deletes the old one, or a left-over trial, at the same moment."""
    publish(tmp_path, small(3))
    remove = Path.unlink

    def overtaken(path: Path, missing_ok: bool = False) -> None:
        remove(path, missing_ok)
        if path.name == "manifest.json":
            path.parent.joinpath("tiles", "0").rmdir()

    monkeypatch.setattr(Path, "unlink", overtaken)
    verify_published(tmp_path / "mesh", publish(tmp_path, small(2)), full=True)
    (tmp_path / ".itwin-export-trial-gone").symlink_to(tmp_path / "nowhere")
    with trial_folder(tmp_path):
        pass
    assert "mesh" in names_in(tmp_path)


def test_planted_links_in_staging_are_not_written_through(tmp_path: Path, victim: Path) -> None:
    """A part file, a checkpoint and a draft that are links to a private file do not change it."""
    planted = tmp_path / "model.ifc.part"
    planted.symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"), PartFile(planted, 0):
        pass
    TileCheckpoint(planted).__exit__(None, None, None)
    planted.unlink()
    planted.symlink_to(victim)
    write_whole(planted, b"new")
    assert victim.read_bytes() == SECRET
    assert planted.read_bytes() == b"new"


def test_what_cannot_be_a_manifest_or_checkpoint_is_none(tmp_path: Path, victim: Path) -> None:
    """Links, FIFOs, folders and files beyond the bound are read as missing, at once."""
    path = tmp_path / "manifest.json"
    for plant in (
        lambda: path.symlink_to(victim),
        lambda: os.mkfifo(path),
        lambda: (path.touch(), os.truncate(path, max(LONGEST_MANIFEST, LONGEST_CHECKPOINT) + 1)),
    ):
        plant()
        assert read_manifest(tmp_path) is None
        with TileCheckpoint(path) as checkpoint:
            assert checkpoint.tiles == {}
        path.unlink()


MANIFEST: dict[str, Any] = manifest_of().model_dump(mode="json") | {
    "files": [{"path": "a", "role": "tile", "size": 1, "sha256": DIGEST}]
}
TILE: dict[str, Any] = dataclasses.asdict(FetchedTile("a.glb", 1, DIGEST, '"v1"'))
CHUNKS: dict[str, Any] = {"format": 1, "etag": '"v1"', "size": 10, "md5": None, "chunk_size": 5, "finished": [0]}


@FAST
@given(hostile(MANIFEST))
def test_any_manifest(tmp_path: Path, content: bytes) -> None:
    """Whatever lies in the place of a manifest is a valid manifest of names inside its folder, or none."""
    (tmp_path / "manifest.json").write_bytes(content)
    manifest = read_manifest(tmp_path)
    if manifest:
        assert find_unstorable(file.path for file in manifest.files) is None
        with suppress(ContentError):
            verify_published(tmp_path, manifest)


@pytest.mark.parametrize(
    ("member", "value", "expected"),
    [
        ("created_at", "2026-11-22T00:00:00", datetime(2026, 11, 22, tzinfo=UTC)),
        ("created_at", "0001-01-01T00:00:00+14:00", None),
        ("total_bytes", 2**63, None),
    ],
)
def test_impossible_members(tmp_path: Path, member: str, value: object, expected: object) -> None:
    """A manifest with an impossible time or number is none; a time without a zone is in UTC."""
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {member: value}))
    manifest = read_manifest(tmp_path)
    assert (getattr(manifest, member) if manifest else None) == expected


@FAST
@given(st.lists(hostile(TILE), max_size=3))
def test_any_tile_checkpoint(tmp_path: Path, lines: list[bytes]) -> None:
    """Whatever lies in the place of a checkpoint of tiles, its lines are tiles or ignored."""
    path = tmp_path / "mesh.journal"
    path.write_bytes(b"\n".join(lines))
    with TileCheckpoint(path) as checkpoint:
        for tile in checkpoint.tiles.values():
            assert isinstance(tile.size, int)
            assert checkpoint.kept(Tile("a.glb"), tmp_path) is None


@FAST
@given(hostile(CHUNKS))
def test_any_chunk_checkpoint(tmp_path: Path, content: bytes) -> None:
    """Whatever lies in the place of a checkpoint of chunks, only chunks of the file count as finished."""
    (tmp_path / "part").write_bytes(bytes(10))
    (tmp_path / "part.json").write_bytes(content)
    found = ChunkCheckpoint.load(tmp_path / "part.json", tmp_path / "part", KNOWN, 5)
    assert found.finished <= {0, 1}
    assert 0 <= found.finished_bytes <= 10


@given(st.text(st.characters() | st.sampled_from("./\\ "), max_size=50))
def test_any_path(name: str) -> None:
    """A path that may be stored stays below its folder, and every safe name may be stored."""
    assert find_unstorable([safe_name(name)]) is None
    if find_unstorable([name]) is None:
        assert os.path.normpath(f"/folder/{name}") == f"/folder/{name}"
