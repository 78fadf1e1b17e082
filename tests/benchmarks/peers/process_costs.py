"""Processor time and memory of a process with those that it started."""

from typing import Any

import psutil


def family(root: psutil.Process) -> list[psutil.Process]:
    """A process and those that it started."""
    return [root, *root.children(recursive=True)]


def cpu_seconds(root: psutil.Process) -> float:
    """Processor time of a process and its descendants, including children that have ended."""
    return sum(sum(root.cpu_times()[:4]) if one == root else sum(one.cpu_times()[:2]) for one in family(root))


def memory(root: psutil.Process) -> dict[str, Any]:
    """Resident memory of each in MB, and that of all where a page they share counts once."""
    found = [one.memory_full_info() for one in family(root)]
    each = " + ".join(str(round(one.rss / 1e6)) for one in found)
    return {"rss_mb": each, "rss_mb_pages_once": round(sum(one.pss for one in found) / 1e6)}
