"""The common tileset of an iTwin: what is in it, what is left out, and that it refers to nothing that is absent."""

import dataclasses
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import ContentError, InputError
from blocks.file_lock import file_lock
from blocks.itwin.models import IModel
from blocks.storage.destination.published_site import FolderSite, SeenSite
from blocks.storage.site.placements import Placement
from tasks.federation import Site, publish_site, site_place
from tasks.reports import FederationReport
from tasks.state_dir import StateDir
from tests.blocks.storage.site.campus import ITWIN_ID, imodel, publish, region_of
from tests.blocks.storage.site.contained import outside

Json = dict[str, Any]


def site(output_dir: Path, *placements: Placement) -> Site:
    return Site(ITWIN_ID, "Campus", site_place(output_dir, ITWIN_ID), {one.id: one for one in placements})


def impatient(given: Site) -> Site:
    """The same, which waits for a publisher a fraction of a second only."""
    assert isinstance(given.place, FolderSite)
    return dataclasses.replace(given, place=dataclasses.replace(given.place, replacing_seconds=0.2))


def common(output_dir: Path) -> Json:
    return json.loads((output_dir / ITWIN_ID / "tileset.json").read_text())


def tiles(tile: Json) -> Iterator[Json]:
    yield tile
    for child in tile.get("children", ()):
        yield from tiles(child)


def names_in(output_dir: Path) -> set[str]:
    """The names of the iModels in a common tileset, by its metadata."""
    found = [tile["metadata"] for tile in tiles(common(output_dir)["root"]) if "metadata" in tile]
    return {one["properties"]["name"] for one in found if one["class"] == "imodel"}


def reasons(report: FederationReport) -> dict[str, str]:
    return {one.imodel_name: one.reason for one in report.imodels if one.status == "left out"}


def test_a_site_of_forty(tmp_path: Path) -> None:
    """Of forty iModels, five not on the Earth, one rejected and one being replaced, the others are one tileset."""
    imodels = [
        publish(
            tmp_path,
            number,
            on_earth=number >= 5,
            verdict="rejected" if number == 5 else "accepted",
            root=region_of(number) if number in {20, 21} else None,
        )
        for number in range(40)
    ]
    placed = Placement(id=imodels[0].id, longitude=11.56, latitude=48.14, heading=30)
    with file_lock(StateDir.of_imodel(tmp_path, imodels[6].id).publish_lock("mesh")):
        report = publish_site(impatient(site(tmp_path, placed)), imodels)
    assert (report.included, report.left_out) == (34, 6)
    assert names_in(tmp_path) == {one.display_name for one in [imodels[0], *imodels[7:]]}
    said = reasons(report)
    assert {said[imodels[number].display_name] for number in range(1, 5)} == {
        "Its tiles are not placed on the Earth. Place it with a table: --placements FILE"
    }
    assert "rejected" in said[imodels[5].display_name]
    assert "being replaced" in said[imodels[6].display_name]
    assert outside(tmp_path / ITWIN_ID / "tileset.json") == []


def test_errors_fall_from_the_root_to_the_tiles(tmp_path: Path) -> None:
    """No tile has a greater error than the one above it, and an iModel has at least that of its own tileset."""
    publish_site(site(tmp_path), [publish(tmp_path, number) for number in range(20)])
    document = common(tmp_path)
    assert document["geometricError"] == document["root"]["geometricError"]
    for tile in tiles(document["root"]):
        assert all(child["geometricError"] <= tile["geometricError"] for child in tile.get("children", ()))
        assert len(tile.get("children", ())) <= 8
    leaves = [tile for tile in tiles(document["root"]) if "content" in tile]
    assert {leaf["geometricError"] for leaf in leaves} == {1000}
    assert all((tmp_path / ITWIN_ID / leaf["content"]["uri"]).resolve().is_file() for leaf in leaves)


def test_the_extras_list_the_imodels(tmp_path: Path) -> None:
    """The asset names the iTwin and each iModel with its changeset and address."""
    one = publish(tmp_path, 3)
    publish_site(site(tmp_path), [one])
    extras = common(tmp_path)["asset"]["extras"]["itwin_export"]
    assert (extras["itwin_id"], extras["itwin_name"]) == (ITWIN_ID, "Campus")
    assert extras["imodels"] == [
        {
            "id": one.id,
            "name": one.display_name,
            "changeset_id": f"{3:040}",
            "tileset": f"../{one.id}/mesh/tileset.json",
        }
    ]


def test_what_is_damaged_is_left_out(tmp_path: Path) -> None:
    """A tileset that lacks a tile, has no manifest, was never exported or is cut short is left out with the reason."""
    imodels = [publish(tmp_path, number) for number in range(4)]
    next((tmp_path / imodels[1].id / "mesh").rglob("*.glb")).unlink()
    (tmp_path / imodels[2].id / "mesh" / "manifest.json").unlink()
    (tmp_path / imodels[3].id / "mesh" / "tileset.json").write_text("{")
    report = publish_site(site(tmp_path), [*imodels, imodel(9)])
    assert report.included == 1
    said = reasons(report)
    assert ".glb is missing" in said["Building 01"]
    assert "no published tiles" in said["Building 02"]
    assert "tileset.json" in said["Building 03"]
    assert "no published tiles. Export it: itwin-export mesh" in said["Building 09"]


def test_one_up_axis(tmp_path: Path) -> None:
    """CesiumJS takes the axis from the outermost tileset: that of most is named there, others are left out."""
    imodels = [publish(tmp_path, number, asset={"gltfUpAxis": "Z"}) for number in range(2)]
    report = publish_site(site(tmp_path), [*imodels, publish(tmp_path, 2)])
    assert common(tmp_path)["asset"]["gltfUpAxis"] == "Z"
    assert "Y is up" in reasons(report)["Building 02"]


def test_placements_that_are_not_used_are_named(tmp_path: Path) -> None:
    """A line for an iModel that stands on the Earth, and one for an unknown iModel, are warnings."""
    one = publish(tmp_path, 1)
    places = [Placement(id=name, longitude=0, latitude=0) for name in (one.id, imodel(7).id)]
    before = names_in_after(tmp_path, one)
    report = publish_site(site(tmp_path, *places), [one])
    assert [words in warning for words, warning in zip(("says itself", "no iModel"), report.warnings, strict=True)]
    assert common(tmp_path) == before


def names_in_after(output_dir: Path, one: IModel) -> Json:
    publish_site(site(output_dir), [one])
    return common(output_dir)


@dataclass(frozen=True)
class DisturbedSite(FolderSite):
    """A folder in which an iModel gets new tiles right before the common tileset is written for the first time."""

    writes: list[None] = field(default_factory=list[None])

    def write(self, document: Json, seen: SeenSite) -> None:
        """Write it, after a publication."""
        if not self.writes:
            publish(self.output_dir, 1, tiles=200)
        self.writes.append(None)
        super().write(document, seen)


def test_a_tileset_that_is_replaced_meanwhile_is_read_again(tmp_path: Path) -> None:
    """If an iModel gets new tiles between reading and writing, the common tileset is made of the new ones."""
    one = publish(tmp_path, 1)
    place = DisturbedSite(tmp_path, ITWIN_ID, lambda _: tmp_path / "absent" / "lock")
    report = publish_site(Site(ITWIN_ID, "Campus", place, {}), [one])
    assert len(place.writes) == 2
    assert report.imodels[0].tile_count == 201
    assert outside(tmp_path / ITWIN_ID / "tileset.json") == []


def test_nothing_on_the_earth(tmp_path: Path) -> None:
    """Without any tileset to refer to, there is none, and one of before is deleted."""
    one = publish(tmp_path, 1)
    publish_site(site(tmp_path), [one])
    publish(tmp_path, 1, on_earth=False)
    with pytest.raises(ContentError, match=r"none has tiles .* not placed on the Earth.*before is deleted"):
        publish_site(site(tmp_path), [one])
    assert not (tmp_path / ITWIN_ID / "tileset.json").exists()


def test_a_strange_tileset_stays(tmp_path: Path) -> None:
    """A tileset in the place of the common one that this application has not made is not replaced."""
    (tmp_path / ITWIN_ID).mkdir()
    (tmp_path / ITWIN_ID / "tileset.json").write_text('{"asset": {"version": "1.1"}}')
    with pytest.raises(InputError, match="no common tileset of itwin-export"):
        publish_site(site(tmp_path), [publish(tmp_path, 1)])
    assert (tmp_path / ITWIN_ID / "tileset.json").read_text() == '{"asset": {"version": "1.1"}}'


def test_readers_always_find_a_whole_one(tmp_path: Path) -> None:
    """While the common tileset is written again and again, each reading of it is valid and refers to what is there."""
    imodels = [publish(tmp_path, number) for number in range(3)]
    publish_site(site(tmp_path), imodels)
    writer = threading.Thread(target=lambda: [publish_site(site(tmp_path), imodels[: 1 + n % 3]) for n in range(30)])
    writer.start()
    while writer.is_alive():
        assert names_in(tmp_path)
    writer.join()
