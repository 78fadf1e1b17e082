"""`itwin-export list …`: what there is to export, and what was exported."""

import json as json_module
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from blocks.errors import InputError
from blocks.itwin.apis import ItwinApis
from deployments.cli.listed_exports import list_exports, list_stored_exports
from deployments.cli.listed_rows import (
    Row,
    cell,
    changeset_rows,
    imodel_rows,
    itwin_rows,
    run_rows,
    version_rows,
)
from deployments.cli.platform_access import with_platform
from deployments.cli.stored_output import opened_store
from deployments.cli.tables import add_row, wide_console
from deployments.output_streams import write_json
from tasks.addresses import EXPECTED, LONGEST_NAME, Kind, read_subject
from tasks.names import imodel_id_of, itwin_id_of
from tasks.output_place import address_of, check_output_dir, output_of

SHOWN = 50
"""Rows of a table, unless more are asked for; JSON has all."""
app = App(name="list", help="List iTwins, iModels, versions, changesets, runs and exports.", help_format="plaintext")
AsJson = Annotated[bool, Parameter(negative="", help="Print one JSON document.")]
Top = Annotated[int | None, Parameter(name="--top", help="How many to show; a table shows 50, JSON all.")]
Credentials = Annotated[str, Parameter(help="Name of an iTwin Credentials block.")]
Search = Annotated[
    str, Parameter(help="Only those with this text in their name (iTwin: or number; iModel: or description).")
]
OutputDir = Annotated[
    str | None, Parameter(help="Exports whose records say which flow run follows a run; default: ITWIN_OUTPUT_DIR.")
]
Folder = Annotated[str | None, Parameter(help="Folder or address of the exports; default: ITWIN_OUTPUT_DIR.")]
Destination = Annotated[str, Parameter(help="Name of a saved Export Destination block, for an object store.")]
ITwin = Annotated[str, Parameter(help=f"The iTwin: {EXPECTED['iTwin']}.")]
IModel = Annotated[str, Parameter(help=f"The iModel: {EXPECTED['iModel']}.")]
Rows = Callable[[ItwinApis, int | None], AsyncIterator[Row]]


@app.command
def itwins(*, search: Search = "", top: Top = None, credentials: Credentials = "default", json: AsJson = False) -> None:
    """List the iTwins that this client is a member of."""
    _require_searchable(search)
    _show(lambda apis, size: itwin_rows(apis, search, size), "iTwins", top, credentials, as_json=json)


@app.command
def imodels(
    itwin: ITwin, *, search: Search = "", top: Top = None, credentials: Credentials = "default", json: AsJson = False
) -> None:
    """List the iModels of an iTwin."""
    _require_searchable(search)
    rows = _of(itwin, "iTwin", lambda apis, key, size: imodel_rows(apis, key, search, size))
    _show(rows, "iModels", top, credentials, as_json=json)


@app.command
def versions(imodel: IModel, *, top: Top = None, credentials: Credentials = "default", json: AsJson = False) -> None:
    """List the named versions of an iModel, those of the latest changeset first."""
    _show(_of(imodel, "iModel", version_rows), "Named versions", top, credentials, as_json=json)


@app.command
def changesets(imodel: IModel, *, top: Top = None, credentials: Credentials = "default", json: AsJson = False) -> None:
    """List the changesets of an iModel, the latest first."""
    _show(_of(imodel, "iModel", changeset_rows), "Changesets", top, credentials, as_json=json)


@app.command
def runs(
    imodel: IModel,
    *,
    output_dir: OutputDir = None,
    top: Top = None,
    credentials: Credentials = "default",
    json: AsJson = False,
) -> None:
    """List the export runs of an iModel, and which of them are ours and followed by a flow run."""
    folder = check_output_dir(output_dir)
    rows = _of(imodel, "iModel", lambda apis, key, size: run_rows(apis, key, folder, size))
    _show(rows, "Export runs", top, credentials, as_json=json)


@app.command
def exports(
    folder: Folder = None, *, destination: Destination = "default", top: Top = None, json: AsJson = False
) -> None:
    """List the exports that are published in a folder, earlier ones too, or in an object store."""
    address = address_of(output_of(folder))
    if address is None:
        rows = list_exports(check_output_dir(folder))
    else:
        rows = list_stored_exports(opened_store(address, destination))
    _print(rows[: _limit(top, as_json=json)], len(rows) - (_limit(top, as_json=json) or 0), "Exports", as_json=json)


def _require_searchable(text: str) -> None:
    if len(text) > LONGEST_NAME:
        raise InputError(f"--search has {len(text)} characters; names have at most {LONGEST_NAME}.")


def _of(given: str, kind: Kind, rows: Callable[[ItwinApis, str, int | None], AsyncIterator[Row]]) -> Rows:
    """Rows about an iTwin or an iModel, which is looked up by name where that was given."""
    subject = read_subject(given, kind)
    find: Callable[[ItwinApis, str], Awaitable[str]] = itwin_id_of if kind == "iTwin" else imodel_id_of

    async def found(apis: ItwinApis, size: int | None) -> AsyncIterator[Row]:
        async for row in rows(apis, await find(apis, subject), size):
            yield row

    return found


def _show(rows: Rows, title: str, top: int | None, credentials: str, *, as_json: bool) -> None:
    """Read all rows, or as many as are shown and one more, which tells whether there are more."""
    limit = _limit(top, as_json=as_json)

    async def read(apis: ItwinApis) -> list[Row]:
        found: list[Row] = []
        async for row in rows(apis, limit and limit + 1):
            found.append(row)
            if limit is not None and len(found) > limit:
                break
        return found

    found = with_platform(credentials, read)
    _print(found[:limit], len(found) - limit if limit else 0, title, as_json=as_json)


def _limit(top: int | None, *, as_json: bool) -> int | None:
    if top is not None and top < 1:
        raise InputError(f"--top is {top}; give 1 or more.")
    return top or (None if as_json else SHOWN)


def _print(rows: Sequence[Row], more: int, title: str, *, as_json: bool) -> None:
    if as_json:
        write_json(json_module.dumps([_plain(row) for row in rows]))
    elif not rows:
        sys.stderr.write(f"{title}: none.\n")
    else:
        wide_console().print(_table(title, rows))
    if more > 0:
        sys.stderr.write(f"Only the first {len(rows)} are shown; there are more. --top shows more, --json all.\n")


def _plain(row: Row) -> dict[str, Any]:
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}


def _table(title: str, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        add_row(table, *map(cell, row.values()))
    return table
