"""What was exported, looked at with a real browser: the command serves, Chromium draws."""

import asyncio
import re
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, Response, sync_playwright

from blocks.storage.manifest import read_manifest
from deployments.sandbox.server import running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_mesh import export_mesh
from tests.processes.server import REPOSITORY, PrefectServer

ARTEFACTS = REPOSITORY / "tests" / "artefacts"
CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--headless",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LONGEST_WAIT = 60_000
EDGE_COLOURS = """() => {
  const canvas = document.querySelector("#view canvas");
  const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  const context = copy.getContext("2d");
  context.drawImage(canvas, 0, 0);
  const lines = [[0, 0, canvas.width, 1], [0, canvas.height - 1, canvas.width, 1], [0, 0, 1, canvas.height]];
  const seen = new Set();
  for (const line of lines) {
    const { data } = context.getImageData(...line);
    for (let at = 0; at < data.length; at += 4) seen.add(data.slice(at, at + 3).join());
  }
  return [...seen];
}"""
"""The colours at the edges of the picture."""


@pytest.fixture(scope="module")
def exports(prefect_server: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An output folder with one iModel's tiles and IFC."""
    assert prefect_server
    folder = tmp_path_factory.mktemp("exports")
    with (
        running_sandbox(options=Options(run_seconds=0.1, mesh_seconds=0.1)) as sandbox,
        pytest.MonkeyPatch.context() as m,
    ):
        for name, value in (sandbox.environment | {"ITWIN_POLL_SECONDS": "0.1"}).items():
            m.setenv(name, value)
        asyncio.run(export_mesh(SEEDED.plant, output_dir=str(folder)))
        asyncio.run(export_ifc(SEEDED.plant, output_dir=str(folder)))
    return folder


@pytest.fixture(scope="module")
def address(server: PrefectServer, exports: Path) -> Generator[str]:
    """Where the viewer serves."""
    process = server.start(["-m", "deployments", "view", str(exports), "--port", "0"])
    assert process.stdout
    found = re.search(r"http://\S+", process.stdout.readline())
    assert found
    yield found[0]
    process.terminate()
    process.communicate(timeout=60)


@pytest.fixture(scope="module")
def page(address: str) -> Generator[Page]:
    """A page of a headless browser that can draw; made last, since Playwright leaves an event loop running."""
    assert address
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser.new_page(viewport={"width": 800, "height": 500})
        browser.close()


def tiles_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*.glb")}


def name_in(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name


def test_every_tile_is_drawn(page: Page, address: str, exports: Path) -> None:
    """CesiumJS loads every tile of the published tileset without a failure and without any other host."""
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright sets attributes on it
    page.goto(f"{address}#data/{SEEDED.plant}/mesh/tileset.json")
    page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
    page.evaluate("detail.value = 16; detail.oninput()")
    wanted = tiles_in(exports)
    arrived = "n => performance.getEntriesByType('resource').filter(e => e.name.includes('.glb')).length >= n"
    page.wait_for_function(arrived, arg=len(wanted), timeout=LONGEST_WAIT)
    page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "tileset.png")
    loaded = {name_in(answer.url) for answer in answers if ".glb" in answer.url}
    assert loaded == wanted
    assert page.get_attribute("body", "data-failed") == "0"
    assert {answer.status for answer in answers} == {200}
    assert all(answer.url.startswith((address, "blob:", "data:")) for answer in answers)


def test_the_ifc_is_drawn(page: Page, address: str, exports: Path) -> None:
    """Every element of the exported IFC file becomes a shape in the browser."""
    (model,) = exports.rglob("*.ifc")
    page.goto(f"{address}#data/{model.relative_to(exports).as_posix()}")
    page.reload()
    page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "ifc.png")
    assert page.get_attribute("body", "data-shapes") == "40"


def test_the_viewer_says_what_it_shows(page: Page, address: str, exports: Path) -> None:
    """Above both pictures stand name, version, size and content; a click says which element or tile it is."""
    manifests = [read_manifest(exports / SEEDED.plant / kind) for kind in ("ifc", "mesh")]
    (model,) = exports.rglob("*.ifc")
    urls = (model.relative_to(exports).as_posix(), f"{SEEDED.plant}/mesh/tileset.json")
    for manifest, url in zip(manifests, urls, strict=True):
        assert manifest
        assert manifest.content
        page.goto(f"{address}#data/{url}")
        page.reload()
        page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
        assert manifest.content.sentence() in page.inner_text("#facts")
        assert "Plant A · changeset 5" in page.inner_text("#facts")
        picked = click_until_picked(page)
        page.screenshot(path=ARTEFACTS / f"picked-{manifest.format}.png")
        wanted = r"IFC\w+ · .+ · [\w$]{22}" if manifest.format == "ifc" else r".+\.glb · \d+ bytes"
        assert re.fullmatch(wanted, picked, re.IGNORECASE), picked


def click_until_picked(page: Page) -> str:
    """Click on a grid of places until something was hit; what the page says of it."""
    view = page.locator("#view").bounding_box()
    assert view
    for step in range(1, 64):
        x, y = view["width"] * (step % 8 + 0.5) / 8, view["height"] * (step // 8 + 0.5) / 8
        page.mouse.click(view["x"] + x, view["y"] + y)
        page.wait_for_timeout(100)
        if picked := page.get_attribute("body", "data-picked"):
            return picked
    raise AssertionError("nothing was hit")


def test_all_of_the_model_is_below_the_bar(page: Page, address: str, exports: Path) -> None:
    """The whole model is in the picture, which begins where the bar ends: nothing is drawn on its edges."""
    (model,) = exports.rglob("*.ifc")
    page.goto(f"{address}#data/{model.relative_to(exports).as_posix()}")
    page.reload()
    page.wait_for_selector("body[data-state=complete]", timeout=LONGEST_WAIT)
    page.wait_for_timeout(500)
    bar, view = page.locator("#bar").bounding_box(), page.locator("#view canvas").bounding_box()
    assert bar
    assert view
    assert view["y"] >= bar["y"] + bar["height"]
    edges = page.evaluate(EDGE_COLOURS)
    assert edges == ["32,38,44"]


def test_other_hosts_names_are_refused(page: Page, address: str) -> None:
    """A page that reaches the viewer under another name than loopback's learns nothing."""
    answer = page.request.get(address, headers={"Host": "elsewhere.example"})
    assert answer.status == 400
