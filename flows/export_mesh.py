"""Export one iModel as 3D Tiles: the runbook.

Requires: an `iTwin Credentials` block, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment.
"""

from typing import Annotated

from prefect import flow

from tasks.changeset import resolve_changeset
from tasks.form_fields import OptionalText, titled
from tasks.load_blocks import load_credentials
from tasks.mesh.export import build_mesh_spec, ensure_mesh_export, wait_for_mesh
from tasks.mesh.options import MeshRequest, MeshType, Start
from tasks.mesh.tileset import fetch_tiles, find_published_tiles, publish_tiles, try_publishing_tiles
from tasks.platform_slots import platform_slot
from tasks.published import report_skipped
from tasks.reports import ExportReport
from tasks.state_dir import staging_dir


@flow(name="export-mesh", flow_run_name="mesh-{imodel_id}", persist_result=False)
async def export_mesh(
    imodel_id: Annotated[str, titled("iModel")],
    changeset_id: Annotated[OptionalText, titled("Changeset")] = None,
    export_type: Annotated[MeshType, titled("Kind of tiles")] = "3DTiles",
    start: Annotated[Start, titled("When tiles are asked for")] = "if-missing",
    output_dir: Annotated[OptionalText, titled("Local folder")] = None,
    credentials: Annotated[str, titled("Credentials")] = "default",
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
) -> ExportReport:
    """Export an iModel as a 3D Tiles tileset, fetch it whole and verify it.

    Args:
        imodel_id: Id of the iModel (a GUID); it stands in the iModel's address in the browser.
        changeset_id: Changeset to export: its id (40 hex digits) or index; empty for the latest.
        export_type: Kind of tiles; 3DTiles suits every viewer of 3D Tiles.
        start: The platform makes tiles by itself: ask for them if none turn up, never, or always anew.
        output_dir: Local folder for the fetched files; empty for the configured one.
        credentials: Name of an iTwin Credentials block.
        timeout_minutes: Longest time to wait until the platform has made the tiles.
        force: Export even when an identical, verified export is already there.
        verify: Read published files whole before trusting them, not only their size and time stamp.
    """
    request = MeshRequest.check(
        imodel_id=imodel_id,
        changeset_id=changeset_id,
        export_type=export_type,
        start=start,
        output_dir=output_dir,
        timeout_minutes=timeout_minutes,
        force=force,
        verify=verify,
    )
    itwin = await load_credentials(credentials)
    async with itwin.get_client():
        changeset = await resolve_changeset(itwin, request.imodel_id, request.changeset_id)
        if published := await find_published_tiles(itwin, request, changeset):
            return await report_skipped(published, request)
        await try_publishing_tiles(request)
        spec = await build_mesh_spec(itwin, request, changeset)
        async with platform_slot():
            asked = await ensure_mesh_export(itwin, spec)
            mesh = await wait_for_mesh(itwin, spec, asked)
        with staging_dir(request, "mesh") as staging:
            fetched = await fetch_tiles(itwin, spec, mesh, staging)
            return await publish_tiles(itwin, spec, mesh, fetched)
