"""The wheel holds what its users need: installed where nothing else of this project is, in folders of their own."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Generator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from deployments.node_tools import NODE_FOLDER
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.seed import SEEDED
from tests.prefect_database import add_database

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`itwin-export` from a wheel, in an environment with the dependencies of this one and no other code of ours."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, text=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, source / name)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(source)]
    subprocess.run(wheel, check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
    python = folder / "env" / "bin" / "python"
    (built,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(built)], check=True)
    (packages,) = (folder / "env" / "lib").glob("*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "env" / "bin" / "itwin-export"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the user works; packages that are named like ours must not be imported."""
    for name in ("flows", "tasks", "blocks", "deployments"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('a package of somebody else')")
    return tmp_path


@pytest.fixture(scope="module")
def platform() -> Generator[RunningSandbox]:
    """A stand-in platform outside of the environment under test."""
    with running_sandbox(options=Options(run_seconds=0.3)) as running:
        yield running


def environment_of(folder: Path, platform: RunningSandbox) -> dict[str, str]:
    """Only the settings of the stand-in platform; the viewer's libraries are those of the checkout."""
    (folder / "cache" / "itwin-export").mkdir(parents=True)
    (folder / "cache" / "itwin-export" / "node").symlink_to(NODE_FOLDER)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ITWIN_", "PREFECT_", "PYTHON"))}
    return (
        kept
        | platform.environment
        | {
            "PREFECT_HOME": str(folder / "home"),
            "ITWIN_POLL_SECONDS": "0.2",
            "XDG_CACHE_HOME": str(folder / "cache"),
        }
    )


def run(command: Path, *arguments: str, folder: Path, environment: dict[str, str]) -> str:
    """What the command prints; it must succeed."""
    ended = subprocess.run(
        [command, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_an_installed_wheel_exports_and_shows(command: Path, folder: Path, platform: RunningSandbox) -> None:
    """`--version`, `ifc` and `view` work from any folder, and files are published below that folder."""
    environment = environment_of(folder, platform)
    (folder / "home").mkdir()
    add_database(folder / "home")
    assert run(command, "--version", folder=folder, environment=environment).strip() == version("itwin-export")
    run(command, "ifc", SEEDED.bridge, folder=folder, environment=environment)
    (model,) = (folder / "exports" / SEEDED.bridge / "ifc").glob("*.ifc")
    assert model.stat().st_size
    with subprocess.Popen(
        [command, "view", "exports", "--port", "0"], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as viewer:
        assert viewer.stdout is not None
        try:
            address = re.search(r"http://\S+", viewer.stdout.readline())
            assert address is not None
            shown = httpx.get(address[0], follow_redirects=True, trust_env=False, timeout=60)
        finally:
            viewer.terminate()
    assert shown.is_success


def test_the_wheel_has_the_automations(command: Path) -> None:
    """The file that describes the automations is installed with the package."""
    assert list(command.parents[1].glob("lib/*/site-packages/deployments/automations.yaml"))


def test_the_demo_of_an_installed_wheel_works_beside_other_packages(command: Path, folder: Path) -> None:
    """`demo` imports its own packages, not those of the working directory, and publishes below that directory."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ITWIN_", "PREFECT_"))}
    run(command, "demo", folder=folder, environment=environment)
    assert len(list((folder / "exports").rglob("*.ifc"))) == 2
