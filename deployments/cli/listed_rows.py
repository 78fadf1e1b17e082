"""Rows of `itwin-export list`: the platform's items with the names that scripts get."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.itwin.api import imodels, itwins
from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import ExportConnection, ExportRun
from tasks.ifc.followed_runs import followers_of
from tasks.ifc.options import OWN_CONNECTION
from tasks.options import state_dir_of

Row = dict[str, Any]


async def itwin_rows(apis: ItwinApis, search: str, size: int | None) -> AsyncIterator[Row]:
    """The iTwins of the caller; `size` is the most that will be read."""
    async for itwin in apis.itwins.list_itwins(search=search, page_size=_page(size, itwins.PAGE_SIZE)):
        yield {"name": itwin.display_name, "number": itwin.number, "class": itwin.sub_class, "id": itwin.id}


async def imodel_rows(apis: ItwinApis, itwin_id: str, search: str, size: int | None) -> AsyncIterator[Row]:
    """The iModels of an iTwin, those too that are not initialized."""
    listed = apis.imodels.list_imodels(itwin_id, state="", search=search, page_size=_page(size, imodels.PAGE_SIZE))
    async for imodel in listed:
        yield {
            "name": imodel.display_name,
            "state": imodel.state,
            "last_push": imodel.last_changeset_push_date_time,
            "id": imodel.id,
        }


async def version_rows(apis: ItwinApis, imodel_id: str, size: int | None) -> AsyncIterator[Row]:
    """The named versions of an iModel, hidden ones too."""
    listed = apis.imodels.list_named_versions(imodel_id, page_size=_page(size, imodels.PAGE_SIZE))
    async for version in listed:
        yield {
            "name": version.display_name,
            "changeset_index": version.changeset_index,
            "created_at": version.created_date_time,
            "hidden": version.is_hidden,
            "description": version.description,
            "changeset_id": version.changeset_id,
            "id": version.id,
        }


async def changeset_rows(apis: ItwinApis, imodel_id: str, size: int | None) -> AsyncIterator[Row]:
    """The changesets of an iModel."""
    async for changeset in apis.imodels.list_changesets(imodel_id, page_size=_page(size, imodels.PAGE_SIZE)):
        yield {
            "index": changeset.index,
            "pushed_at": changeset.push_date_time,
            "description": changeset.description,
            "id": changeset.id,
        }


async def run_rows(apis: ItwinApis, imodel_id: str, output_dir: Path, size: int | None) -> AsyncIterator[Row]:
    """The runs of every export connection of an iModel that the caller sees, connection by connection."""
    del size  # the platform lists the runs of one connection at a time
    followers = followers_of(state_dir_of(output_dir, imodel_id))
    async for connection in apis.exports.list_connections(imodel_id):
        async for run in apis.exports.list_runs(connection.id):
            yield _run_row(connection, run, followers.get(run.id, []), apis.client.server_now())


def _run_row(connection: ExportConnection, run: ExportRun, followers: list[str], now: datetime) -> Row:
    started = run.start_date_time
    return {
        "ours": (connection.display_name or "").startswith(OWN_CONNECTION),
        "state": str(run.state),
        "result": str(run.result) if run.is_finished else None,
        "age_minutes": round((now - started).total_seconds() / 60) if started else None,
        "followed_by": ", ".join(followers) or None,
        "started_at": started,
        "finished_at": run.end_date_time,
        "connection": connection.display_name,
        "connection_id": connection.id,
        "id": run.id,
    }


def cell(value: object) -> str:
    """A value in a table."""
    match value:
        case None | False:
            return ""
        case True:
            return "yes"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        case _:
            return str(value)


def _page(size: int | None, largest: int) -> int:
    return min(size or largest, largest)
