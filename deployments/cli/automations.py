"""`itwin-export automations apply|show|remove`: automations of the Prefect server, from a file."""

import json as json_module
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from deployments.automations.automation_file import (
    DescribedAutomation,
    action_words,
    read_automations,
    trigger_words,
)
from deployments.cli.tables import add_row, wide_console
from deployments.output_streams import write_json

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient

    from deployments.automations.server_automations import AutomationState

app = App(name="automations", help="Create, compare and delete automations: notices and what follows exports.")
File = Annotated[
    Path | None, Parameter(help="YAML file that describes them; default: the automations of itwin-export.")
]
Notify = Annotated[str, Parameter(help="Saved notification block for all notices, as NAME or TYPE/NAME.")]
AsJson = Annotated[bool, Parameter(negative="", help="Print one JSON document.")]
Work = Callable[["PrefectClient", Sequence[DescribedAutomation]], Awaitable[list["AutomationState"]]]


@app.command
def apply(file: File = None, *, notify: Notify = "", json: AsJson = False) -> None:
    """Create the automations of a file on the Prefect server and update those that differ, by name."""
    described = read_automations(file, notify)
    from deployments.automations.server_automations import apply_automations  # noqa: PLC0415  imports Prefect

    _show(described, apply_automations, as_json=json)


@app.command
def show(file: File = None, *, notify: Notify = "", json: AsJson = False) -> None:
    """Show the automations of a file, and how they stand on the Prefect server."""
    described = read_automations(file, notify)
    from deployments.automations.server_automations import compare_automations  # noqa: PLC0415  imports Prefect

    _show(described, compare_automations, as_json=json)


@app.command
def remove(file: File = None, *, json: AsJson = False) -> None:
    """Delete the automations on the Prefect server that have the names of those in a file."""
    described = read_automations(file)
    from deployments.automations.server_automations import remove_automations  # noqa: PLC0415  imports Prefect

    _show(described, remove_automations, as_json=json)


def _show(described: Sequence[DescribedAutomation], work: Work, *, as_json: bool) -> None:
    from deployments.cli.prefect_api import ask_lasting_server  # noqa: PLC0415  imports Prefect

    states = ask_lasting_server("Automations", lambda client: work(client, described))
    if as_json:
        write_json(json_module.dumps([_row(state) for state in states]))
        return
    table = Table("Name", "Status", "Enabled", "When", "Then", title="Automations", title_justify="left")
    for state in states:
        enabled = {True: "yes", False: "no", None: ""}[state.is_enabled]
        then = "; ".join(action_words(action) for action in state.described.actions)
        add_row(table, state.described.name, state.status, enabled, trigger_words(state.described.trigger), then)
    wide_console().print(table)


def _row(state: "AutomationState") -> dict[str, Any]:
    return {"name": state.described.name, "status": state.status, "enabled": state.is_enabled}
