"""A batch with acceptance rules: table, counts, exit code and folders tell the truth."""

import json
from pathlib import Path

import pytest

from blocks.errors import BatchFailedError, BatchRejectedError
from blocks.storage.manifest import read_manifest
from blocks.storage.rejected import read_rejected
from deployments.sandbox.content.ifc import IfcSubject, build_ifc
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_itwin import export_itwin
from tasks.reports import BatchReport

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

AGREED = """
[ifc]
min_elements = 20
require = { IfcSlab = 1 }
max_proxy_percent = 60
unique_global_ids = true
whole_references = true
"""
LOOSENED = "[ifc]\nmin_elements = 1\n"
REASONS = (
    "ifc.min_elements: measured 13, limit 20",
    "ifc.require.IfcSlab: measured 0, limit 1",
    "ifc.max_proxy_percent: measured 93.02, limit 60.0",
    "ifc.unique_global_ids: measured 1, limit 0",
    "ifc.whole_references: measured 1, limit 0",
)


def delivered(name: str, elements: int, *changes: tuple[str, str]) -> Outcome:
    """A run that delivers a file with parts of its text replaced."""
    text = build_ifc(IfcSubject(name, "0" * 36, "a" * 40, "IFC4.3"), elements).decode()
    for before, after in changes:
        text = text.replace(before, after)
    return Outcome(content=text.encode())


def add_imodels(sandbox: RunningSandbox, count: int) -> tuple[list[str], list[str]]:
    """Make iModels to export; the first five break one rule each."""
    made = [sandbox.state.add_imodel(SEEDED.itwin, f"Night {n:03}", changesets=1, elements=40).id for n in range(count)]
    hole = ("DATA;", "DATA;\n#90001=IFCLOCALPLACEMENT(#99999,#1);")
    wall = "#90001=IFCWALL('0$ScRSmwEJ2ecHLAUqAhkJ',$,$,$,$,$,$,$,$);"
    twins = ("DATA;", f"DATA;\n{wall}{wall.replace('90001', '90002')}")
    for imodel_id, outcome in zip(
        made,
        (
            delivered("few", 10),
            delivered("no slabs", 40, ("=IFCSLAB(", "=IFCPLATE(")),
            delivered(
                "proxies", 40, ("=IFCWALL(", "=IFCBUILDINGELEMENTPROXY("), ("=IFCSLAB(", "=IFCBUILDINGELEMENTPROXY(")
            ),
            delivered("twins", 40, twins),
            delivered("hole", 40, hole),
        ),
        strict=False,
    ):
        sandbox.state.script(imodel_id, outcome)
    return made[:5], made[5:]


async def export_nights(sandbox: RunningSandbox, tmp_path: Path, count: int) -> None:
    """The first night rejects five of all iModels, the second accepts them without a remote run."""
    bad, good = add_imodels(sandbox, count)
    rules = tmp_path / "rules.toml"
    rules.write_text(AGREED)
    with pytest.raises(BatchRejectedError, match=f"{count - 5} exported, 0 skipped, 0 failed, 5 rejected") as caught:
        await export_itwin(SEEDED.itwin, name_contains="Night", acceptance=str(rules), save_logs=False)
    assert caught.value.exit_code == 5
    report = caught.value.report
    assert isinstance(report, BatchReport)
    assert (report.exported, report.skipped, report.failed, report.rejected) == (count - 5, 0, 0, 5)
    said = {one.imodel_id: [c.sentence() for c in one.checks if not c.passed] for one in report.reports}
    assert [said[imodel_id] for imodel_id in good] == [[]] * len(good)
    for imodel_id, reason in zip(bad, REASONS, strict=True):
        assert any(sentence.startswith(reason) for sentence in said[imodel_id]), said[imodel_id]
        folder = tmp_path / "exports" / imodel_id / "ifc"
        assert read_manifest(folder) is None
        assert [one.manifest.verdict for one in read_rejected(folder)] == ["rejected"]
    runs = len(list(sandbox.state.runs))
    rules.write_text(LOOSENED)
    second = await export_itwin(SEEDED.itwin, name_contains="Night", acceptance=str(rules), save_logs=False)
    assert (second.exported, second.skipped, second.rejected) == (5, count - 5, 0)
    assert len(list(sandbox.state.runs)) == runs == count
    for imodel_id in (*bad, *good):
        manifest = read_manifest(tmp_path / "exports" / imodel_id / "ifc")
        assert manifest is not None
        assert manifest.verdict == "accepted"
    assert not list((tmp_path / "exports").glob("*/ifc/rejected/*"))


async def test_five_of_a_batch_are_rejected_for_five_reasons(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """Counts, reasons and folders are right; the next night, rules loosened, nothing is exported remotely."""
    await export_nights(sandbox, tmp_path, 8)


@pytest.mark.campaign
@pytest.mark.timeout(900)
async def test_five_of_a_hundred_are_rejected_for_five_reasons(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """The same with a hundred iModels."""
    await export_nights(sandbox, tmp_path, 100)


async def test_a_failed_export_counts_more(sandbox: RunningSandbox, tmp_path: Path) -> None:
    """With a failed export beside a rejected one the batch has failed; quarantine leaves no failure."""
    (few,), _ = add_imodels(sandbox, 1)
    rules = tmp_path / "rules.toml"
    rules.write_text(AGREED)
    chosen = [few, SEEDED.plant]
    sandbox.state.script(SEEDED.plant, Outcome(task_result="Error"))
    with pytest.raises(BatchFailedError, match="0 exported, 0 skipped, 1 failed, 1 rejected") as caught:
        await export_itwin(SEEDED.itwin, imodel_ids=chosen, acceptance=str(rules), save_logs=False)
    assert caught.value.exit_code == 1
    rules.write_text(f'on_rejected = "quarantine"\n{AGREED}')
    report = await export_itwin(SEEDED.itwin, imodel_ids=chosen, acceptance=str(rules), save_logs=False)
    assert (report.exported, report.rejected, report.failed) == (1, 1, 0)
    assert json.loads(report.model_dump_json())["rejected"] == 1
