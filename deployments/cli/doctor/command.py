"""`itwin-export doctor`: what is in order, what is not, and what to do about it."""

import asyncio
import json as json_module
from dataclasses import asdict
from importlib.metadata import version
from platform import python_version
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from blocks.errors import ConfigurationError
from blocks.itwin.transport import BUDGET_HINT
from blocks.settings import Settings, read_settings
from deployments.cli.doctor.finding import Finding, look, look_at_all
from deployments.cli.doctor.itwin_platform import platform_findings
from deployments.cli.doctor.network import network_findings
from deployments.cli.doctor.orphans import show_orphans
from deployments.cli.doctor.output_folder import check_output
from deployments.cli.doctor.pictures import check_pictures
from deployments.cli.doctor.prefect_server import API, prefect_findings
from deployments.cli.own_server import run_with_server
from deployments.cli.tables import add_row, wide_console
from deployments.output_streams import write_json
from tasks.addresses import is_id, read_subject


def doctor(
    *,
    imodel_id: str | None = None,
    itwin_id: str | None = None,
    orphans: bool = False,
    repair: Annotated[bool, Parameter(negative="")] = False,
    credentials: str = "default",
    destination: str = "default",
    json: bool = False,
) -> None:
    """Check configuration, network, sign-in, disk, pictures, Prefect API and worker; end with 2 if one is wrong.

    Args:
        imodel_id: Check access to this iModel (id, iTwin/iModel, or address) and to its Storage too.
        itwin_id: With --orphans: look at every iModel of this iTwin (id, name, or address).
        orphans: Instead, list runs of ours that go on at the platform although no flow run follows them.
        repair: Mark flow runs of ours that have no process any more as Crashed, and free slots that no flow run holds.
        credentials: Name of an iTwin Credentials block.
        destination: Name of an Export Destination block.
        json: Print one JSON document.
    """
    if orphans:
        show_orphans(imodel_id, itwin_id, credentials, as_json=json)
        return
    findings = run_with_server(
        _examine(
            read_subject(imodel_id, "iModel") if imodel_id else None, credentials, destination, is_repair_wanted=repair
        )
    )
    if json:
        write_json(json_module.dumps([asdict(finding) for finding in findings]))
    else:
        wide_console().print(_table(findings))
    if wrong := [finding.what for finding in findings if not finding.is_ok]:
        raise ConfigurationError(f"Not in order: {', '.join(wrong)}. What to do stands above.")


async def _examine(imodel: str | None, name: str, destination: str, *, is_repair_wanted: bool) -> list[Finding]:
    versions = f"itwin-export {version('itwin-export')}, Prefect {version('prefect')}, Python {python_version()}"
    findings = [Finding("Versions", is_ok=True, says=versions)]
    try:
        settings = read_settings()
    except ConfigurationError as error:
        return [*findings, Finding("Configuration", is_ok=False, says=str(error))]
    findings.append(Finding("Request budget", is_ok=True, says=_budget(settings)))
    findings += await look_at_all("Network", network_findings(settings))
    findings += await look_at_all(API, prefect_findings(is_repair_wanted=is_repair_wanted))
    is_api_there = all(finding.is_ok for finding in findings if finding.what == API)
    platform = platform_findings(settings, imodel, name, is_api_there=is_api_there)
    findings += await look_at_all("iTwin Platform", platform)
    imodel_id = imodel if imodel and is_id(imodel) else None  # the folder of an iModel is named after its id
    publishing = check_output(destination, imodel_id, is_api_there=is_api_there)
    drawing = asyncio.to_thread(check_pictures, settings)
    return [*findings, await look("Output folder", publishing), await look("Pictures", drawing)]


def _budget(settings: Settings) -> str:
    hourly = f"{settings.requests_per_hour:,} an hour" if settings.requests_per_hour else "no limit an hour"
    return f"{settings.requests_per_minute:,} requests a minute, {hourly}. {BUDGET_HINT}"


def _table(findings: list[Finding]) -> Table:
    table = Table(title="Examination", title_justify="left")
    for column in ("What", "", "Finding"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        add_row(table, finding.what, "OK" if finding.is_ok else "WRONG", finding.says)
    return table
