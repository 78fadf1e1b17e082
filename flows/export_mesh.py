"""Export one iModel as 3D Tiles: the steps in order.

Requires: an `iTwin Credentials` block, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment.
"""

from functools import partial

from prefect import flow
from prefect.runtime import flow_run

from flows.signatures import mesh_request, with_signature
from tasks.changeset import with_changeset
from tasks.followed_export import followed
from tasks.imodel import with_imodel, with_imodel_name
from tasks.load_blocks import load_credentials
from tasks.load_destination import with_destination
from tasks.load_rules import with_rules
from tasks.mesh.ended_export import report_ended_mesh
from tasks.mesh.export import build_mesh_spec, ensure_mesh_export, wait_for_mesh
from tasks.mesh.options import MeshRequest
from tasks.mesh.tiles_place import place_for_tiles
from tasks.mesh.tileset import (
    check_tiles_publishable,
    fetch_tiles,
    find_published_tiles,
    publish_rejected_tiles,
    publish_tiles,
)
from tasks.platform_slots import platform_slot
from tasks.published import raise_if_refused, report_skipped
from tasks.released.wait import found_or_released, require_resumable
from tasks.reports import ExportReport


@flow(
    name="export-mesh",
    flow_run_name="mesh-{imodel_id}",
    persist_result=False,
    on_crashed=[report_ended_mesh],
    on_cancellation=[report_ended_mesh],
)
@with_signature(mesh_request)
@followed()
async def export_mesh(request: MeshRequest) -> ExportReport:
    """Export an iModel as a 3D Tiles tileset, fetch it whole and verify it."""
    await require_resumable(request.policy)
    request = await with_destination(request)
    itwin = await load_credentials(request.credentials)
    request = await with_rules(request)
    async with itwin.get_client() as apis:
        request = await with_imodel(itwin, request)
        request, changeset = await with_changeset(itwin, request)
        if published := await find_published_tiles(itwin, request, changeset):
            return report_skipped(published, request)
        if report := await publish_rejected_tiles(itwin, request, changeset):
            return report
        await check_tiles_publishable(request)
        request = await with_imodel_name(itwin, request)
        spec = await build_mesh_spec(apis, request, changeset)
        async with platform_slot():
            asked = await ensure_mesh_export(itwin, spec)
            mesh = await found_or_released(partial(wait_for_mesh, itwin, spec, asked))
        with request.staging_root.staging("mesh", str(flow_run.get_id())) as staging, place_for_tiles(request) as place:
            fetched = await fetch_tiles(itwin, spec, mesh, staging, place)
            return raise_if_refused(await publish_tiles(itwin, spec, mesh, fetched), request)
