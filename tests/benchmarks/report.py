"""REPORT.md: a section a benchmark, each replaced by the next run of its own, with the machine it was measured on."""

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

REPORT = Path(__file__).with_name("REPORT.md")


def put_section(title: str, text: str) -> None:
    """Replace the section of that title, or add it."""
    written = REPORT.read_text(encoding="utf-8") if REPORT.exists() else "# Benchmarks\n"
    head, *sections = re.split(r"(?m)^(?=## )", written)
    others = [section for section in sections if not section.startswith(f"## {title}\n")]
    kept = [head.strip(), *(section.strip() for section in others), f"## {title}\n\n{text.strip()}"]
    REPORT.write_text("\n\n".join(kept) + "\n", encoding="utf-8")


def machine(packages: Sequence[str], programs: Sequence[Sequence[str | Path]] = ()) -> str:
    """What it was measured with, as a list."""
    system, load = f"{platform.system()} {platform.release()}", os.getloadavg()[0]
    lines = [
        f"{os.cpu_count()} cores ({_processor()}), {system}, load {load:.1f} at the end",
        f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in packages)}",
        *([", ".join(_first_line(program) for program in programs)] if programs else []),
    ]
    return "\n".join(f"* {line}" for line in lines)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _first_line(program: Sequence[str | Path]) -> str:
    path = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"
    said = subprocess.run(program, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=True)
    return (said.stdout or said.stderr).splitlines()[0]
