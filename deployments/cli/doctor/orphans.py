"""`itwin-export doctor --orphans`: runs that go on at the platform although no flow run follows them."""

import json

from rich.table import Table

from blocks.errors import InputError
from blocks.itwin.apis import ItwinApis
from deployments.cli.own_server import run_with_server
from deployments.cli.tables import add_row, wide_console
from deployments.output_streams import write_json
from tasks.addresses import read_subject
from tasks.ifc.orphaned_runs import OrphanedRun, find_orphans
from tasks.load_blocks import load_credentials
from tasks.names import imodel_id_of, itwin_id_of

PICK_UP = "Run the export of the iModel again with the same options: it picks the run up."


def show_orphans(imodel_id: str | None, itwin_id: str | None, credentials: str, *, as_json: bool) -> None:
    """List the orphaned runs of one iModel, or of every iModel of an iTwin.

    Raises:
        InputError: Neither is named, or both.
    """
    if bool(imodel_id) == bool(itwin_id):
        raise InputError("Whose runs? Name an iModel (--imodel-id) or an iTwin (--itwin-id).")
    imodel = read_subject(imodel_id, "iModel") if imodel_id else None
    itwin = read_subject(itwin_id, "iTwin") if itwin_id else None
    orphans = run_with_server(_find(imodel, itwin, credentials))
    if as_json:
        write_json(json.dumps([orphan.model_dump(mode="json") for orphan in orphans]))
    else:
        wide_console().print(_table(orphans) if orphans else "No run of ours goes on without a flow run that follows.")


async def _find(imodel: str | None, itwin: str | None, credentials: str) -> list[OrphanedRun]:
    block = await load_credentials(credentials)
    async with block.get_client() as apis:
        named = [await imodel_id_of(apis, imodel)] if imodel else await _imodels_of(apis, itwin or "")
        return await find_orphans(block, named)


async def _imodels_of(apis: ItwinApis, itwin: str) -> list[str]:
    itwin_id = await itwin_id_of(apis, itwin)
    return [imodel.id async for imodel in apis.imodels.list_imodels(itwin_id)]


def _table(orphans: list[OrphanedRun]) -> Table:
    table = Table(title="Runs nobody follows", title_justify="left", caption=PICK_UP, caption_justify="left")
    for column in ("iModel", "Export run", "Connection", "Made for", "State", "Started"):
        table.add_column(column, overflow="fold")
    for orphan in orphans:
        started = f"{orphan.started_at:%Y-%m-%d %H:%M:%S} UTC" if orphan.started_at else ""
        row = (orphan.imodel_id, orphan.run_id, orphan.connection_id, orphan.connection_name, orphan.state, started)
        add_row(table, *row)
    return table
