"""What prefect.yaml and those who read it share: the pull step of every deployment, the name of the pool."""

import os
from pathlib import Path

from blocks.errors import ConfigurationError
from blocks.settings import read_settings
from blocks.storage.destination.address import is_store_address
from blocks.telemetry import start_telemetry

PROJECT = Path(__file__).resolve().parents[1]
POOL = "itwin-export"


def enter_project() -> dict[str, str]:
    """Run flows from the folder this very package lies in: a clone, an image, an installed wheel.

    A worker starts each run in an empty folder; entry points and relative output folders count from here. In an
    installed package that folder is not the user's, so the output folder must be absolute there.

    Raises:
        ConfigurationError: Exports would go among installed packages.

    Side effects:
        Changes the working directory.
    """
    start_telemetry()
    output_dir = read_settings().output_dir
    is_anywhere = is_store_address(output_dir) or Path(output_dir).expanduser().is_absolute()
    if not (PROJECT / "prefect.yaml").exists() and not is_anywhere:
        raise ConfigurationError(
            f"ITWIN_OUTPUT_DIR is “{output_dir}”, which a worker of an installed package cannot place. "
            f"Set it to an absolute path."
        )
    os.chdir(PROJECT)
    return {"directory": str(PROJECT)}
