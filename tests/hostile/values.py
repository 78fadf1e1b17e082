"""Values that nobody means, by the kind of an option or setting."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from tests.hostile.case import SECRET, nothing

LONG = "x" * 100_000
TEXTS = (
    "\x1b[2J\x1b]0;title\x07",
    LONG,
    "\udcff\udcfe",
    "",
    "\u202egnp.exe",
    "[red]a[/bold]",
    "../../../../etc/passwd",
    f"https://evil.example/a?sig={SECRET}",
    "a\r\nitwin-export: done",
    "{imodel.__class__}{0}%s%n",
    "--json",
    "//[::1",
    "javascript:alert(1)",
    "\u0661\u0662\u0663",
    "C:\\CON\\aux",
    "null",
)
NUMBERS = (
    "nan", "inf", "-inf", "1e999", "-1", "9" * 5000, "0x10", "", "1_0", "\u0661", "9223372036854775808", "0",
    "\x1b[2J", "1e308", "-0.0", LONG,
)  # fmt: skip
FLAGS = ("maybe", "\x1b[2J", "", "2", LONG)
CHOICES = ("IFC5", "\x1b[2J", "", LONG, "[red]", "ifc mesh")


def of_type(hint: Any) -> tuple[str, ...]:
    """The values for an option of this type."""
    kinds = {hint, get_origin(hint), *get_args(hint)}
    kinds |= {get_origin(inner) for inner in get_args(hint)}
    if bool in kinds:
        return FLAGS
    if kinds & {int, float}:
        return NUMBERS
    return CHOICES if Literal in kinds else TEXTS


def make_fifo(path: Path) -> None:
    """A pipe that nobody writes to: opening it waits for ever."""
    os.mkfifo(path)


def make_loop(path: Path) -> None:
    """A symbolic link to itself."""
    path.symlink_to(path)


def make_socket(path: Path) -> None:
    """A socket's file."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def make_directory(path: Path) -> None:
    """A folder where a file is expected."""
    path.mkdir()


def make_file(path: Path) -> None:
    """A file where a folder is expected."""
    path.write_bytes(b"\0\xff")


def make_dangling(path: Path) -> None:
    """A link to nothing."""
    path.symlink_to("/nosuch/at/all")


MADE: dict[str, Callable[[Path], None]] = {
    "a.fifo": make_fifo,
    "a.loop": make_loop,
    "a.socket": make_socket,
    "a.folder": make_directory,
    "a.file": make_file,
    "a.dangling": make_dangling,
}
"""Paths that are made before the command runs."""
PATHS = (
    "/dev/null", "/dev/zero", "/dev/full", "/dev/stdin", "/proc/self/mem", "/proc/kcore", "/proc", "/nosuch/at/all",
    "~nobody-here/x", "~", "", "-", "/", "..", "a/" * 1500, "x" * 300, LONG, "\udcff", "\x1b[2J", "az://container/x",
    "\u202egnp.exe", "a\nb",
)  # fmt: skip


def paths(wanted: tuple[str, ...] = PATHS) -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Each path with what makes it."""
    for path in wanted:
        yield path, nothing
    for path, make in MADE.items():
        yield path, lambda folder, path=path, make=make: make(folder / path)
