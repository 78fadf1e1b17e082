"""The common tileset of a site, looked at with a real browser."""

import io
import json
from collections.abc import Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, Response, sync_playwright

from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.site.site_document import MARK
from blocks.storage.tileset.references import ROOT
from deployments.sandbox.azurite import RunningAzurite
from tasks.federation import Site, publish_site, site_place
from tests.blocks.storage.site.campus import ITWIN_ID, publish
from tests.object_stores.destinations import of_azurite
from tests.processes.test_viewer import ARTEFACTS, CHROMIUM, LONGEST_WAIT, SWITCHES, name_in
from tests.processes.viewer_command import viewing

BACKGROUND = 60
"""Brightness above which a pixel shows a tile."""


def drawn_on(page: Page) -> int:
    """Number of pixels that are brighter than the background, outside the list and the bar."""
    png = page.screenshot(clip={"x": 250, "y": 120, "width": 650, "height": 440})
    return sum(Image.open(io.BytesIO(png)).convert("L").histogram()[BACKGROUND:])


@dataclass(frozen=True)
class SitePlace:
    """A common tileset of forty iModels, five of them not on the Earth.

    Attributes:
        address: What `view` is given.
        document: The common tileset.
        environment: Variables that lead to it.
    """

    address: str
    document: bytes
    environment: Mapping[str, str] = field(default_factory=dict[str, str])


@pytest.fixture(params=["folder", "az"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> SitePlace:
    """It in a folder, and in Azurite while the tileset of one of its iModels is replaced."""
    if request.param == "folder":
        publish_forty(tmp_path, tmp_path)
        return SitePlace(str(tmp_path / ITWIN_ID), (tmp_path / ITWIN_ID / ROOT).read_bytes())
    azurite: RunningAzurite = request.getfixturevalue("azurite")
    destination = of_azurite(azurite)
    store = destination.open()
    with ThreadPoolExecutor(1) as pool:
        replacing = pool.submit(lambda: [publish(store, 7, tmp_path / str(n), tiles=2 + n) for n in range(3)])
        publish_forty(store, tmp_path)
        replacing.result()
    found = store.read(f"{ITWIN_ID}/{ROOT}", 10**7)
    assert found
    environment = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
    return SitePlace(f"{destination.url}/{ITWIN_ID}", found.content, environment)


def publish_forty(output: Path | ObjectStore, folder: Path) -> None:
    """Publish them and their common tileset."""
    imodels = [publish(output, number, folder, on_earth=number >= 5, tiles=2) for number in range(40)]
    place = site_place(output, ITWIN_ID)
    assert publish_site(Site(ITWIN_ID, "Campus", place, {}), imodels).included == 35


@pytest.fixture
def address(place: SitePlace) -> Generator[str]:
    """Where the viewer serves it."""
    with viewing(place.address, place.environment) as address:
        yield address


def test_every_imodel_is_drawn_and_can_be_switched_off(address: str, place: SitePlace) -> None:
    """CesiumJS loads every tile of every iModel without a failure; switches hide all and show them again."""
    answers: list[Response] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page(viewport={"width": 1000, "height": 600})
        page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright sets attributes on it
        page.goto(address)
        page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
        page.evaluate("detail.value = 16; detail.oninput()")
        page.wait_for_timeout(1500)
        page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
        ARTEFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTEFACTS / "site.png")
        assert page.get_attribute("body", "data-failed") == "0"
        assert page.get_attribute("body", "data-models") == "35"
        drawn = [drawn_on(page)]
        for _ in range(2):
            page.locator("#models input").first.click()
            page.wait_for_timeout(700)
            drawn.append(drawn_on(page))
        browser.close()
    opened = {answer.url.split("/data/")[1].split("/")[0] for answer in answers if "/mesh/" in answer.url}
    assert opened == {one["id"] for one in json.loads(place.document)["asset"]["extras"][MARK]["imodels"]}
    assert {answer.status for answer in answers} == {200}
    assert {name_in(answer.url) for answer in answers} >= {"overview.glb", "0.glb", "part 1.glb"}
    assert drawn[1] == 0
    assert drawn[2] == pytest.approx(drawn[0], rel=0.1)
    assert drawn[0] > 100
