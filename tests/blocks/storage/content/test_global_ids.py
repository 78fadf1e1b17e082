"""The list of GlobalIds that is kept with an export, against sets of the GlobalIds themselves."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from blocks.storage.content.difference import Change
from blocks.storage.content.global_ids import GlobalIdListError, GlobalIds
from blocks.storage.content.ifc_content import read_ifc
from deployments.sandbox.content.ifc import IfcSubject, build_ifc

LIST_OF_RELEASE_1 = "dcd32d4ef4321d4c82b327a6ce703b936ccac61e71609ea73ba35d0229fe399d"
DAMAGES: list[Callable[[bytes], bytes]] = [
    lambda text: text[:-1],
    lambda text: text + b"\0" * 8,
    lambda text: text.replace(b"GlobalIds 1", b"GlobalIds 2"),
    lambda text: text.replace(b"{", b"", 1),
    lambda text: text.replace(b"[", b"[0,", 1),
    lambda text: re.sub(rb"\[\d+", b"[1000001", text, count=1),
    lambda text: re.sub(rb"\[\d+", b"[-1", text, count=1),
    lambda _: b"",
]
SUBJECT = IfcSubject("Plant", "0" * 36, "a" * 40, "IFC4.3")


def make(**classes: int) -> GlobalIds:
    """So many GlobalIds of each class, numbered from 0."""
    made = GlobalIds()
    for name, count in classes.items():
        for number in range(count):
            made.of_class(name).add(f"{number:022}".encode())
    return made


def written(ids: GlobalIds) -> bytes:
    file = BytesIO()
    ids.write(file)
    return file.getvalue()


def exact_ids(path: Path) -> dict[str, set[str]]:
    """The GlobalIds by class, as ifcopenshell has them."""
    code: Any = ifcopenshell
    found = defaultdict[str, set[str]](set)
    for root in code.open(str(path)).by_type("IfcRoot"):
        found[root.is_a()].add(root.GlobalId)
    return found


def test_the_difference_is_that_of_the_global_ids(tmp_path: Path) -> None:
    """Added, gone and kept of every class are those that sets of GlobalIds read by ifcopenshell give."""
    old, new = tmp_path / "old.ifc", tmp_path / "new.ifc"
    old.write_bytes(build_ifc(SUBJECT, 130))
    text = build_ifc(SUBJECT, 140).replace(b"=IFCSLAB('", b"=IFCSLAB('0", 2)  # two slabs without a valid GlobalId
    new.write_bytes(text.replace(b"=IFCWALL('", b"=IFCDOOR('", 3))
    changes = read_ifc(new).global_ids.changes_since(BytesIO(written(read_ifc(old).global_ids)))
    before, now = exact_ids(old), exact_ids(new)
    now["IfcSlab"] = {one for one in now["IfcSlab"] if len(one) == 22}
    assert changes == {
        name: Change(
            added=len(now[name] - before[name]), gone=len(before[name] - now[name]), kept=len(now[name] & before[name])
        )
        for name in before.keys() | now.keys()
    }
    assert changes["IfcDoor"] == Change(added=3)
    assert changes["IfcWall"].gone > 0


def test_what_came_and_went_is_told_apart() -> None:
    """Where as many GlobalIds of a class came as went, both are counted."""
    shifted = GlobalIds()
    for number in range(400, 1400):
        shifted.of_class("IfcWall").add(f"{number:022}".encode())
    assert shifted.changes_since(BytesIO(written(make(IfcWall=1000)))) == {
        "IfcWall": Change(added=400, gone=400, kept=600)
    }


def test_the_list_is_the_same_everywhere() -> None:
    """A list has these very bytes on each machine, in each process and release, whatever the order of the GlobalIds."""
    ids = make(IfcWall=1000)
    for number in range(500):
        ids.of_class("IfcDoor").add(f"{number:022}".encode())
    again = make(IfcDoor=500, IfcWall=1000)
    assert written(ids) == written(again)
    assert hashlib.sha256(written(ids)).hexdigest() == LIST_OF_RELEASE_1
    assert len(written(ids)) < 1500 * 8 + 1000


def test_several_files_are_one_export() -> None:
    """The lists of files are put together; a GlobalId in two of them counts once, and as a duplicate."""
    ids = make(IfcWall=3, IfcSite=1)
    assert (len(ids), ids.duplicates) == (4, 1)  # a site has the GlobalId of a wall
    ids.extend(make(IfcWall=5, IfcDoor=2))
    assert len(ids) == 11
    listed = BytesIO(written(ids))
    assert make(IfcWall=5).changes_since(listed) == {
        "IfcDoor": Change(gone=2),
        "IfcSite": Change(gone=1),
        "IfcWall": Change(kept=5),
    }
    assert GlobalIds().duplicates == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_no_list_is_refused(damage: Callable[[bytes], bytes]) -> None:
    """A list that is cut off, longer, of another format or with an invalid index is an error, and no wrong count."""
    text = written(make(IfcWall=20))
    with pytest.raises(GlobalIdListError):
        make(IfcWall=1).changes_since(BytesIO(damage(text)))
