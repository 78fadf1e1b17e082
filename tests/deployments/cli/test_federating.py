"""`itwin-export federate` against the stand-in platform, and what `view` shows of its tileset."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from deployments.cli.app import run
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import IModel
from deployments.viewer.server import create_app, find_items
from tests.blocks.storage.site.campus import publish
from tests.object_stores.destinations import of_azurite

pytestmark = pytest.mark.usefixtures("no_prefect")


@pytest.fixture
def exports(sandbox: RunningSandbox, tmp_path: Path) -> Path:
    """The published tiles of two iModels of the iTwin “Site”, one of them not on the Earth."""
    site = sandbox.state.add_itwin("Site")
    for number in range(2):
        one = publish(tmp_path / "exports", number, on_earth=number == 0)
        sandbox.state.imodels[one.id] = IModel(one.id, site.id, one.display_name, datetime.now(UTC))
    return tmp_path / "exports"


def test_a_table_says_what_is_in_it(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command takes the iTwin by name and lists each iModel with its place, or the reason why it is left out."""
    assert run(["federate", "site"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("1 iModel, 1 left out")
    assert "48.13" in printed
    assert "--placements FILE" in printed
    assert list(exports.glob("*/tileset.json"))


def test_a_table_of_placements_places_the_other(exports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a table both are in it, and --json prints one document."""
    ids = sorted(path.name for path in exports.iterdir() if (path / "mesh").is_dir())
    lines = [f"{one},11.58,48.14,0,0" for one in ids]
    (exports / "places.csv").write_text("\n".join(["id,longitude,latitude,height,heading", *lines]))
    assert run(["federate", "Site", "--placements", str(exports / "places.csv"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["included"], printed["left_out"]) == (2, 0)
    assert sorted(one["status"] for one in printed["imodels"]) == ["included", "placed"]
    assert "says itself where it stands" in printed["warnings"][0]


def test_an_itwin_without_tiles(sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """If there is nothing to refer to, the command fails and says what to do."""
    assert sandbox
    assert run(["federate", "Campus"]) == 1
    assert "Export it: itwin-export mesh" in capsys.readouterr().err


def test_tilesets_in_a_store_become_one(
    exports: Path,
    azurite: RunningAzurite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the address of an object store, the command needs no Prefect, and no disk but the work folder."""
    del exports
    place = of_azurite(azurite)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "work"))
    publish(place.open(), 0, tmp_path / "machine")
    assert run(["federate", "site", "--output-dir", place.url, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["included"], printed["left_out"]) == (1, 1)
    assert printed["tileset"].startswith(f"{place.url}/")
    assert place.open().read(printed["tileset"].removeprefix(f"{place.url}/"), 10**6)
    assert azurite.key not in capsys.readouterr().err


def test_view_serves_the_tilesets_that_it_refers_to(exports: Path, tmp_path: Path) -> None:
    """The folder of a common tileset shows it alone; of its neighbours only the iModels in it are served."""
    assert run(["federate", "Site"]) == 0
    (place,) = (path.parent for path in exports.glob("*/tileset.json"))
    for library in ("cesium/Build/Cesium", "three", "web-ifc"):
        (tmp_path / "modules" / library).mkdir(parents=True)
    (exports / "secret").mkdir()
    (exports / "secret" / "tileset.json").write_text("secret")
    asyncio.run(look_at(create_app(place, "key", modules=tmp_path / "modules"), place.name))
    names = [one.name for one in find_items(exports)]
    assert names[0] == f"{place.name}/tileset.json"
    assert len(names) == 3


async def look_at(app: Starlette, place: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1/key/") as browser:
        (item,) = (await browser.get("items.json")).json()
        assert item["facts"] == ["Site", "1 iModels"]
        common = (await browser.get(item["url"])).json()
        (model,) = common["asset"]["extras"]["itwin_export"]["imodels"]
        assert (await browser.get(f"data/{place}/{model['tileset']}")).status_code == 200
        assert (await browser.get("data/secret/tileset.json")).status_code == 404
