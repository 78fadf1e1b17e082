"""Validation of the parameters of export-itwin."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import InputError
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from tasks.batch.options import BatchRequest
from tasks.ifc.options import IfcOptions, IfcRequest, RunPolicy
from tasks.mesh.options import MeshOptions, MeshPolicy, MeshRequest
from tasks.options import Options

ID = "5e19bee0-3aea-4355-a9f0-c6df9989ee7d"
BLOCKS = {"credentials", "blob_storage"}
"""Names of blocks; they are validated when the block is loaded."""


def asked(folder: Path, **changes: Any) -> BatchRequest:
    usual: dict[str, Any] = {
        "itwin_id": ID,
        "formats": ["ifc"],
        "max_active": 25,
        "shards": 1,
        "output_dir": str(folder),
        "save_logs": False,
    }
    return BatchRequest.check((IfcOptions, MeshOptions), **{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"itwin_id": "/"}, "“/” is not an iTwin: give its id"),
        ({"imodel_ids": ["Plant A", ""]}, "“” is not an iModel"),
        ({"formats": []}, "formats is an empty list.*Name ifc, mesh or both"),
        ({"formats": ["ifc", "dwg"]}, "“dwg” is not a known format. Choose one of: ifc, mesh"),
        ({"max_active": 0}, "max_active is 0; give 1 or more"),
        ({"shards": 1001}, r"shards is 1001; give 1 \(no shards\) to 1000"),
        ({"fail_when": "some"}, "“some” is not a known fail_when. Choose one of: any, all, never"),
        ({"ifc_version": "IFC5"}, "“IFC5” is not a known ifc_version"),
        ({"start": "later"}, "“later” is not a known start. Choose one of: if-missing, never, always"),
        ({"timeout_minutes": 0}, "timeout_minutes is 0"),
        ({"save_logs": "perhaps"}, "save_logs cannot be “perhaps”"),
    ],
)
def test_invalid_values_are_rejected(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Each invalid value is rejected with a message that names it, also for parameters of the other flows."""
    with pytest.raises(InputError, match=said):
        asked(tmp_path, **changes)


def test_options_of_the_single_exports_are_kept_as_given(tmp_path: Path) -> None:
    """The flows for one iModel get the batch's values without its own parameters; a repeated format counts once."""
    request = asked(tmp_path, formats=["mesh", "ifc", "mesh"])
    assert request.options == {"output_dir": str(tmp_path), "save_logs": False}
    assert request.formats == ("mesh", "ifc")


@pytest.mark.parametrize(
    ("flow", "models"),
    [
        (export_ifc, (IfcRequest, RunPolicy)),
        (export_mesh, (MeshRequest, MeshPolicy)),
        (export_itwin, (BatchRequest, IfcOptions, RunPolicy, MeshOptions, MeshPolicy)),
    ],
)
def test_every_parameter_of_a_flow_is_in_its_model(flow: Any, models: tuple[type[Options], ...]) -> None:
    """Each parameter of a flow is a field of its models, so that none is ignored; names of blocks are excepted."""
    known = {name for model in models for name in model.model_fields}
    names = inspect.signature(flow.fn).parameters.keys() - BLOCKS
    assert {"timeout" if name == "timeout_minutes" else name for name in names} <= known
