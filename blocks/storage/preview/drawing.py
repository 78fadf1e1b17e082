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

from blocks.bounds import MIB
from blocks.errors import without_secrets
from blocks.limited_process import minimal_environment, module_command
from blocks.shown_text import shown
from blocks.storage.preview.free_memory import free_memory
from blocks.storage.preview.limits import LARGEST_PICTURE, LEAST_MEMORY, LONGEST_ERROR, MOST_MEMORY, SECONDS

PACKAGES = ("ifcopenshell", "numpy", "PIL", "vtkmodules")
"""What the extra “preview” installs."""
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_DRAWING = {
    "VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow" if sys.platform == "linux" else "",
    "LIBGL_ALWAYS_SOFTWARE": "1",  # the same picture with and without a graphics card
    "MESA_SHADER_CACHE_DISABLE": "true",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_AT_ONCE = 2
"""A batch publishes many exports at once, and each picture takes a processor and up to 2 GB."""
_turns = threading.BoundedSemaphore(_AT_ONCE)
_LONGEST_WAIT = 60.0
_NO_MEMORY = (b"bad_alloc", b"MemoryError", b"Unable to allocate", b"Memory allocation")

Kind = Literal["ifc", "mesh", "trial"]


@dataclass(frozen=True)
class Drawing:
    """The bytes of a PNG, and what the picture lacks; or none, and why."""

    png: bytes = b""
    reason: str = ""


def missing_packages() -> list[str]:
    """Packages of the extra that are not installed."""
    return [name for name in PACKAGES if find_spec(name) is None]


@dataclass(frozen=True)
class Limits:
    """What a picture may take: seconds, and bytes of memory."""

    seconds: int = SECONDS
    memory: int = MOST_MEMORY

    @property
    def command(self) -> list[str]:
        """As the process takes them."""
        return [f"{self.seconds}", f"{self.memory}"]

    @property
    def too_long(self) -> str:
        """The reason where the time is over."""
        return f"drawing it takes more than {self.seconds} s"

    @property
    def too_large(self) -> str:
        """The reason where the memory does not suffice."""
        return f"drawing it takes more than {self.memory // MIB} MiB of memory"


def draw(kind: Kind, sources: Sequence[Path], limits: Limits | None = None) -> Drawing:
    """Draw IFC files, the tileset in a folder, or a triangle as a trial; there is always a drawing or a reason."""
    try:
        with _turn() as is_free, tempfile.TemporaryDirectory(prefix="itwin-export-preview-") as folder:
            if not is_free:
                return Drawing(reason="too many other pictures are being drawn")
            limits = limits or Limits(memory=_memory())
            if not limits.memory:
                return Drawing(reason=f"less than {_AT_ONCE * LEAST_MEMORY // MIB} MiB of memory are free")
            return _draw_into(Path(folder), kind, sources, limits)
    except OSError as error:
        return Drawing(reason=f"the process that draws cannot be started ({error.strerror or type(error).__name__})")


def _memory() -> int:
    """So many bytes that another picture can have the same; 0 if that is not enough for one."""
    free = free_memory()
    memory = MOST_MEMORY if free is None else min(MOST_MEMORY, free // _AT_ONCE)
    return memory if memory >= LEAST_MEMORY else 0


@contextmanager
def _turn() -> Generator[bool]:
    is_free = _turns.acquire(timeout=_LONGEST_WAIT)
    try:
        yield is_free
    finally:
        if is_free:
            _turns.release()


def _draw_into(folder: Path, kind: Kind, sources: Sequence[Path], limits: Limits) -> Drawing:
    said = folder / "stderr"
    # The folder is empty, so that no file of the export is imported.
    command = [*module_command("blocks.storage.preview"), f"{os.getpid()}", *limits.command, kind, str(folder)]
    with said.open("wb") as stderr:
        try:
            ended = subprocess.run(  # noqa: S603  our own module
                [*command, *(str(source.absolute()) for source in sources)],
                cwd=folder,
                env=minimal_environment(_DRAWING),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                timeout=limits.seconds + 1,
                check=False,
                start_new_session=True,
            )
        except subprocess.TimeoutExpired:
            return Drawing(reason=limits.too_long)
    return _outcome(folder, ended.returncode, limits)


def _outcome(folder: Path, exit_code: int, limits: Limits) -> Drawing:
    png, reason = _read(folder / "preview.png", LARGEST_PICTURE), _read(folder / "reason", LONGEST_ERROR)
    if exit_code == 0 and png.startswith(PNG_MAGIC):
        return Drawing(png, _safe(reason))
    if exit_code == 0 and reason:
        return Drawing(reason=_safe(reason))
    if exit_code == -getattr(signal, "SIGALRM", 0):
        return Drawing(reason=limits.too_long)
    said = _read(folder / "stderr", LONGEST_ERROR)
    if any(sign in said for sign in _NO_MEMORY):
        return Drawing(reason=limits.too_large)
    if exit_code < 0:
        return Drawing(reason=f"the process that draws it crashed ({signal.strsignal(-exit_code)})")
    lines = said.strip().splitlines() or [b"no error"]
    return Drawing(reason=f"the process that draws it failed ({_safe(lines[-1])})")


def _read(path: Path, longest: int) -> bytes:
    """The last `longest` bytes of a file; empty if the file is missing."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - longest))
            return file.read(longest)
    except OSError:
        return b""


def _safe(text: bytes) -> str:
    return shown(without_secrets(text.decode(errors="replace")), 200)
