"""Publication is atomic for readers, and an incomplete export is detected."""

import contextlib
import errno
import hashlib
import os
import string
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks import disk
from blocks.errors import ConfigurationError, ContentError, DiskError
from blocks.storage import publish
from blocks.storage.file_names import LONGEST_NAME, is_reserved, safe_name, with_suffix
from blocks.storage.manifest import Manifest, ManifestFile, read_manifest, write_manifest
from blocks.storage.publish import check_publishable, publish_files, verify_published


def manifest_of(*files: Path) -> Manifest:
    listed = tuple(
        ManifestFile(
            path=file.name,
            role="model",
            size=file.stat().st_size,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in files
    )
    return Manifest(
        api_url="https://api.example",
        imodel_id="a0471655",
        changeset_id=None,
        format="ifc",
        tool_version="0",
        files=listed,
        created_at=datetime(2026, 11, 22, tzinfo=UTC),
    )


def stage(folder: Path, **contents: str) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{name}.ifc" for name in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        path.write_text(content)
    return paths


def published(tmp_path: Path, **contents: str) -> Manifest:
    staged = stage(tmp_path / "staging", **contents)
    return publish_files(staged, tmp_path / "out", manifest_of(*staged))


def test_readers_see_no_drafts(tmp_path: Path) -> None:
    """While exports are published their folder holds files and manifest only, so a kill leaves no draft there."""
    seen, done = set[str](), threading.Event()

    def look() -> None:
        while not done.is_set():
            with contextlib.suppress(FileNotFoundError):
                seen.update(path.name for path in (tmp_path / "out").iterdir())

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(50):
        published(tmp_path, model=str(number))
    done.set()
    reader.join()
    assert seen == {"model.ifc", "manifest.json"}


def test_publish(tmp_path: Path) -> None:
    """After publication the files match their manifest and the staging folder is empty."""
    written = published(tmp_path, model="one", log="two")
    assert read_manifest(tmp_path / "out") == written
    verify_published(tmp_path / "out", written)
    verify_published(tmp_path / "out", written, full=True)
    assert (tmp_path / "out" / "model.ifc").read_text() == "one"
    assert list((tmp_path / "staging").iterdir()) == []


def test_publish_again(tmp_path: Path) -> None:
    """Files that only the old manifest lists are deleted; other files stay."""
    published(tmp_path, model="one", log="two")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    published(tmp_path, model="three")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "manifest.json",
        "model.ifc",
        "notes.txt",
    ]


@pytest.mark.parametrize("full", [True, False])
def test_old_manifest_beside_new_file(full: bool, tmp_path: Path) -> None:
    """After a crash between file and manifest the verification fails, even with equal sizes."""
    before = published(tmp_path, model="one")
    (tmp_path / "out" / "model.ifc").write_text("two")
    with pytest.raises(ContentError, match=r"model\.ifc .* is not the file that was exported"):
        verify_published(tmp_path / "out", before, full=full)


def test_touched_file(tmp_path: Path) -> None:
    """A file with another modification time and the same bytes passes."""
    manifest = published(tmp_path, model="one")
    os.utime(tmp_path / "out" / "model.ifc", (1, 1))
    verify_published(tmp_path / "out", manifest)


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is an error that names it."""
    manifest = published(tmp_path, model="one")
    (tmp_path / "out" / "model.ifc").unlink()
    with pytest.raises(ContentError, match=r"model\.ifc is missing"):
        verify_published(tmp_path / "out", manifest)


def test_silent_change(tmp_path: Path) -> None:
    """A change with the same size and modification time is detected by the full check only."""
    manifest = published(tmp_path, model="one")
    path = tmp_path / "out" / "model.ifc"
    stamp = path.stat().st_mtime_ns
    path.write_text("two")
    os.utime(path, ns=(stamp, stamp))
    verify_published(tmp_path / "out", manifest)
    with pytest.raises(ContentError):
        verify_published(tmp_path / "out", manifest, full=True)


def test_reader_meanwhile(tmp_path: Path) -> None:
    """A constant reader sees complete files only, and a verified export is what its manifest says."""
    published(tmp_path, model="v0" * 50_000)
    done = threading.Event()
    seen: list[tuple[str, str]] = []

    def look() -> None:
        while not done.is_set():
            manifest = read_manifest(tmp_path / "out")
            assert manifest
            content = (tmp_path / "out" / "model.ifc").read_bytes()
            if hashlib.sha256(content).hexdigest() == manifest.files[0].sha256:
                seen.append((content[:2].decode(), content[-2:].decode()))

    reader = threading.Thread(target=look)
    reader.start()
    for version in range(30):
        published(tmp_path, model=f"v{version % 10}" * 50_000)
    done.set()
    reader.join()
    assert seen
    assert all(first == last for first, last in seen)


@pytest.mark.parametrize("name", ["manifest.json", "a/b", "nul.ifc"])
def test_unfit_names(name: str, tmp_path: Path) -> None:
    """A manifest with an invalid file name is rejected before any file is moved."""
    staged = stage(tmp_path / "staging", model="one")
    manifest = manifest_of(*staged)
    wrong = manifest.model_copy(update={"files": (replace(manifest.files[0], path=name),)})
    with pytest.raises(ContentError):
        publish_files(staged, tmp_path / "out", wrong)
    assert not (tmp_path / "out").exists()


def test_a_staged_file_that_was_removed(tmp_path: Path) -> None:
    """A file that somebody removed from the staging folder is no fault of the run that made it: the disk is named."""
    staged = stage(tmp_path / "staging", model="one", log="two")
    manifest = manifest_of(*staged)
    staged[0].unlink()
    with pytest.raises(DiskError, match=r"model\.ifc was removed before it could be published"):
        publish_files(staged, tmp_path / "out", manifest)
    assert not (tmp_path / "out").exists()


def test_wrong_size(tmp_path: Path) -> None:
    """A staged file with another size than in its manifest is not published."""
    staged = stage(tmp_path / "staging", model="one")
    manifest = manifest_of(*staged)
    staged[0].write_text("longer")
    with pytest.raises(ContentError, match="6 bytes instead of 3"):
        publish_files(staged, tmp_path / "out", manifest)


def test_other_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From another disk files are copied first and then renamed."""
    rename = disk.replace

    def refuse(source: Path, target: Path) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        rename(source, target)

    monkeypatch.setattr(publish, "replace", refuse)
    verify_published(tmp_path / "out", published(tmp_path, model="one"), full=True)
    assert list((tmp_path / "staging").iterdir()) == []


def test_open_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replacing a target that another program has open for a moment (Windows) is retried."""
    refusals = iter([PermissionError(), PermissionError()])
    rename = Path.replace

    def flaky(source: Path, target: Path) -> Path:
        for refusal in refusals:
            raise refusal
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", flaky)
    (tmp_path / "a").write_text("new")
    disk.replace(tmp_path / "a", tmp_path / "b", attempts=3)
    assert (tmp_path / "b").read_text() == "new"


def test_open_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target that cannot be replaced is an error that names the folder; the staged file stays."""

    def refuse(_source: Path, _target: Path) -> Path:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(DiskError, match="may not be written to"):
        published(tmp_path, model="one")
    assert (tmp_path / "staging" / "model.ifc").read_text() == "one"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"manifest_version": 2}'])
def test_unreadable_manifest(text: str, tmp_path: Path) -> None:
    """An invalid manifest is read as None."""
    (tmp_path / "manifest.json").write_text(text)
    assert read_manifest(tmp_path) is None


def test_manifest_round_trip(tmp_path: Path) -> None:
    """A manifest is read as it was written."""
    manifest = manifest_of()
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path) == manifest
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("House.ifc", "House.ifc"),
        ("../../etc/passwd", ".._.._etc_passwd"),
        ("C:\\temp\\a.ifc", "C__temp_a.ifc"),
        ("aux.ifc", "_aux.ifc"),
        ("NUL", "_NUL"),
        ("a. ", "a"),
        ("...", "file"),
        ("", "file"),
        ("Manifest.JSON", "_Manifest.JSON"),
        ("a\u202efci.exe", "a_fci.exe"),
        ("e\u0301.ifc", "\u00e9.ifc"),
    ],
)
def test_safe_name(name: str, expected: str) -> None:
    """Names with folders, hidden characters or reserved words are changed, others are not."""
    assert safe_name(name) == expected


@given(st.text(st.characters() | st.sampled_from(string.punctuation + " ."), max_size=400))
def test_any_name(name: str) -> None:
    """The safe name of any text is valid, and `safe_name` leaves it unchanged."""
    safe = safe_name(name)
    assert safe == safe_name(safe)
    assert 0 < len(safe.encode()) <= LONGEST_NAME
    assert not set(safe) & set('/\\:*?"<>|\0')
    assert safe.strip(" ").rstrip(".") == safe
    assert not is_reserved(safe)


@given(st.text(st.characters() | st.sampled_from(string.punctuation + " ."), max_size=400))
def test_any_name_with_a_suffix(name: str) -> None:
    """A safe name stays safe with any ending of ours: the stem is shortened, the ending kept."""
    for suffix in (".ifc", ".log", "-12.ifc"):
        whole = with_suffix(safe_name(name), suffix)
        assert whole.endswith(suffix)
        assert whole == safe_name(whole)


def test_a_folder_that_takes_no_long_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that refuses the name of the file to come is found before the run; a short name passes."""
    rename = Path.replace

    def refuse(source: Path, target: Path) -> Path:
        if len(target.name) > 143:
            raise OSError(errno.ENAMETOOLONG, "File name too long")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", refuse)
    check_publishable(tmp_path / "staging", tmp_path / "out", "short.ifc")
    with pytest.raises(ConfigurationError, match="too long"):
        check_publishable(tmp_path / "staging", tmp_path / "out", "x" * 160 + ".ifc")
    assert list((tmp_path / "staging").iterdir()) == []
