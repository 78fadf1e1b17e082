"""The viewer: which items it lists, and its messages when it cannot show them."""

import io
import re
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest
import uvicorn

from blocks.errors import ConfigurationError
from deployments.cli.app import run
from deployments.viewer.server import create_app, find_items, serve

PRIVATE = [".env", ".itwin-export/runs.json", "a/.git/config", "a/ifc/.hidden.ifc"]


def export_into(folder: Path, *names: str) -> None:
    """A published export with its manifest."""
    folder.mkdir(parents=True)
    for name in ("manifest.json", *names):
        (folder / name).touch()


@pytest.mark.parametrize(
    ("place", "names"), [("", ["a/ifc/Plant A.ifc", "a/mesh/tileset.json"]), ("a/mesh", ["tileset.json"])]
)
def test_exports_are_found_wherever_one_points(tmp_path: Path, place: str, names: list[str]) -> None:
    """The whole output folder shows every export in it, an export's own folder that export."""
    export_into(tmp_path / "a" / "ifc", "Plant A.ifc", "Plant A.log")
    export_into(tmp_path / "a" / "mesh", "tileset.json")
    (tmp_path / "a" / "mesh" / "tiles").mkdir()
    (tmp_path / "a" / "mesh" / "tiles" / "tileset.json").touch()
    assert [item.name for item in find_items(tmp_path / place)] == names


@pytest.mark.parametrize("name", [".", "missing"])
def test_a_folder_without_exports_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """If a folder contains nothing to view, the command says so and ends with exit code 2."""
    assert run(["view", str(tmp_path / name)]) == 2
    assert "here is no" in capsys.readouterr().err.replace("nothing", "no")


def test_a_machine_without_the_libraries_gets_one_sentence(tmp_path: Path) -> None:
    """Without the installed libraries the error says what to run."""
    export_into(tmp_path / "mesh", "tileset.json")
    with pytest.raises(ConfigurationError, match=r"python -m deployments\.node_tools"):
        create_app(tmp_path, "key", modules=tmp_path / "node_modules")


def test_the_printed_address_may_be_opened_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever connects at the moment the address is printed is not refused."""

    class Reader(io.StringIO):
        def write(self, text: str) -> int:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", text):
                socket.create_connection(("127.0.0.1", int(found[1])), timeout=5).close()
                reached.append(found[0])
            return len(text)

    def run_nothing(_: uvicorn.Server, *, sockets: list[socket.socket]) -> None:
        del sockets

    reached: list[str] = []
    export_into(tmp_path / "mesh", "tileset.json")
    monkeypatch.setattr(uvicorn.Server, "run", run_nothing)
    serve(tmp_path, 0, Reader())
    assert len(reached) == 1


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody who reaches the viewer of a folder with exports and private files; its key is “key”."""
    export_into(tmp_path / "exports" / "a" / "ifc", "Plant A.ifc")
    for name in PRIVATE:
        (tmp_path / "exports" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "exports" / name).write_text("secret")
    for library in ("cesium/Build/Cesium", "three", "web-ifc"):
        (tmp_path / "modules" / library).mkdir(parents=True)
    app = create_app(tmp_path / "exports", "key", modules=tmp_path / "modules")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client


@pytest.mark.parametrize("path", ["", "items.json", "pages/view.js", "data/a/ifc/Plant A.ifc"])
async def test_nothing_is_served_without_the_key(browser: httpx.AsyncClient, path: str) -> None:
    """Who was not given the address, key included, gets 404 for every path."""
    assert (await browser.get(f"/key/{path}")).status_code == 200
    for guess in (f"/{path}", f"/other/{path}", f"//{path}"):
        assert (await browser.get(guess)).status_code == 404


@pytest.mark.parametrize("path", [*PRIVATE, "a/%2egit/config", "a/../.env"])
async def test_dotfiles_are_not_served(browser: httpx.AsyncClient, path: str) -> None:
    """Files and folders whose name begins with a dot are not there for the browser."""
    answer = await browser.get(f"/key/data/{path}")
    assert (answer.status_code, "secret" in answer.text) == (404, False)
