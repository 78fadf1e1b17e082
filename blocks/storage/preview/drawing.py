"""Have a picture drawn by a process of its own, which gets no secret and may crash."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from blocks.errors import without_secrets
from blocks.shown_text import shown
from blocks.storage.preview.limits import LARGEST_PICTURE, LONGEST_ERROR, SECONDS

PACKAGES = ("ifcopenshell", "numpy", "PIL", "vtkmodules")
"""What the extra “preview” installs."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_ROOT = Path(__file__).parents[3]
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")
_DRAWING = {
    "VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow" if sys.platform == "linux" else "",
    "LIBGL_ALWAYS_SOFTWARE": "1",  # the same picture with and without a graphics card
    "MESA_SHADER_CACHE_DISABLE": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_AT_ONCE = threading.BoundedSemaphore(2)
"""A batch publishes many exports at once, and each picture takes a processor and up to 2 GB."""
_LONGEST_WAIT = 60.0

Kind = Literal["ifc", "mesh"]


@dataclass(frozen=True)
class Drawing:
    """The bytes of a PNG; or none, and why."""

    png: bytes = b""
    reason: str = ""


def missing_packages() -> list[str]:
    """Packages of the extra that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


def draw(kind: Kind, sources: Sequence[Path], *, seconds: int = SECONDS) -> Drawing:
    """Draw IFC files, or the tileset in a folder; whatever happens, there is a drawing or a reason."""
    try:
        with _turn() as is_free, tempfile.TemporaryDirectory(prefix="itwin-export-preview-") as folder:
            if not is_free:
                return Drawing(reason="too many other pictures are being drawn")
            return _draw_into(Path(folder), kind, sources, seconds)
    except OSError as error:
        return Drawing(reason=f"the process that draws cannot be started ({error.strerror or type(error).__name__})")


@contextmanager
def _turn() -> Generator[bool]:
    is_free = _AT_ONCE.acquire(timeout=_LONGEST_WAIT)
    try:
        yield is_free
    finally:
        if is_free:
            _AT_ONCE.release()


def _draw_into(folder: Path, kind: Kind, sources: Sequence[Path], seconds: int) -> Drawing:
    said = folder / "stderr"
    # -P: files of the export are not to be imported. The folder is empty for the same reason.
    command = [sys.executable, "-P", "-m", "blocks.storage.preview", f"{os.getpid()}", f"{seconds}", kind, str(folder)]
    with said.open("wb") as stderr:
        try:
            ended = subprocess.run(  # noqa: S603  our own module
                [*command, *(str(source.absolute()) for source in sources)],
                cwd=folder,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                timeout=seconds + 1,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return Drawing(reason=_too_long(seconds))
    return _outcome(folder, ended.returncode, seconds)


def _environment() -> dict[str, str]:
    """Nothing but what a process needs to run: it reads foreign data."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed_on | _DRAWING | {"PYTHONPATH": str(_ROOT)}


def _outcome(folder: Path, exit_code: int, seconds: int) -> Drawing:
    png, reason = _read(folder / "preview.png", LARGEST_PICTURE), _read(folder / "reason", LONGEST_ERROR)
    if exit_code == 0 and png.startswith(PNG_MAGIC):
        return Drawing(png)
    if exit_code == 0 and reason:
        return Drawing(reason=_safe(reason))
    if exit_code == -getattr(signal, "SIGALRM", 0):
        return Drawing(reason=_too_long(seconds))
    if exit_code < 0:
        return Drawing(reason=f"the process that draws it crashed ({signal.strsignal(-exit_code)})")
    lines = _read(folder / "stderr", LONGEST_ERROR).strip().splitlines() or [b"no error"]
    return Drawing(reason=f"the process that draws it failed ({_safe(lines[-1])})")


def _too_long(seconds: int) -> str:
    return f"drawing it takes more than {seconds} s"


def _read(path: Path, longest: int) -> bytes:
    """The end of a file, so many bytes of it; empty if it is missing."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - longest))
            return file.read(longest)
    except OSError:
        return b""


def _safe(text: bytes) -> str:
    return shown(without_secrets(text.decode(errors="replace")), 200)
