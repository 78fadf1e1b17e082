"""`itwin-export sandbox` and `itwin-export demo`: a stand-in platform on loopback."""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from blocks.errors import ConfigurationError, ExportError
from blocks.shared_folder import read_bounded

EXTRA = ("ifcopenshell", "numpy", "trimesh")
"""What the extra “sandbox” installs."""
_LONGEST_KEY = 4096


def sandbox(*, port: int = 3110, run_seconds: float = 3.0, control_key_file: Path | None = None) -> None:
    """Serve a stand-in iTwin Platform on this machine, to try things out without an account.

    Args:
        port: Port on loopback; 0 takes a free one.
        run_seconds: How long an export run takes.
        control_key_file: File with a key; the control API (/sandbox/…) then asks for it as a bearer token.
    """
    _require_extra()
    from deployments.sandbox.server import serve  # noqa: PLC0415
    from deployments.sandbox.state.options import Options  # noqa: PLC0415  an optional extra

    key = _read_key(control_key_file) if control_key_file else None
    try:
        serve(port, options=Options(run_seconds=run_seconds), control_key=key)
    except OSError as error:
        raise ConfigurationError(f"Port {port} cannot be used ({error.strerror}). Choose another: --port 0") from None


def demo(*, output_dir: Path = Path("exports")) -> None:
    """Export two IFC files from a stand-in platform, one through Storage and one through your own blob storage.

    Args:
        output_dir: Folder for the exported files.
    """
    _require_extra()
    with tempfile.TemporaryDirectory(prefix="itwin-export-demo-", ignore_cleanup_errors=True) as home:
        settings = {"PREFECT_HOME": home, "PREFECT_PROFILE": "ephemeral", "ITWIN_OUTPUT_DIR": str(output_dir)}
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_API", "ITWIN_"))}
        # -P: packages called flows or tasks in the working directory are somebody else's.
        exit_code = _run_to_its_end([sys.executable, "-P", "-m", "deployments.demo"], kept | settings)
    if exit_code:
        raise ExportError("The demo did not succeed; what went wrong stands above.")


def _read_key(path: Path) -> str:
    try:
        return read_bounded(path, _LONGEST_KEY, may_be_link=True).decode()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8"
        raise ConfigurationError(f"The key cannot be read from {path} ({reason}). Name a file with a key.") from None


def _run_to_its_end(command: list[str], environment: dict[str, str]) -> int:
    """The exit code of a process; however this one ends, that one ends too, with the servers that it started."""
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE) as process:  # noqa: S603  our own module
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()
            raise


def _require_extra() -> None:
    """Make sure that the stand-in platform can make files, before anybody waits for them.

    Raises:
        ConfigurationError: A package it needs is not installed; the message says how to install all of them.
    """
    missing = [name for name in EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"The sandbox needs {', '.join(missing)}, not installed here. Install the extra “sandbox”: "
            f"pip install 'itwin-export[sandbox]' (in a clone: pip install -e '.[sandbox]')"
        )
