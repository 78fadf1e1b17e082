"""Exports with acceptance rules: what readers get, what is put aside, and that rules need no remote run."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import ConfigurationError, InputError, RejectedError, UndecidedError
from blocks.storage.acceptance.acceptance_rules import AcceptanceRules
from blocks.storage.acceptance.rules import IfcRules, OnRejected
from blocks.storage.content.models import ExportContent
from blocks.storage.manifest import Manifest, read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.rejected import read_rejected
from deployments.sandbox.content.ifc import IfcSubject, build_ifc
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from tasks.reports import ExportFormat, ExportReport

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

Write = Callable[[str], str]
EXPORTS: dict[ExportFormat, Callable[..., Any]] = {"ifc": export_ifc, "mesh": export_mesh}
STRICT = "[ifc]\nmin_elements = 5000\n[mesh]\nmin_tiles = 5000\n"
LOOSE = "[ifc]\nmin_elements = 1\n[mesh]\nmin_tiles = 1\n"
both_formats = pytest.mark.parametrize("chosen", ["ifc", "mesh"])


@pytest.fixture
def rules(tmp_path: Path) -> Write:
    """Writes rules into the one file that the exports of a test name; returns its path."""

    def write(text: str) -> str:
        (tmp_path / "rules.toml").write_text(text, "utf-8")
        return str(tmp_path / "rules.toml")

    return write


def folder_of(tmp_path: Path, chosen: ExportFormat) -> Path:
    """Where the exports of the plant are published."""
    return tmp_path / "exports" / SEEDED.plant / chosen


def georeferenced(crs: str, place: str) -> bytes:
    """A file with a map conversion."""
    text = f"DATA;#9001=IFCPROJECTEDCRS('{crs}',$,$,$,$,$,$);#9002=IFCMAPCONVERSION(#1,#9001,{place},0.,$,$,$);"
    return build_ifc(IfcSubject("Plant", SEEDED.plant, "a" * 40, "IFC4.3"), 5).replace(b"DATA;", text.encode())


def asked_of(sandbox: RunningSandbox) -> int:
    """The number of requests that start an export or download a file."""
    places = ("/export", "/mesh-export", "/storage", "/sandboxblobs")
    return sum(entry.path.startswith(places) for entry in list(sandbox.state.log))


def manifest_of(folder: Path) -> Manifest:
    """The manifest of an export that is whole."""
    manifest = read_manifest(folder)
    assert manifest is not None
    verify_published(folder, manifest, full=True)
    return manifest


async def refused(export: Callable[..., Any], acceptance: str) -> tuple[str, ExportReport]:
    """The sentence and the report of an export of the plant that is rejected."""
    with pytest.raises(RejectedError) as caught:
        await export(SEEDED.plant, acceptance=acceptance)
    assert caught.value.exit_code == 5
    assert isinstance(caught.value.report, ExportReport)
    return str(caught.value), caught.value.report


@both_formats
async def test_readers_keep_what_they_had(
    chosen: ExportFormat, sandbox: RunningSandbox, rules: Write, tmp_path: Path
) -> None:
    """A rejected export fails with the rule, its limit and value, lies whole in rejected/, and is not exported again.

    Looser rules accept it, and it is published from there without asking the platform.
    """
    export, folder = EXPORTS[chosen], folder_of(tmp_path, chosen)
    before: ExportReport = await export(SEEDED.plant, acceptance=rules(LOOSE))
    assert (before.verdict, [check.result for check in before.checks]) == ("accepted", ["passed"])
    sandbox.state.push_changeset(SEEDED.plant)
    said, report = await refused(export, rules(STRICT))
    rule = {"ifc": "ifc.min_elements", "mesh": "mesh.min_tiles"}[chosen]
    assert f"is rejected by the acceptance rules: {rule}: measured {report.checks[0].measured}, limit 5000. It" in said
    assert manifest_of(folder).changeset_id == before.changeset_id
    (aside,) = read_rejected(folder)
    found = manifest_of(aside.folder)
    assert (found.verdict, found.changeset_id, found.checks) == ("rejected", report.changeset_id, report.checks)
    assert ExportContent.model_validate_json((aside.folder / "content.json").read_bytes()).summary() == report.content
    assert {Path(report.output_dir, file.path).parent for file in report.files} == {aside.folder}
    asked = asked_of(sandbox)
    _, again = await refused(export, rules(STRICT))
    assert (again.skipped, again.files) == (True, report.files)
    accepted: ExportReport = await export(SEEDED.plant, acceptance=rules(LOOSE))
    assert (accepted.verdict, accepted.skipped, accepted.run_id) == ("accepted", False, report.run_id)
    assert (manifest_of(folder).verdict, manifest_of(folder).run_id) == ("accepted", report.run_id)
    assert not read_rejected(folder)
    assert asked_of(sandbox) == asked


@both_formats
async def test_what_is_published_is_checked_by_new_rules(
    chosen: ExportFormat, sandbox: RunningSandbox, rules: Write, tmp_path: Path
) -> None:
    """Rules given after an export was published check it without an export run; rejected, it stays published."""
    export, folder = EXPORTS[chosen], folder_of(tmp_path, chosen)
    first: ExportReport = await export(SEEDED.plant)
    assert (first.verdict, first.checks) == ("not_checked", ())
    asked, options = asked_of(sandbox), manifest_of(folder).options
    assert (await export(SEEDED.plant, acceptance=rules(LOOSE))).verdict == "accepted"
    assert manifest_of(folder).verdict == "accepted"
    said, _ = await refused(export, rules(STRICT))
    assert "It is published in" in said
    assert (manifest_of(folder).verdict, manifest_of(folder).options) == ("rejected", options)
    assert (await export(SEEDED.plant)).verdict == "not_checked"
    assert asked_of(sandbox) == asked


@pytest.mark.parametrize(("chosen", "on_rejected"), [("ifc", "quarantine"), ("mesh", "publish"), ("ifc", "publish")])
async def test_a_rejected_export_need_not_fail(
    chosen: ExportFormat, on_rejected: OnRejected, rules: Write, tmp_path: Path
) -> None:
    """With quarantine it is put aside and the run completes, with publish it is published; the report says rejected."""
    folder = folder_of(tmp_path, chosen)
    given = rules(f"on_rejected = '{on_rejected}'\n{STRICT}")
    report: ExportReport = await EXPORTS[chosen](SEEDED.plant, acceptance=given)
    assert report.verdict == "rejected"
    published = read_manifest(folder)
    assert (published.verdict if published else None) == ("rejected" if on_rejected == "publish" else None)
    assert len(read_rejected(folder)) == (on_rejected == "quarantine")


async def test_shrinkage_is_measured_on_the_published_export(
    sandbox: RunningSandbox, rules: Write, tmp_path: Path
) -> None:
    """An export with half of the elements is rejected, and again a night later; the check names both counts."""
    shrinkage = rules("[ifc]\nmax_shrink_percent = 20")
    first = await export_ifc(SEEDED.plant, acceptance=shrinkage)
    assert (first.verdict, first.checks[0].result) == ("not_checked", "not_measured")
    sandbox.state.imodels[SEEDED.plant].elements //= 2
    sandbox.state.push_changeset(SEEDED.plant)
    for _ in range(2):
        said, _ = await refused(export_ifc, shrinkage)
        assert "ifc.max_shrink_percent: measured 46.51, limit 20.0 (23 elements, 43 in the export of" in said
    assert manifest_of(folder_of(tmp_path, "ifc")).changeset_id == first.changeset_id


async def test_an_export_that_cannot_be_checked_is_not_published(
    sandbox: RunningSandbox, rules: Write, tmp_path: Path
) -> None:
    """An error is not accepted: the run fails with a sentence, quarantine or not, and the export is put aside."""
    sandbox.state.script(SEEDED.plant, Outcome(content=georeferenced("EPSG:31468", "44680.,53.")))
    box = "on_rejected = 'quarantine'\n[ifc]\nwithin = [11.3, 48.0, 11.8, 48.3]"
    with pytest.raises(UndecidedError, match=r"cannot be checked.*“EPSG:31468” cannot be converted"):
        await export_ifc(SEEDED.plant, acceptance=rules(box))
    assert read_manifest(folder_of(tmp_path, "ifc")) is None
    assert [one.manifest.verdict for one in read_rejected(folder_of(tmp_path, "ifc"))] == ["error"]


async def test_an_export_lies_where_its_imodel_lies(sandbox: RunningSandbox, rules: Write) -> None:
    """A file outside the extent is rejected, naming both places; a published one is compared with a single request.

    In a batch the list of the iModels tells where they lie.
    """
    content = georeferenced("EPSG:25832", "691607.86,5334760.")
    for imodel_id in (SEEDED.plant, SEEDED.bridge, SEEDED.stadium):
        sandbox.state.script(imodel_id, Outcome(content=content))
    sandbox.state.imodels[SEEDED.bridge].extent = (-75.2, 39.9, -75.1, 40.0)
    sandbox.state.imodels[SEEDED.stadium].extent = None
    at_imodel = rules("on_rejected = 'publish'\n[ifc]\ngeoreference = 'imodel'")
    await export_ifc(SEEDED.plant)
    first = len(sandbox.state.log)
    for _ in range(2):
        report = await export_ifc(SEEDED.plant, acceptance=at_imodel)
        assert (report.verdict, report.skipped, report.checks[0].measured) == ("accepted", True, [11.57556, 48.13722])
    batch = await export_itwin(
        SEEDED.itwin, imodel_ids=[SEEDED.bridge, SEEDED.stadium], formats=["ifc"], acceptance=at_imodel
    )
    said = {one.imodel_id: (one.verdict, one.checks[0].sentence()) for one in batch.reports}
    assert said[SEEDED.bridge][0] == "rejected"
    assert (
        "measured [11.57556, 48.13722], limit imodel (iModel “Bridge” lies in [-75.2, 39.9, -75.1, 40], 1000 m"
        in (said[SEEDED.bridge][1])
    )
    assert said[SEEDED.stadium][0] == "error"
    assert "the platform states no extent of iModel “Stadium”" in said[SEEDED.stadium][1]
    asked = [entry.path for entry in list(sandbox.state.log)[first:]]
    counts = [asked.count(f"/imodels/{one}") for one in (SEEDED.plant, SEEDED.bridge, SEEDED.stadium)]
    assert counts == [1, 0, 0]


async def test_rules_of_a_block_are_the_same(rules: Write, tmp_path: Path) -> None:
    """A saved block rejects as its file would: the same rules by hash; without rules the export is published."""
    await AcceptanceRules(ifc=IfcRules(min_elements=5000)).asave("agreed-with-client", overwrite=True)
    await refused(export_ifc, "agreed-with-client")
    (aside,) = read_rejected(folder_of(tmp_path, "ifc"))
    await refused(export_ifc, rules("[ifc]\nmin_elements = 5000"))
    (again,) = read_rejected(folder_of(tmp_path, "ifc"))
    assert aside.manifest.acceptance is not None
    assert aside.manifest.acceptance == again.manifest.acceptance
    assert (aside.manifest.acceptance.source, len(aside.manifest.acceptance.sha256)) == ("agreed-with-client", 64)
    report = await export_ifc(SEEDED.plant)
    assert (report.verdict, report.run_id) == ("not_checked", aside.manifest.run_id)


async def test_rules_of_the_other_format_warn(rules: Write) -> None:
    """Mesh rules for an IFC export check nothing; the report's warning says which table there is."""
    report = await export_ifc(SEEDED.plant, acceptance=rules("[mesh]\nmin_tiles = 5000"))
    assert report.verdict == "not_checked"
    assert any("no table [ifc], only [mesh]: nothing was checked" in warning for warning in report.warnings)


async def test_unusable_rules_start_nothing(
    sandbox: RunningSandbox, rules: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invalid rules, a block that was never saved, and documents without their checker are refused beforehand."""
    monkeypatch.setitem(sys.modules, "ifctester", None)  # as if it was not installed
    await AcceptanceRules().asave("nothing-in-it", overwrite=True)
    for export, acceptance, error, words in (
        (export_mesh, lambda: rules("[ifc]\nmin_element = 1"), InputError, "Did you mean “min_elements”"),
        (export_ifc, lambda: str(tmp_path / "none.toml"), InputError, "No such file"),
        (
            export_ifc,
            lambda: "never-saved",
            ConfigurationError,
            r"acceptance-rules block named “never-saved”.*\./never",
        ),
        (export_mesh, lambda: "nothing-in-it", InputError, "“nothing-in-it” cannot be used: there is no rule in it"),
        (export_ifc, lambda: rules("ids = ['delivery.ids']"), ConfigurationError, r"itwin-export\[acceptance\]"),
    ):
        with pytest.raises(error, match=words):
            await export(SEEDED.plant, acceptance=acceptance())
    assert not [entry for entry in sandbox.state.log if not entry.path.startswith(("/connect", "/.well"))]
