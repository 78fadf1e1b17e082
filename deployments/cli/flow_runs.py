"""A flow run of this process, for the person in front of the terminal."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from prefect import Flow

from blocks.network import check_network
from blocks.settings import read_settings
from blocks.telemetry import finish_telemetry, start_telemetry
from deployments.cli.consent import ConsentPage
from deployments.cli.interruption import InterruptibleRun
from deployments.cli.live_display import shown_progress
from deployments.cli.logs import quiet_console
from deployments.cli.own_server import own_server
from deployments.cli.prefect_api import require_prefect_api
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from tasks.ifc.consent import consent_shown_by
from tasks.known_imodel import KnownIModel, known_imodel

FLOWS: dict[str, Flow[..., Any]] = {"ifc": export_ifc, "mesh": export_mesh, "itwin": export_itwin}


def run_flow(
    name: str,
    parameters: Mapping[str, Any],
    *,
    known: KnownIModel | None = None,
    shows_progress: bool,
    is_quiet: bool,
) -> Any:
    """The report of a flow run with these parameters.

    Args:
        name: `ifc`, `mesh` or `itwin`.
        parameters: Of the flow.
        known: What has been read of the iModel; the flow run does not read it again.
        shows_progress: Whether its progress is shown.
        is_quiet: Whether nothing is logged but warnings.

    Raises:
        ExportError: It failed, or was ended early.
    """
    start_telemetry()
    try:
        with known_imodel(known):
            return _run_flow(name, parameters, shows_progress=shows_progress, is_quiet=is_quiet)
    finally:
        finish_telemetry()


def _run_flow(name: str, parameters: Mapping[str, Any], *, shows_progress: bool, is_quiet: bool) -> Any:
    settings = read_settings()
    check_network(settings.api_url, settings.issuer_url)
    quiet_console(is_quiet=is_quiet)
    consent_shown_by.set(ConsentPage().show)
    require_prefect_api()
    with own_server(), shown_progress() if shows_progress else nullcontext():
        return InterruptibleRun(FLOWS[name], parameters).run()
