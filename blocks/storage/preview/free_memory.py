"""Free memory of this machine or container, by which the drawing process is limited.

Linux says it in https://docs.kernel.org/filesystems/proc.html (MemAvailable) and
https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files. Kubernetes may end a whole container when one
of its processes takes too much.
"""

from pathlib import Path

_MACHINE = Path("/proc/meminfo")
_GROUPS = Path("/sys/fs/cgroup")
_NAMES = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)
"""Limit, use, and what of the use is a cache that can be given up: of control groups of version 2 and 1."""


def free_memory(machine: Path = _MACHINE, groups: Path = _GROUPS) -> int | None:
    """Bytes that are free; None where the system does not say so.

    Args:
        machine: What Linux says of the machine.
        groups: What it says of the container.
    """
    known = [_of_machine(machine), *(_of_group(groups, *names) for names in _NAMES)]
    return min((free for free in known if free is not None), default=None)


def _of_machine(path: Path) -> int | None:
    kilobytes = _member(path, "MemAvailable:")
    return None if kilobytes is None else 1024 * kilobytes


def _of_group(folder: Path, limit: str, used: str, statistics: str, cache: str) -> int | None:
    most, current = _number(folder / limit), _number(folder / used)
    if most is None or current is None:
        return None
    return max(0, most - current + (_member(folder / statistics, cache) or 0))


def _number(path: Path) -> int | None:
    """The number in a file; None without one, and where it says `max`."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _member(path: Path, name: str) -> int | None:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    values = (line.split()[1] for line in lines if line.startswith(f"{name} "))
    return next((int(value) for value in values if value.isdigit()), None)
