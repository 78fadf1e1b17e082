"""The page that an export leaves in the Prefect UI, read back from a real Prefect server."""

import asyncio
import contextlib
import shlex
from pathlib import Path
from typing import Any

import pytest
from prefect import get_client
from prefect.states import Cancelled

from blocks.errors import ExportTimeoutError, RunFailedError
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.export_itwin import export_itwin
from flows.export_mesh import export_mesh
from tests.prefect_api import ask

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture(autouse=True)
def _no_artifacts_of_before(prefect_server: str) -> None:
    """Pages of one iModel have one key, so those of other tests are removed."""
    for found in newest(prefect_server, "markdown"):
        ask("DELETE", f"{prefect_server}/artifacts/{found['id']}")


def newest(api: str, kind: str) -> list[dict[str, Any]]:
    wanted = {"artifacts": {"type": {"any_": [kind]}}, "sort": "CREATED_DESC"}
    return ask("POST", f"{api}/artifacts/filter", wanted)


def page(api: str) -> str:
    """The only page."""
    (found,) = newest(api, "markdown")
    return found["data"]


async def test_a_published_export_has_a_page(prefect_server: str) -> None:
    """It names iModel, version, files with size and hash, how to look at them, times, ids and changed settings."""
    report = await export_ifc(SEEDED.plant, named_version="Issued for review", ifc_version="IFC2x3")
    said = page(prefect_server)
    assert said.startswith("# Plant A, Issued for review\n")
    assert all(f"`{Path(file.path).name}`" in said and file.sha256[:12] in said for file in report.files)
    assert f"    itwin-export view {shlex.quote(report.output_dir)}/{SEEDED.plant}/ifc\n" in said
    assert report.content
    assert report.content.sentence().partition(": ")[2] in said
    for step in ("Queued", "Prepared", "Waited for the run", "Ran at the platform", "Fetched", "Checked", "Published"):
        assert f"| {step} |" in said
    assert all(f"`{one}`" in said for one in (report.run_id, report.connection_id, report.changeset_id))
    assert "ifc_version = `IFC2x3`" in said
    assert "save_logs" not in said


async def test_a_skipped_export_says_so(prefect_server: str) -> None:
    """Where nothing was to do, the page of the flow run says that the files were there, and gives no times."""
    await export_ifc(SEEDED.plant)
    await export_ifc(SEEDED.plant)
    said = newest(prefect_server, "markdown")[0]["data"]
    assert "Nothing to do: IFC is already there" in said
    assert "## Time" not in said


async def test_a_page_of_tiles_says_how_many(prefect_server: str) -> None:
    """The page of a tileset names the number of tiles, their total size, and the command that shows them."""
    report = await export_mesh(SEEDED.bridge)
    said = page(prefect_server)
    assert f"{report.tile_count} tiles" in said
    assert f"{SEEDED.bridge}/mesh\n" in said


async def test_a_failed_task_is_explained(prefect_server: str, sandbox: RunningSandbox) -> None:
    """The page of a failure lists the platform's failed tasks, and has the command that exports again."""
    error = {"phase": "Translate", "description": "No walls | at all", "canUserFix": True}
    error["kbArticleLink"] = "https://bentleysystems.service-now.com/kb?id=1&n=(2)"
    sandbox.state.script(SEEDED.plant, Outcome("Error", error=error))
    with pytest.raises(RunFailedError) as failed:
        await export_ifc(SEEDED.plant, model_ids=["0x1", "0x2"], save_logs=False)
    said = page(prefect_server)
    (run,) = sandbox.state.runs
    assert said.startswith("# Plant A, changeset 5\n")
    assert "* **No walls \\| at all" in said
    assert "Failed in phase Translate (" in said
    assert "; you can correct it. [Read more in the knowledge base](" in said
    assert "](https://bentleysystems.service-now.com/kb?id=1&n=%282%29)." in said
    assert f"    itwin-export ifc {SEEDED.plant} --model-ids 0x1 --model-ids 0x2 --no-save-logs\n" in said
    assert f"Export run `{run.id}`" in said
    assert [task.can_user_fix for task in failed.value.failed_tasks] == [True]


async def test_a_deadline_says_what_goes_on(prefect_server: str, sandbox: RunningSandbox) -> None:
    """After the deadline the page says that the run goes on, and how to pick it up."""
    sandbox.state.script(SEEDED.plant, Outcome(seconds=3))
    with pytest.raises(ExportTimeoutError):
        await export_ifc(SEEDED.plant, timeout_minutes=0.01)
    said = page(prefect_server)
    assert "## What goes on" in said
    assert "goes on at the platform" in said
    assert "--timeout-minutes 0.01" in said


async def test_a_batch_has_one_page(prefect_server: str, sandbox: RunningSandbox) -> None:
    """The page of a batch counts, names what failed, why, where to read more, what was exported and the requests."""
    await export_ifc(SEEDED.bridge, ifc_version="IFC2x3")  # has a page of its own, which the batch's page links
    article = "https://bentleysystems.service-now.com/kb?id=1&n=2"
    sandbox.state.script(SEEDED.plant, Outcome("Error", error={"kbArticleLink": article}))
    report = await export_itwin("Campus", imodel_ids=[SEEDED.plant, SEEDED.bridge], fail_when="never")
    (said,) = [one["data"] for one in newest(prefect_server, "markdown") if one["key"].startswith("export-itwin")]
    assert said.startswith("# Campus\n")
    assert "**1 exported, 0 skipped, 1 failed.**" in said
    assert f"* **Plant A** (ifc): Export run {report.failures[0].error.split()[2]} of iModel" in said
    assert f". [Read more in the knowledge base]({article})." in said
    assert report.failures[0].articles == (article,)
    assert "service-now.com" not in report.failures[0].error
    assert f"| [Bridge](/artifacts/key/export-ifc-{SEEDED.bridge}) | ifc | `" in said
    assert "Requests to the platform: " in said
    assert "    itwin-export itwin Campus --imodel-ids" in said


async def test_a_batch_that_is_ended_has_a_page(prefect_server: str, sandbox: RunningSandbox, tmp_path: Path) -> None:
    """The page of a cancelled batch lists published exports and active remote runs, and the command for the rest."""
    await export_ifc(SEEDED.baseline)
    sandbox.state.imodels[SEEDED.plant].run_seconds = 3600
    chosen = [SEEDED.plant, SEEDED.bridge, SEEDED.baseline]
    batch = asyncio.create_task(export_itwin("Campus", imodel_ids=chosen))
    published = tmp_path / "exports" / SEEDED.bridge / "ifc" / "manifest.json"
    while not published.exists() or not sandbox.state.runs_of(SEEDED.plant):
        assert not batch.done()
        await asyncio.sleep(0.05)
    batch.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await batch
    (said,) = [one["data"] for one in newest(prefect_server, "markdown") if one["key"].startswith("export-itwin")]
    (run,) = sandbox.state.runs_of(SEEDED.plant)
    assert said.startswith("# Campus\n")
    assert "**The flow run crashed.** 1 of 3 exports are published" in said
    assert "| Bridge | ifc | `" in said
    assert f"* **Plant A**: Export run {run.id} on connection {run.connection_id} " in said
    assert said.count("Export run ") == 1
    assert f"    itwin-export itwin Campus --imodel-ids {SEEDED.plant} --imodel-ids " in said


async def test_a_batch_that_had_not_begun_says_so(prefect_server: str) -> None:
    """A batch that was cancelled before it knew its iModels has a page with the command."""
    async with get_client() as client:
        flow_run = await client.create_flow_run(export_itwin, parameters={"itwin_id": "Some Campus"})
        written = export_itwin.on_cancellation_hooks[0](export_itwin, flow_run, Cancelled())
        assert written is not None
        await written
    said = page(prefect_server)
    assert said.startswith("# Some Campus\n\n**The flow run was cancelled.** It had not begun.")
    assert "Nothing goes on at the platform" in said
    assert "    itwin-export itwin 'Some Campus'\n" in said
