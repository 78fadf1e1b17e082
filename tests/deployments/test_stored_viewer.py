"""The viewer of exports in an object store."""

from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from blocks.errors import InputError
from blocks.storage.destination.object_store import ObjectStore
from deployments.viewer.server import create_app
from tasks.federation import Site, publish_site, site_place
from tests.blocks.storage.destination.test_stored_export import publish as publish_files
from tests.blocks.storage.destination.test_stored_tileset import publish as publish_tiles
from tests.blocks.storage.site.campus import ITWIN_ID
from tests.blocks.storage.site.campus import publish as publish_campus
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import XmlStore


async def get(app: Starlette, path: str, method: str = "GET") -> httpx.Response:
    """An answer of the viewer."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.request(method, f"/key{path}")


@pytest.fixture
def store(s3_store: XmlStore, tmp_path: Path) -> StoreUnderTest:
    """A place with an IFC file and a tileset of one iModel."""
    destination = of_xml_store(s3_store)
    publish_files(destination.open(), tmp_path, "1", model="ISO-10303-21;")
    publish_tiles(destination.open(), tmp_path, "2")
    return destination


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("", ["imodel/ifc/model.ifc", "imodel/mesh/tileset.json"]),
        ("/imodel", ["ifc/model.ifc", "mesh/tileset.json"]),
        ("/imodel/mesh", ["tileset.json"]),
    ],
)
async def test_exports_are_found_wherever_one_points(store: StoreUnderTest, place: str, names: list[str]) -> None:
    """The whole address shows every export, that of an iModel its exports, and that of a tileset the tileset.

    Every file that the page loads comes from the store, and nothing whose name begins with a dot.
    """
    opened = StoreUnderTest(f"{store.url}{place}", store.access).open()
    app = create_app(opened, "key")
    items = (await get(app, "/items.json")).json()
    assert [item["name"] for item in items] == names
    shown = await get(app, f"/{items[-1]['url']}")
    uri = shown.json()["root"]["content"]["uri"]
    base = items[-1]["url"].rpartition("/")[0]
    assert (await get(app, f"/{base}/{uri}")).json()["root"]["children"]
    head = await get(app, f"/{items[0]['url']}", "HEAD")
    assert (head.status_code, int(head.headers["content-length"]) > 0) == (200, True)
    assert (await get(app, "/data/imodel/.itwin-export/generations/x.json")).status_code == 404
    assert (await get(app, "/data/missing.json")).status_code == 404


async def test_a_common_tileset_is_shown_with_its_neighbours(s3_store: XmlStore, tmp_path: Path) -> None:
    """The address of a common tileset shows it alone, with the neighbours it refers to; above it, it is the first."""
    destination = of_xml_store(s3_store)
    store = destination.open()
    one = publish_campus(store, 1, tmp_path)
    publish_site(Site(ITWIN_ID, "Campus", site_place(store, ITWIN_ID), {}), [one])
    store.write("other/secret.json", b"{}")
    inside = StoreUnderTest(f"{destination.url}/{ITWIN_ID}", destination.access).open()
    app = create_app(inside, "key", above=store)
    (item,) = (await get(app, "/items.json")).json()
    assert item["facts"] == ["Campus", "1 iModels"]
    common = (await get(app, f"/{item['url']}")).json()
    (model,) = common["asset"]["extras"]["itwin_export"]["imodels"]
    assert (await get(app, f"/data/{ITWIN_ID}/{model['tileset']}")).status_code == 200
    assert (await get(app, "/data/other/secret.json")).status_code == 404
    names = [item["name"] for item in (await get(create_app(store, "key"), "/items.json")).json()]
    assert names == [f"{ITWIN_ID}/tileset.json", f"{one.id}/mesh/tileset.json"]


def test_an_empty_address_is_refused(s3_store: XmlStore) -> None:
    """Where nothing is published, one sentence says so."""
    empty: ObjectStore = of_xml_store(s3_store).open()
    with pytest.raises(InputError, match="There is nothing to view in s3://exports/"):
        create_app(empty, "key")
