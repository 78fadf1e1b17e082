"""`itwin-export check`: what an IFC file or a tileset contains, and whether acceptance rules accept it."""

import json as json_module
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter
from rich.table import Table

from blocks.disk import trial_errors
from blocks.errors import InputError, RejectedError, UndecidedError
from blocks.shared_folder import open_regular
from blocks.shown_text import shown
from blocks.storage.acceptance.ids_checks import require_valid_documents
from blocks.storage.acceptance.judgement import Judgement, judge, reasons
from blocks.storage.acceptance.rules import GivenRules
from blocks.storage.content.models import ExportContent
from deployments.cli.prefect_settings import import_prefect
from deployments.cli.tables import add_row, check_table, wide_console
from deployments.output_streams import write_json
from tasks.acceptance import names_block, read_rules, with_ids_files

Members = dict[str, Any]


def check(
    path: Path,
    *,
    acceptance: str | None = None,
    ids: Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)] = (),
    report: Path | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Say what an IFC file or a tileset contains, whoever made it.

    Args:
        path: An IFC file, a tileset.json, the folder of one, or a folder with IFC files.
        acceptance: Acceptance rules to check it against: the path of a TOML file, or the name of a saved block.
        ids: IDS documents (Information Delivery Specifications) to check IFC files against.
        report: Folder to write the reports on IDS documents into: acceptance.html and acceptance.json.
        json: Print one JSON document.
    """
    given = _given(acceptance, ids)
    require_valid_documents(given)
    try:
        content = read_content(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}). Name an IFC file or a tileset.") from None
    found = judge(given, content, path if path.is_dir() else path.parent, previous=None)
    if json:
        members = found.model_dump(mode="json", exclude={"warnings"}) | content.model_dump(mode="json")
        write_json(json_module.dumps(members, ensure_ascii=False))
    else:
        _print_tables(content, found)
    if report:
        _write(report, found.reports)
    for warning in found.warnings:
        sys.stderr.write(f"{shown(warning)}\n")
    if found.verdict == "rejected":
        raise RejectedError(f"{path} is not what was agreed: {reasons(found.checks)}.")
    if found.verdict == "error":
        raise UndecidedError(f"{path} cannot be checked against the acceptance rules: {reasons(found.checks)}.")


def _write(folder: Path, reports: Mapping[str, bytes]) -> None:
    from blocks.storage.content_file import write_reports  # noqa: PLC0415  most checks write none

    with trial_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_reports(folder, reports)


def _given(acceptance: str | None, ids: tuple[Path, ...]) -> GivenRules | None:
    """The rules that were named, with the documents that were named."""
    given = _rules_of(acceptance) if acceptance else None
    if ids:
        given = with_ids_files(given, ids)
    if given is None or not given.missing_documents:
        return given
    import_prefect()
    from deployments.cli.own_server import run_with_server  # noqa: PLC0415  imports Prefect
    from tasks.ifc.ids_documents import load_documents  # noqa: PLC0415  imports Prefect

    return run_with_server(load_documents(given, "default"))


def _rules_of(acceptance: str) -> GivenRules:
    if not names_block(acceptance):
        return read_rules(acceptance)
    import_prefect()
    from deployments.cli.own_server import run_with_server  # noqa: PLC0415  imports Prefect
    from tasks.load_rules import load_rules  # noqa: PLC0415  imports Prefect

    return run_with_server(load_rules(acceptance))


def _print_tables(content: ExportContent, found: Judgement) -> None:
    for report in (*content.ifc, *filter(None, [content.tileset])):
        wide_console().print(_table(report.model_dump(mode="json")))
    if found.checks:
        wide_console().print(check_table(found.checks))
    verdict = found.verdict.replace("_", " ")
    nothing = ", for there are no acceptance rules" if not (found.checks or found.warnings) else ""
    wide_console().print(f"Verdict: {verdict}{nothing}.", highlight=False)


def read_content(path: Path) -> ExportContent:
    """The content of what lies at a path.

    Raises:
        InputError: It is neither an IFC file nor a tileset.
        OSError: It cannot be read.
        ContentError: It is a tileset that is not whole.
    """
    from blocks.storage.content_file import make_content  # noqa: PLC0415  refusals need none of it

    folder = path.parent if path.name == "tileset.json" else path
    if (folder / "tileset.json").is_file():
        return make_content(folder, [])
    files = sorted(path.glob("*.[iI][fF][cC]")) if path.is_dir() else [path]
    if not files or not all(_is_ifc(file) for file in files):
        raise InputError(
            f"{path} is neither an IFC file nor a tileset. Name an IFC file, or a folder with tileset.json."
        )
    return make_content(folder, files)


def _is_ifc(path: Path) -> bool:
    with open_regular(path, may_be_link=True) as file:
        return b"ISO-10303-21" in file.read(4096).upper()


def _table(members: Members) -> Table:
    table = Table("What", "Found", title="Content", title_justify="left")
    for name, value in members.items():
        if value not in (None, "", [], {}):
            add_row(table, name.replace("_", " "), _shown_value(value))
    return table


def _shown_value(value: object) -> str:
    if isinstance(value, dict):
        pairs = cast("Members", value)
        return ", ".join(f"{name} {_shown_value(inner)}" for name, inner in pairs.items() if inner is not None)
    return "; ".join(map(_shown_value, cast("list[object]", value))) if isinstance(value, list) else str(value)
