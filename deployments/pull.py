"""What prefect.yaml and those who read it share: the pull step of every deployment, the name of the pool."""

import os
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
POOL = "itwin-export"


def enter_project() -> dict[str, str]:
    """Run flows from the folder this very package lies in: a clone, an image, an installed wheel.

    A worker starts each run in an empty folder; entry points and relative output folders count from here.

    Side effects:
        Changes the working directory.
    """
    os.chdir(PROJECT)
    return {"directory": str(PROJECT)}
