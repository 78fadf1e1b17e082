"""CesiumJS in headless Chromium, on a page of another origin, with the sandbox as its iTwin Platform."""

from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from deployments.node_tools import MODULES
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.deployments.sandbox.conftest import USER

CHROMIUM = "/usr/bin/chromium"
SWITCHES = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
BUILD = MODULES / "cesium" / "Build" / "Cesium"
LOAD = """async ({api, token, shareKey, imodelId}) => {
    Cesium.ITwinPlatform.apiEndpoint = new Cesium.Resource({url: api});
    Cesium.ITwinPlatform.defaultAccessToken = token;
    Cesium.ITwinPlatform.defaultShareKey = shareKey;
    try {
        const tileset = await Cesium.ITwinData.createTilesetFromIModelId({iModelId: imodelId});
        return tileset ? `loaded ${tileset.asset.version}` : "nothing";
    } catch (error) {
        return `${error.name}: ${error.message}`;
    }
}"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name in the base class
        """Leave the test's output alone."""


@pytest.fixture(scope="module")
def page() -> Generator[Page]:
    """A page with CesiumJS, served from an origin of its own."""
    handler = partial(QuietHandler, directory=str(BUILD))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        origin = f"http://127.0.0.1:{server.server_port}"
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
            page = browser.new_page()
            page.goto(origin)
            page.add_script_tag(url=f"{origin}/Cesium.js")
            yield page
            browser.close()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sandbox() -> Generator[RunningSandbox]:
    with running_sandbox(options=Options(mesh_seconds=0.1)) as box:
        box.state.meshes.ensure_latest(box.state.imodels[SEEDED.plant])
        box.state.clock.advance(5)
        yield box


def load(page: Page, sandbox: RunningSandbox, *, token: str | None = None, **members: str) -> str:
    """What CesiumJS makes of an iModel: a tileset, or an error with its text."""
    valid = sandbox.state.tokens.mint_access_token(sandbox.url, USER, 3600)
    arguments = {"api": sandbox.url, "token": token or valid, "imodelId": SEEDED.plant, **members}
    return str(page.evaluate(LOAD, arguments))


def test_tileset_is_loaded(page: Page, sandbox: RunningSandbox) -> None:
    """CesiumJS finds the export by its type 3DTILES and reads the root document."""
    assert load(page, sandbox) == "loaded 1.1"


def test_share_key_is_enough(page: Page, sandbox: RunningSandbox) -> None:
    """A share key wins over the token, which is nonsense here."""
    key = sandbox.state.tokens.mint_share_key(SEEDED.itwin)
    assert load(page, sandbox, token="nonsense", shareKey=key) == "loaded 1.1"


def test_unauthorized_is_named(page: Page, sandbox: RunningSandbox) -> None:
    """CesiumJS reads the body of a 401, code of the detail included."""
    text = load(page, sandbox, token="nonsense")
    assert text == "RuntimeError: Unauthorized, bad token, wrong scopes or headers bad. InvalidToken"


def test_forbidden_is_named(page: Page, sandbox: RunningSandbox) -> None:
    """A denied iModel."""
    sandbox.state.denied.add(SEEDED.bridge)
    assert load(page, sandbox, imodelId=SEEDED.bridge) == "RuntimeError: Not allowed, forbidden"


def test_bad_request_is_named(page: Page, sandbox: RunningSandbox) -> None:
    """An id that is no GUID: code and message of the envelope."""
    text = load(page, sandbox, imodelId="x")
    assert text == "RuntimeError: Unprocessable Entity:InvalidMeshExportRequest Request rejected."


def test_rate_limit_is_named(page: Page, sandbox: RunningSandbox) -> None:
    """A 429 that comes from the layer before the API."""
    sandbox.state.options.requests_per_minute = 0
    text = load(page, sandbox)
    sandbox.state.options.requests_per_minute = None
    assert text == "RuntimeError: Too many requests"


def test_scripted_failure_is_named(page: Page, sandbox: RunningSandbox) -> None:
    """A 503 that a fault scripts."""
    sandbox.state.faults.add(Fault(path="/mesh-export", method="GET", status=503, code="ServiceUnavailable"))
    assert load(page, sandbox) == "RuntimeError: Unknown request failure 503"
