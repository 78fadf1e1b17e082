"""What ships may be passed on: `make licences` lists it."""

import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

SHIPPED = Path(__file__).parents[1] / "requirements.txt"


def shipped_packages() -> list[str]:
    """The names of the locked packages that an installation brings along on this system."""
    lines = [line.removesuffix("\\") for line in SHIPPED.read_text().splitlines() if line[:1].isalnum()]
    needed = [Requirement(line) for line in lines]
    return [package.name for package in needed if package.marker is None or package.marker.evaluate()]


def list_licences(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run pip-licenses over the packages that ship; which licences are accepted stands in `pyproject.toml`."""
    command = [str(Path(sys.executable).with_name("pip-licenses")), *arguments, "--packages", *shipped_packages()]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_package_that_ships_has_an_accepted_licence() -> None:
    """Each locked package of an installation is listed with a licence that `pyproject.toml` accepts."""
    listed = list_licences("--format=csv")
    assert listed.returncode == 0, listed.stderr.splitlines()[-1]
    assert len(listed.stdout.splitlines()) == len(shipped_packages()) + 1


def test_a_licence_that_is_not_accepted_is_found() -> None:
    """A package whose licence is not in the list is named."""
    listed = list_licences("--allow-only=MIT")
    assert listed.returncode == 1
    assert "not in allow-only licenses was found for package" in listed.stderr
