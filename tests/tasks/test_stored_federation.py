"""The common tileset of an iTwin in an object store."""

import dataclasses
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import ContentError, InputError
from blocks.itwin.models import IModel
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.published_site import SeenSite
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.destination.stored_site import StoredSite
from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.site.placements import Placement
from tasks.federation import Site, publish_site
from tests.blocks.storage.site.campus import ITWIN_ID, imodel, publish, region_of
from tests.blocks.storage.site.contained import outside
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import XmlStore

Json = dict[str, Any]
KEY = f"{ITWIN_ID}/tileset.json"


def site(store: ObjectStore, *placements: Placement) -> Site:
    """The iTwin in a store; a publisher is waited for a fraction of a second only."""
    return Site(ITWIN_ID, "Campus", StoredSite(store, ITWIN_ID, 0.3), {one.id: one for one in placements})


def referred_by(store: ObjectStore) -> list[str]:
    """The ids of the iModels that the common tileset refers to."""
    found = store.read(KEY, 10**7)
    assert found
    document = json.loads(found.content)
    refs = [tile["content"]["uri"] for tile in tiles(document["root"]) if "content" in tile]
    assert all(uri.startswith("../") and uri.endswith("/mesh/tileset.json") for uri in refs)
    return [uri.split("/")[1] for uri in refs]


def tiles(tile: Json) -> Iterator[Json]:
    yield tile
    for child in tile.get("children", ()):
        yield from tiles(child)


def mirrored(store: ObjectStore, folder: Path) -> Path:
    """A copy of every tileset document in a store; the path of the common one."""
    for key in [key for key in store.entries("") if key.endswith("tileset.json")]:
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        store.download(key, folder / key)
    return folder / KEY


def replace_root(store: ObjectStore, folder: Path, number: int) -> None:
    """Stop in the middle of a publication: the root is that of the next generation, the manifest the one before."""
    key = f"{imodel(number).id}/mesh/manifest.json"
    before = store.read(key, 10**7)
    assert before
    publish(store, number, folder / "next", tiles=4)
    store.write(key, before.content)


def test_a_site_of_forty_in_a_store(destination: StoreUnderTest, tmp_path: Path) -> None:
    """Of forty iModels, five not on the Earth, one rejected and one being replaced, the others are one tileset.

    Every tileset that it refers to is whole by the listing of the store.
    """
    store = destination.open()

    def make(number: int) -> IModel:
        return publish(
            store,
            number,
            tmp_path,
            tiles=2,
            on_earth=number >= 5,
            verdict="rejected" if number == 5 else "accepted",
            root=region_of(number) if number in {20, 21} else None,
        )

    with ThreadPoolExecutor(8) as pool:
        imodels = list(pool.map(make, range(40)))
    replace_root(store, tmp_path, 6)
    placed = Placement(id=imodels[0].id, longitude=11.56, latitude=48.14, heading=30)
    report = publish_site(site(store, placed), imodels)
    assert (report.included, report.left_out) == (34, 6)
    assert report.tileset == f"{destination.url}/{KEY}"
    said = {one.imodel_name: one.reason for one in report.imodels if one.status == "left out"}
    assert "rejected" in said[imodels[5].display_name]
    assert "being replaced" in said[imodels[6].display_name]
    referred = referred_by(store)
    assert sorted(referred) == sorted(one.id for one in [imodels[0], *imodels[7:]])
    for one in referred:
        tileset = StoredTileset(store, f"{one}/mesh", Path())
        manifest = tileset.see().manifest
        assert manifest
        tileset.require_whole(manifest)
    assert outside(mirrored(store, tmp_path / "mirror")) == []


def test_its_headers_are_for_the_web(s3_store: XmlStore, tmp_path: Path) -> None:
    """Browsers get JSON, and ask each time whether it still is the current one."""
    store = of_xml_store(s3_store).open()
    publish_site(site(store), [publish(store, 1, tmp_path)])
    (held,) = (held for key, held in s3_store.objects.items() if key.endswith(KEY))
    assert held.headers == {"content-type": "application/json", "cache-control": "no-cache"}


def test_what_is_damaged_or_absent_is_left_out(s3_store: XmlStore, tmp_path: Path) -> None:
    """A tileset that lacks a tile, has a strange root, has no manifest or was never exported is left out."""
    store = of_xml_store(s3_store).open()
    imodels = [publish(store, number, tmp_path) for number in range(4)]
    ids = [one.id for one in imodels]
    store.delete([next(key for key in store.entries(f"{ids[1]}/mesh") if key.endswith(".glb"))])
    store.write(f"{ids[2]}/mesh/tileset.json", b"{}")
    store.delete([f"{ids[3]}/mesh/manifest.json"])
    report = publish_site(site(store), [*imodels, imodel(9)])
    assert referred_by(store) == ids[:1]
    said = {one.imodel_name: one.reason for one in report.imodels if one.status == "left out"}
    assert ".glb is missing" in said["Building 01"]
    assert f"If nobody replaces it: itwin-export mesh {ids[2]}" in said["Building 02"]
    assert "no published tiles" in said["Building 03"]
    assert "no published tiles. Export it: itwin-export mesh" in said["Building 09"]


def test_a_publication_that_ends_soon_is_waited_for(s3_store: XmlStore, tmp_path: Path) -> None:
    """A tileset whose root is new already and whose manifest comes a moment later is part of the common one."""
    store = of_xml_store(s3_store).open()
    one = publish(store, 1, tmp_path)
    replace_root(store, tmp_path, 1)
    place = StoredSite(store, ITWIN_ID, replacing_seconds=30)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(publish_site, Site(ITWIN_ID, "Campus", place, {}), [one])
        publish(store, 1, tmp_path / "last", tiles=3)
        assert waiting.result().included == 1


@dataclass(frozen=True)
class DisturbedSite(StoredSite):
    """A store in which other processes do something right before the common tileset is written for the first time."""

    folder: Path = Path()
    writes: list[None] = field(default_factory=list[None])

    def write(self, document: Json, seen: SeenSite) -> None:
        """Write it, after a publication of new tiles and of another common tileset."""
        self.writes.append(None)
        if len(self.writes) == 1:
            publish_site(site(self.store), [publish(self.store, 2, self.folder)])
        if len(self.writes) == 2:
            publish(self.store, 1, self.folder / "next", tiles=200)
        super().write(document, seen)


def test_what_others_publish_meanwhile_is_read_again(destination: StoreUnderTest, tmp_path: Path) -> None:
    """A common tileset of another process is not overwritten unseen, and tiles that were replaced are read again."""
    store = destination.open()
    imodels = [publish(store, number, tmp_path) for number in (1, 2)]
    place = DisturbedSite(store, ITWIN_ID, 0.3, tmp_path / "other")
    report = publish_site(Site(ITWIN_ID, "Campus", place, {}), imodels)
    assert len(place.writes) == 3
    assert report.imodels[0].tile_count == 201
    assert set(referred_by(store)) == {one.id for one in imodels}


def test_many_processes_publish_it_at_once(s3_store: XmlStore, tmp_path: Path) -> None:
    """Six at once with different tables end with a whole tileset of one of them, and none fails."""
    store = of_xml_store(s3_store).open()
    imodels = [publish(store, number, tmp_path, on_earth=number > 0) for number in range(4)]
    places = [Placement(id=imodels[0].id, longitude=11.5 + number / 100, latitude=48.1) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        reports = list(pool.map(publish_site, [site(store, place) for place in places], [imodels] * 6))
    assert [report.included for report in reports] == [4] * 6
    assert len(referred_by(store)) == 4


def test_none_in_it_means_none(destination: StoreUnderTest, tmp_path: Path) -> None:
    """Without any tileset to refer to, there is none, and one of before is deleted."""
    store = destination.open()
    one = publish(store, 1, tmp_path)
    publish_site(site(store), [one])
    store.delete([f"{one.id}/mesh/manifest.json"])
    with pytest.raises(ContentError, match="before is deleted"):
        publish_site(site(store), [one])
    assert store.read(KEY, 100) is None
    with pytest.raises(ContentError, match=r"no published tiles\. Export it: itwin-export mesh [0-9a-f-]+$"):
        publish_site(site(store), [one])


def test_a_strange_object_in_its_place_stays(destination: StoreUnderTest, tmp_path: Path) -> None:
    """An object in the place of the common tileset that is none of ours is neither replaced nor deleted."""
    store = destination.open()
    store.write(KEY, b'{"asset": {"version": "1.1"}}')
    with pytest.raises(InputError, match=rf"{KEY} is no common tileset of itwin-export"):
        publish_site(site(store), [publish(store, 1, tmp_path)])
    with pytest.raises(InputError, match="no common tileset"):
        publish_site(site(store), [])
    found = store.read(KEY, 100)
    assert found
    assert found.content == b'{"asset": {"version": "1.1"}}'


def test_what_another_process_has_just_written_is_not_deleted(s3_store: XmlStore, tmp_path: Path) -> None:
    """A common tileset is deleted only if it still is the one that was seen."""
    store = of_xml_store(s3_store).open()
    one = publish(store, 1, tmp_path)
    publish_site(site(store), [one])
    place = StoredSite(store, ITWIN_ID)
    seen = place.see()
    publish_site(dataclasses.replace(site(store), itwin_name="Renamed"), [one])
    with pytest.raises(ChangedMeanwhileError):
        place.remove(seen)
    assert referred_by(store) == [one.id]
