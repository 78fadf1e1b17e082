"""What a successful export says of itself: warnings, whose run it was, and whether an earlier one still counts."""

import json
from pathlib import Path
from typing import Any

import ifcopenshell
import pytest

from blocks.errors import ExportTimeoutError
from blocks.shown_text import in_markdown
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tasks.reports import ExportReport
from tests.prefect_api import ask

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

NEW_MEMBERS = {"export_format", "warnings"}
"""Members that manifests of before do not have."""


def manifest_path(report: ExportReport) -> Path:
    return Path(report.output_dir) / SEEDED.plant / "ifc" / "manifest.json"


def manifest_of(report: ExportReport) -> dict[str, Any]:
    return json.loads(manifest_path(report).read_text())


def artifacts(prefect_server: str, report: ExportReport) -> list[str]:
    """What the artifacts of exports to this folder say."""
    wanted = {"artifacts": {"key": {"any_": [f"export-ifc-{report.imodel_id}"]}}, "sort": "UPDATED_DESC", "limit": 20}
    found = ask("POST", f"{prefect_server}/artifacts/filter", wanted)
    return [artifact["data"] for artifact in found if report.output_dir in artifact["data"]]


async def test_a_partial_success_warns_everywhere(sandbox: RunningSandbox, prefect_server: str) -> None:
    """An accepted PartialSuccess warns in report, manifest and artifact, and again when the export is skipped."""
    sandbox.state.script(SEEDED.plant, Outcome(result="PartialSuccess"))
    report = await export_ifc(SEEDED.plant)
    assert any("left something out (PartialSuccess)" in warning for warning in report.warnings)
    assert manifest_of(report)["warnings"] == list(report.warnings)
    (said,) = artifacts(prefect_server, report)
    assert all(in_markdown(warning) in said for warning in report.warnings)
    skipped = await export_ifc(SEEDED.plant)
    assert (skipped.skipped, skipped.warnings) == (True, report.warnings)


async def test_an_ifc_without_products_warns(sandbox: RunningSandbox) -> None:
    """A valid IFC that holds a project and nothing else is published with a warning; one with products without."""
    model: Any = ifcopenshell.file(schema="IFC4X3")
    model.create_entity("IfcProject", GlobalId="0000000000000000000000")
    sandbox.state.script(SEEDED.plant, Outcome(content=model.to_string().encode()))
    report = await export_ifc(SEEDED.plant)
    (warning,) = report.warnings
    assert "without a single product" in warning
    assert (await export_ifc(SEEDED.plant, force=True)).warnings == ()


async def test_who_only_waited_says_so(
    sandbox: RunningSandbox, prefect_server: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A flow run that followed another flow run's export run says in log and artifact that it only waited for it."""
    caplog.set_level("INFO")
    sandbox.state.script(SEEDED.plant, Outcome(seconds=3))
    with pytest.raises(ExportTimeoutError):
        await export_ifc(SEEDED.plant, timeout_minutes=0.01)
    waited = await export_ifc(SEEDED.plant)
    assert (waited.adopted, "this flow run only waited for it" in caplog.text) == (True, True)
    (said,) = artifacts(prefect_server, waited)
    assert "this flow run only waited for it" in said


async def test_an_export_of_an_earlier_release_counts() -> None:
    """A manifest as the release before wrote it, without the number of the format, is of today's format."""
    report = await export_ifc(SEEDED.plant)
    earlier = {name: value for name, value in manifest_of(report).items() if name not in NEW_MEMBERS}
    manifest_path(report).write_text(json.dumps(earlier | {"tool_version": "0.0.0"}))
    assert (await export_ifc(SEEDED.plant)).skipped


async def test_an_export_of_another_format_is_made_anew() -> None:
    """Where the same request leads to other files than before, what is there does not count."""
    report = await export_ifc(SEEDED.plant)
    manifest_path(report).write_text(json.dumps(manifest_of(report) | {"export_format": 0}))
    assert not (await export_ifc(SEEDED.plant)).skipped
