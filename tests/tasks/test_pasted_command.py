"""The command line of a flow run, read back by the commands themselves."""

import inspect
import shlex
from typing import Any

import pytest

from deployments.cli.app import app
from flows.signatures import batch_request, ifc_request, mesh_request
from tasks.pasted_command import changed_parameters, command_of

IMODEL = "11111111-2222-3333-4444-555555555555"
IFC: dict[str, Any] = {
    "imodel_id": IMODEL,
    "ifc_version": "IFC4 RV 1.2",
    "model_ids": ["0x1", "0x2"],
    "save_logs": False,
    "force": True,
    "timeout_minutes": 1.5,
    "keep": 3,
    "file_name": "-a 'b' $(c).ifc",
}
MESH: dict[str, Any] = {"imodel_id": "Campus/Plant A", "start": "never", "cdn": True}
BATCH: dict[str, Any] = {"itwin_id": "Campus", "formats": ["ifc", "mesh"], "imodel_ids": [IMODEL], "max_active": 2}


@pytest.mark.parametrize(
    ("name", "check", "asked"),
    [("ifc", ifc_request, IFC), ("mesh", mesh_request, MESH), ("itwin", batch_request, BATCH)],
)
def test_the_command_asks_for_the_same(name: str, check: Any, asked: dict[str, Any]) -> None:
    """A shell and the command line read the command back as the very parameters of the flow run."""
    signature = inspect.signature(check)
    defaults = {one.name: one.default for one in signature.parameters.values()}
    changed = changed_parameters(signature, defaults | asked)
    assert changed == asked
    program, *words = shlex.split(command_of(f"export-{name}", changed))
    assert program == "itwin-export"
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    read = dict(zip(signature.parameters, bound.args, strict=False)) | bound.kwargs
    assert {parameter: value for parameter, value in read.items() if value != defaults.get(parameter)} == asked


def test_empty_values_are_those_of_the_defaults() -> None:
    """The form sends empty texts and lists where nothing was entered; they are no settings."""
    signature = inspect.signature(ifc_request)
    empty: dict[str, object] = {
        "imodel_id": IMODEL,
        "changeset_id": "",
        "model_ids": [],
        "file_name": None,
        "removed_since": 1,
    }
    assert changed_parameters(signature, empty) == {"imodel_id": IMODEL}
