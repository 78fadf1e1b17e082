"""A tileset in an object store that a real browser loads again and again while it is replaced all the time."""

import re
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, Route, sync_playwright

from blocks.storage.destination.stored_tileset import StoredTileset
from deployments.sandbox.azurite import RunningAzurite
from tests.blocks.storage.site.campus import imodel, publish
from tests.object_stores.destinations import StoreUnderTest, of_azurite
from tests.processes.commands import until
from tests.processes.repeated import repeated
from tests.processes.test_viewer import CHROMIUM, LONGEST_WAIT, SWITCHES, name_in
from tests.processes.viewer_command import viewing

pytestmark = pytest.mark.crash
LOADS = 8
KEY = f"{imodel(1).id}/mesh"
PAUSE = 0.3
"""Seconds between two publications: without them the browser gets hardly any time on a machine with few processors."""
OF_GENERATION = re.compile(r"/data/[^/]+/tileset\.json$")


@contextmanager
def replacing(destination: StoreUnderTest, folder: Path) -> Generator[list[str]]:
    """Tilesets of other tiles take the place of one another until the block ends; yields their generations so far."""
    store, generations = destination.open(), list[str]()

    def replace() -> None:
        number = len(generations)
        publish(store, 1, folder / str(number), tiles=2 + number % 5)
        manifest = StoredTileset(store, KEY, folder).see().manifest
        assert manifest
        generations.append(manifest.generation)

    with repeated(replace, PAUSE):
        yield generations


@pytest.fixture
def destination(azurite: RunningAzurite, tmp_path: Path) -> StoreUnderTest:
    """A place in Azurite with a tileset."""
    destination = of_azurite(azurite)
    publish(destination.open(), 1, tmp_path / "first")
    return destination


@pytest.fixture
def address(azurite: RunningAzurite, destination: StoreUnderTest) -> Generator[str]:
    """Where the viewer serves it."""
    environment = {"AZURE_STORAGE_CONNECTION_STRING": azurite.connection_string}
    with viewing(f"{destination.url}/{KEY}", environment) as address:
        yield address


def load(page: Page, url: str) -> str:
    """Load the page until every tile is there; the one generation that all tiles came from."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright sets attributes on it
    page.goto(url)
    page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
    page.evaluate("detail.value = 16; detail.oninput()")
    page.wait_for_timeout(500)
    page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
    assert page.get_attribute("body", "data-failed") == "0"
    assert {answer.status for answer in answers} <= {200, 304}
    tiles = [answer.url for answer in answers if name_in(answer.url).endswith(".glb")]
    assert "0.glb" in {name_in(url) for url in tiles}
    (generation,) = {url.split("/data/")[1].split("/")[0] for url in tiles}
    return generation


def test_every_load_shows_one_whole_tileset(destination: StoreUnderTest, address: str, tmp_path: Path) -> None:
    """CesiumJS loads every tile of the tileset whose root it has read, even if a new tileset is published meanwhile."""
    with sync_playwright() as playwright, replacing(destination, tmp_path / "next") as generations:

        def wait_until_replaced(route: Route) -> None:
            before = len(generations)
            until(lambda: len(generations) > before, "another generation")
            route.continue_()

        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page(viewport={"width": 500, "height": 300})
        page.route(OF_GENERATION, wait_until_replaced)
        shown = [load(page, address) for _ in range(LOADS)]
        browser.close()
    assert len(set(shown)) == LOADS
