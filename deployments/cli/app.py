"""The commands and how they end."""

import inspect
import sys
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib.metadata import version
from typing import Annotated, Any

import httpx
from cyclopts import App, CycloptsError, Parameter
from prefect import Flow
from prefect.exceptions import ParameterTypeError
from rich.console import Console

from blocks.errors import BatchFailedError, ExportError, InputError, without_secrets
from blocks.network import check_network
from blocks.settings import read_settings
from deployments.cli import sandbox_commands, webhooks
from deployments.cli.consent import show_consent
from deployments.cli.doctor.command import doctor
from deployments.cli.interruption import INTERRUPTED, INTERRUPTIONS, InterruptibleRun
from deployments.cli.login import login
from deployments.cli.logs import quiet_console
from deployments.cli.own_server import own_server
from deployments.cli.prefect_api import require_prefect_api, unreachable
from deployments.cli.tables import failure_table, report_table, wide_console
from deployments.cli.viewing import view
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from tasks.batch.options import BatchRequest
from tasks.ifc.consent import NEEDS_DEPLOYMENT, consent_shown_by
from tasks.ifc.options import IfcOptions, IfcRequest
from tasks.mesh.options import MeshOptions, MeshRequest
from tasks.reports import BatchReport, ExportReport

Report = ExportReport | BatchReport

BAD_INPUT = 2
FAILED = 1

KNOWN = (ExportError, CycloptsError, ParameterTypeError, RuntimeError, httpx.HTTPError)

errors = Console(stderr=True, soft_wrap=True, highlight=False)

app = App(
    name="itwin-export",
    version=lambda: version("itwin-export"),
    help="Export iModels from the iTwin Platform as IFC files and 3D Tiles.",
    help_format="plaintext",
    result_action="return_value",
)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0 done or skipped, 1 failed, 2 bad input or configuration, 3 not authorised, 4 deadline passed, 130 interrupted.
    """
    try:
        with own_server():
            app(arguments, exit_on_error=False, print_error=False)
    except INTERRUPTIONS:
        return _complain("Interrupted.", INTERRUPTED)
    except KNOWN as error:
        sentence, exit_code = _ending(error)
        return _complain(sentence, exit_code)
    return 0


def _ending(error: Exception) -> tuple[str, int]:
    """What to say and how to end; an error that nobody foresaw is raised on, with its stack."""
    said = without_secrets(str(error))
    match error:
        case ExportError():
            return str(error), error.exit_code
        case CycloptsError():
            return f"{said} See: itwin-export --help", BAD_INPUT
        case ParameterTypeError():
            return said, BAD_INPUT
        case RuntimeError() if "reach API" in said:  # how Prefect says that its API is not there
            return unreachable(said), BAD_INPUT
        case httpx.HTTPError():
            return unreachable(said), BAD_INPUT
        case _:
            raise error


def _complain(sentence: str, exit_code: int) -> int:
    errors.print(f"itwin-export: {sentence}", markup=False)
    return exit_code


def flow_command(flow: Flow[..., Any], check: Callable[..., object]) -> Callable[..., None]:
    """A command with the parameters of a flow, so that both stay the same: the first positional, the rest options."""
    signature = inspect.signature(flow.fn)
    first, *rest = signature.parameters.values()
    options = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in rest]
    as_json = inspect.Parameter("json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=AsJson)

    @wraps(flow)
    def command(*positional: Any, json: bool = False, **asked: Any) -> None:
        if asked.get("consent") == "suspend":
            raise InputError(NEEDS_DEPLOYMENT)
        bound = signature.bind(*positional, **asked)
        bound.apply_defaults()
        check(**bound.arguments)  # a slip costs no start of a server
        settings = read_settings()
        check_network(settings.api_url, settings.issuer_url)
        require_prefect_api()
        quiet_console()
        consent_shown_by.set(show_consent)
        try:
            print_report(InterruptibleRun(flow, bound.arguments).run(), as_json=json)
        except BatchFailedError as failed:
            if isinstance(failed.report, BatchReport):
                print_report(failed.report, as_json=json)
            raise

    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[first, *options, as_json], return_annotation=None
    )
    command.__annotations__ = {p.name: p.annotation for p in (first, *options, as_json)}
    return command


AsJson = Annotated[bool, Parameter(negative="", help="Print the report as one JSON document.")]


def print_report(report: Report, *, as_json: bool) -> None:
    """The report on stdout; everything else goes to stderr."""
    if as_json:
        sys.stdout.write(report.model_dump_json() + "\n")
    elif isinstance(report, ExportReport):
        wide_console().print(report_table([report]))
    else:
        wide_console().print(report_table(report.reports))
        if report.failures:
            wide_console().print(failure_table(report.failures))


app.command(flow_command(export_ifc, IfcRequest.check), name="ifc")
app.command(doctor, name="doctor")
app.command(webhooks.app)
app.command(flow_command(export_mesh, MeshRequest.check), name="mesh")
app.command(flow_command(export_itwin, partial(BatchRequest.check, (IfcOptions, MeshOptions))), name="itwin")
app.command(login, name="login")
app.command(view, name="view")
app.command(sandbox_commands.sandbox, name="sandbox")
app.command(sandbox_commands.demo, name="demo")
