"""`itwin-export check`: what an IFC file or a tileset contains that is already there."""

import json as json_module
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from blocks.errors import InputError
from blocks.storage.content.models import ExportContent
from deployments.cli.tables import wide_console
from deployments.output_streams import write_json

Members = dict[str, Any]


def check(path: Path, *, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Say what an IFC file or a tileset contains, whoever made it.

    Args:
        path: An IFC file, a tileset.json, the folder of one, or a folder with IFC files.
        json: Print one JSON document.
    """
    content = read_content(path)
    found = {"verdict": "not_checked", **content.model_dump(mode="json")}
    if json:
        write_json(json_module.dumps(found, ensure_ascii=False))
        return
    for report in (*content.ifc, *filter(None, [content.tileset])):
        wide_console().print(_table(report.model_dump(mode="json")))
    wide_console().print("Verdict: not checked, for there are no acceptance rules.", highlight=False)


def read_content(path: Path) -> ExportContent:
    """The content of what lies at a path.

    Raises:
        InputError: It is neither an IFC file nor a tileset.
        ContentError: It is a tileset that is not whole.
    """
    folder = path.parent if path.name == "tileset.json" else path
    if (folder / "tileset.json").is_file():
        from blocks.storage.tileset.verify import verify_tileset  # noqa: PLC0415  not for files

        return ExportContent(tileset=verify_tileset(folder).content)
    files = sorted(path.glob("*.[iI][fF][cC]")) if path.is_dir() else [path]
    if not files or not all(_is_ifc(file) for file in files):
        raise InputError(
            f"{path} is neither an IFC file nor a tileset. Name an IFC file, or a folder with tileset.json."
        )
    from blocks.storage.content.ifc_content import read_ifc_content  # noqa: PLC0415  not for tilesets

    return ExportContent(ifc=tuple(read_ifc_content(file) for file in files))


def _is_ifc(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"ISO-10303-21" in file.read(4096).upper()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Name an IFC file or a tileset.") from None


def _table(members: Members) -> Table:
    table = Table("What", "Found", title="Content", title_justify="left")
    for name, value in members.items():
        if value not in (None, "", [], {}):
            table.add_row(name.replace("_", " "), Text(_shown(value)))
    return table


def _shown(value: object) -> str:
    if isinstance(value, dict):
        pairs = cast("Members", value)
        return ", ".join(f"{name} {_shown(inner)}" for name, inner in pairs.items() if inner is not None)
    return "; ".join(map(_shown, cast("list[object]", value))) if isinstance(value, list) else str(value)
