"""The folder that exports are published in."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from blocks.disk import disk_errors, write_whole
from blocks.errors import ConfigurationError
from deployments.cli.tables import human_size

LEAST_BYTES = 2_000_000_000


def check_output_folder(folder: Path) -> str:
    """Written to for real: permissions alone do not tell."""
    place = folder.expanduser().absolute()
    probe = place / f".doctor-{datetime.now(UTC):%H%M%S%f}"
    with disk_errors(place):
        place.mkdir(parents=True, exist_ok=True)
        write_whole(probe, b"")
        probe.unlink()
        free = shutil.disk_usage(place).free
    if free < LEAST_BYTES:
        raise ConfigurationError(f"{place} has only {human_size(free)} left. Make room, or set ITWIN_OUTPUT_DIR.")
    return f"{place} can be written to, {human_size(free)} free."
