"""`itwin-export ifc`, `mesh` and `itwin`: the export flows as commands.

Help and refusals of bad input need no Prefect; it is imported where a flow runs.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from blocks.errors import BatchRejectedError, InputError, ReportedError
from deployments.cli.prefect_settings import import_prefect
from deployments.cli.tables import (
    check_table,
    failure_table,
    print_exports,
    print_federation,
    rejected_table,
    wide_console,
)
from deployments.output_streams import write_json
from flows.signatures import batch_request, ifc_request, mesh_request
from tasks.judged_export import refusal_of
from tasks.options import ONLY_DEPLOYED, ExportRequest, needs_deployment
from tasks.reports import BatchReport, ExportReport

if TYPE_CHECKING:
    from deployments.cli.unchanged import FirstLook

FlowName = Literal["ifc", "mesh", "itwin"]
Report = ExportReport | BatchReport


AsJson = Annotated[bool, Parameter(negative="", help="Print the report as one JSON document.")]
Quiet = Annotated[bool, Parameter(negative="", help="Show no progress, and log only warnings.")]


def _report_unchanged(report: ExportReport, *, as_json: bool) -> None:
    changeset = report.changeset_id or "the baseline"
    sys.stderr.write(f"Nothing to do: changeset {changeset} is already exported and verified.\n")
    print_report(report, as_json=as_json)
    raise_if_rejected(report)


def _run(name: FlowName, parameters: Mapping[str, Any], first: "FirstLook", *, as_json: bool, is_quiet: bool) -> None:
    """Run the flow and print its report."""
    import_prefect()
    from deployments.cli.flow_runs import run_flow  # noqa: PLC0415  imports Prefect

    try:
        report = run_flow(
            name, parameters, known=first.known, shows_progress=not (as_json or is_quiet), is_quiet=is_quiet
        )
    except ReportedError as failed:
        if isinstance(failed.report, BatchReport | ExportReport):
            print_report(failed.report, as_json=as_json)
        raise
    print_report(report, as_json=as_json)
    raise_if_rejected(report)


def export_command(name: FlowName, check: Callable[..., object]) -> Callable[..., None]:
    """A command with the parameters of a flow: the first one positional, the others options."""
    signature = inspect.signature(check)
    first, *rest = signature.parameters.values()
    options = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in rest]
    own = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kind)
        for name, kind in (("json", AsJson), ("quiet", Quiet))
    ]

    @wraps(check)
    def command(*positional: Any, json: bool = False, quiet: bool = False, **asked: Any) -> None:
        for parameter, (value, _) in ONLY_DEPLOYED.items():
            if asked.get(parameter) == value:
                raise InputError(needs_deployment(parameter))
        request = check(*positional, **asked)  # bad input is refused before Prefect is imported and a server started
        from deployments.cli.unchanged import FirstLook, look_first  # noqa: PLC0415  refusals need no HTTP client

        look = look_first(request) if isinstance(request, ExportRequest) else FirstLook()
        if look.unchanged:
            _report_unchanged(look.unchanged, as_json=json)
            return
        _run(name, signature.bind(*positional, **asked).arguments, look, as_json=json, is_quiet=quiet)

    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[first, *options, *own], return_annotation=None
    )
    command.__annotations__ = {p.name: p.annotation for p in (first, *options, *own)}
    return command


def print_report(report: Report, *, as_json: bool) -> None:
    """The report on stdout; everything else goes to stderr."""
    if as_json:
        write_json(report.model_dump_json())
    elif isinstance(report, ExportReport):
        print_exports([report])
        if report.checks:
            wide_console().print(check_table(report.checks))
    else:
        print_exports(report.reports)
        if report.rejected:
            wide_console().print(rejected_table(report.reports))
        if report.failures:
            wide_console().print(failure_table(report.failures))
        if report.federation:
            print_federation(report.federation)


def raise_if_rejected(report: Report) -> None:
    """End with the exit code of a rejected export, also where the rules let its run complete.

    Raises:
        RejectedError: The export is rejected, or could not be checked.
        BatchRejectedError: An export of the batch is rejected.
    """
    if isinstance(report, ExportReport):
        if refusal := refusal_of(report):
            raise refusal
    elif report.rejected:
        total = len(report.reports) + report.failed
        raise BatchRejectedError(f"Rejected by the acceptance rules: {report.rejected} of {total} exports.", report)


ifc = export_command("ifc", ifc_request)
mesh = export_command("mesh", mesh_request)
itwin = export_command("itwin", batch_request)
