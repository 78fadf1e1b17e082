"""An example for your own step: hand each published IFC file to rclone, which knows seventy kinds of storage.

Copy this file and `prefect.yaml` into a project of your own, and deploy it: prefect --no-prompt deploy --all
"""

import asyncio
import tempfile
from pathlib import Path

from prefect import flow, get_run_logger, task

from tasks.published_files import fetch_published


@flow(name="after-export", flow_run_name="after-export-{imodel_id}")
async def after_export(imodel_id: str, manifest: str, target: str, destination: str = "default") -> list[str]:
    """Copy the IFC files of a published export to a remote of rclone.

    Args:
        imodel_id: The iModel, of the event.
        manifest: Address of the manifest, of the event.
        target: Where the files go, as REMOTE:PATH of rclone, or a folder.
        destination: Name of a saved Export Destination block, if exports are in an object store.
    """
    with tempfile.TemporaryDirectory() as folder:
        export = await fetch_published(manifest, Path(folder), destination=destination)
        return [await hand_over(file, f"{target}/{imodel_id}/{file.name}") for file in export.files]


@task(retries=3, retry_delay_seconds=[10, 60, 300], persist_result=False)
async def hand_over(file: Path, target: str) -> str:
    """Copy a file with rclone, which compares its checksum where the remote has one."""
    process = await asyncio.create_subprocess_exec(
        "rclone", "copyto", "--checksum", str(file), target, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"rclone could not copy {file.name}: {said.decode(errors='replace')[-500:]}")
    get_run_logger().info("Copied %s.", file.name)
    return target
