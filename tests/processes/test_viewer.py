"""What was exported, looked at with a real browser: the command serves, Chromium draws."""

import asyncio
import re
from collections.abc import Generator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import Page, Response, sync_playwright

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
    process.communicate(timeout=10)


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


def test_other_hosts_names_are_refused(page: Page, address: str) -> None:
    """A page that reaches the viewer under another name than loopback's learns nothing."""
    answer = page.request.get(address, headers={"Host": "elsewhere.example"})
    assert answer.status == 400
