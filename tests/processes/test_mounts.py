"""Exports into folders as they are mounted: file systems that cannot do everything, other disks, read-only ones."""

import subprocess
import sys

import pytest

from blocks.storage.manifest import read_manifest
from deployments.sandbox.state.seed import SEEDED
from tests.processes.commands import LONGEST_WAIT, CliSandbox

IN_A_NAMESPACE = ["unshare", "--map-root-user", "--mount", "sh", "-e", "-c"]


def run(cli_sandbox: CliSandbox, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with the environment of a person who uses the stand-in platform."""
    return subprocess.run(
        command, env=cli_sandbox.environment, capture_output=True, text=True, check=False, timeout=LONGEST_WAIT
    )


def mounted(cli_sandbox: CliSandbox, mount: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run `itwin-export` with the output folder mounted in a mount namespace of its own."""
    itwin_export = [sys.executable, "-m", "deployments", *arguments]
    return run(cli_sandbox, *IN_A_NAMESPACE, f'{mount}\nexec "$@"', "sh", *itwin_export)


def test_a_mount_without_folder_sync_and_locks_holds_exports(cli_sandbox: CliSandbox) -> None:
    """Where fsync of folders ends in EINVAL and locks in ENOLCK, a batch is published, and each is said once."""
    chosen = ["--imodel-ids", SEEDED.plant, "--imodel-ids", SEEDED.bridge]
    limited = [sys.executable, "-m", "tests.limited_mounts"]
    done = run(cli_sandbox, *limited, "itwin", SEEDED.itwin, "--formats", "ifc", "--formats", "mesh", *chosen)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("has no way to flush what is written (fsync: Invalid argument)") == 1
    assert done.stderr.count("has no file locks (No locks available)") == 1
    published = [read_manifest(cli_sandbox.folder / one / kind) for one in chosen[1::2] for kind in ("ifc", "mesh")]
    assert all(published)


def test_a_mesh_folder_that_is_a_mount_point_is_refused_first(cli_sandbox: CliSandbox) -> None:
    """A folder of the same disk mounted as `mesh` cannot be swapped, which is said before anything is asked for."""
    folder = cli_sandbox.folder / SEEDED.plant / "mesh"
    folder.mkdir(parents=True)
    done = mounted(cli_sandbox, f"mount --bind '{folder}' '{folder}'", "mesh", SEEDED.plant)
    assert done.returncode == 2
    assert "is a mount point, which cannot be renamed" in done.stderr.splitlines()[-1]
    assert not list(cli_sandbox.sandbox.state.meshes.of(SEEDED.plant))


@pytest.mark.parametrize(
    ("arguments", "before"),
    [
        (("ifc", SEEDED.plant), ""),
        pytest.param(("doctor", "--imodel-id", SEEDED.plant), "unset PREFECT_API_URL", marks=pytest.mark.crash),
    ],
)
def test_a_folder_mounted_read_only_is_refused_first(
    cli_sandbox: CliSandbox, arguments: tuple[str, ...], before: str
) -> None:
    """With the folder of IFC files on a read-only mount, the sentence names it and no run is started."""
    folder = cli_sandbox.folder / SEEDED.plant / "ifc"
    folder.mkdir(parents=True)
    done = mounted(cli_sandbox, f"mount -t tmpfs -o ro tmpfs '{folder}'\n{before}", *arguments)
    assert done.returncode == 2
    assert f"The folder {folder} is read-only" in done.stdout + done.stderr
    assert cli_sandbox.runs == []
