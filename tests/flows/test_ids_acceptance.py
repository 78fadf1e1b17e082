"""Exports whose acceptance rules name IDS documents."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import ContainerClient

from blocks.errors import InputError, RejectedError, UndecidedError
from blocks.storage.acceptance.ids.models import IdsReport
from blocks.storage.manifest import Manifest, read_manifest
from blocks.storage.publish import verify_published
from blocks.storage.rejected import read_rejected
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tests.benchmarks.ifc_content import write_walls
from tests.blocks.storage.acceptance.ids_texts import FAILING, PASSING

pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]

Write = Callable[[str], str]
REPORTS = {"acceptance.html", "acceptance.json"}


@pytest.fixture
def agreed(tmp_path: Path) -> Write:
    """Writes the document that the rules of a test name; returns the path of the rules."""

    def write(text: str) -> str:
        (tmp_path / "agreed.ids").write_text(text, "utf-8")
        (tmp_path / "rules.toml").write_text('ids = ["agreed.ids"]', "utf-8")
        return str(tmp_path / "rules.toml")

    return write


def manifest_of(folder: Path) -> Manifest:
    """The manifest of an export that is whole."""
    manifest = read_manifest(folder)
    assert manifest is not None
    verify_published(folder, manifest, full=True)
    return manifest


def reports_in(folder: Path) -> set[str]:
    """The reports that lie in a folder, all of them in its manifest."""
    found = {path.name for path in folder.glob("acceptance*")}
    assert found == {file.path for file in manifest_of(folder).files if file.path.startswith("acceptance")}
    return found


async def test_a_document_decides(sandbox: RunningSandbox, agreed: Write, tmp_path: Path) -> None:
    """An export that fails an IDS document lies in `rejected/` with its reports; when it passes, it is published.

    Where the document changes after that, what is published is checked anew, and nothing is asked of the platform.
    """
    folder = tmp_path / "exports" / SEEDED.bridge / "ifc"
    with pytest.raises(RejectedError, match=r"There are doors: measured applies to 0, limit required"):
        await export_ifc(SEEDED.bridge, acceptance=agreed(FAILING))
    assert not (folder / "manifest.json").exists()
    (aside,) = read_rejected(folder)
    assert reports_in(aside.folder) == REPORTS
    accepted = await export_ifc(SEEDED.bridge, acceptance=agreed(PASSING))
    assert (accepted.verdict, [check.rule for check in accepted.checks]) == (
        "accepted",
        ["ids.agreed.ids: Walls have names"],
    )
    assert reports_in(folder) == REPORTS
    report = IdsReport.model_validate_json((folder / "acceptance.json").read_bytes())
    assert [one.name for one in report.specifications] == ["Walls have names"]
    with pytest.raises(RejectedError, match="It is published in"):
        await export_ifc(SEEDED.bridge, acceptance=agreed(FAILING))
    assert len(IdsReport.model_validate_json((folder / "acceptance.json").read_bytes()).specifications) == 5
    (tmp_path / "plain.toml").write_text("[ifc]\nmin_elements = 1")
    assert (await export_ifc(SEEDED.bridge, acceptance=str(tmp_path / "plain.toml"))).verdict == "accepted"
    assert reports_in(folder) == set()
    assert len(list(sandbox.state.runs)) == 1


async def test_a_check_that_reaches_its_limit_publishes_nothing(
    sandbox: RunningSandbox, agreed: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ifctester needs more memory than it may have, the run fails with a sentence, and readers get nothing."""
    write_walls(tmp_path / "walls.ifc", 20_000_000)
    sandbox.state.script(SEEDED.bridge, Outcome(content=(tmp_path / "walls.ifc").read_bytes()))
    monkeypatch.setenv("ITWIN_IDS_MEMORY_MB", "280")
    with pytest.raises(UndecidedError, match=r"cannot be checked.*more than 280 MiB of memory \(ITWIN_IDS_MEMORY_MB\)"):
        await export_ifc(SEEDED.bridge, ifc_version="IFC4 RV 1.2", acceptance=agreed(PASSING))
    assert not (tmp_path / "exports" / SEEDED.bridge / "ifc" / "manifest.json").exists()


async def test_an_invalid_document_starts_nothing(sandbox: RunningSandbox, agreed: Write) -> None:
    """A document that does not conform to the schema of IDS ends the export before a run is started."""
    with pytest.raises(InputError, match=r"agreed\.ids is invalid"):
        await export_ifc(SEEDED.bridge, acceptance=agreed(PASSING.replace("ifcVersion", "version")))
    assert not list(sandbox.state.runs)


async def test_a_document_may_be_a_blob(
    azurite: RunningAzurite, sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A document that is no file here comes from the user's container; if it is not there, nothing starts."""
    (tmp_path / "rules.toml").write_text('ids = ["agreed/of blob.ids"]')
    export: Any = export_ifc
    with pytest.raises(InputError, match=r"no IDS document .*of blob\.ids, and none in your container"):
        await export(SEEDED.bridge, acceptance=str(tmp_path / "rules.toml"))
    assert not list(sandbox.state.runs)
    for name, value in azurite.environment.items():
        monkeypatch.setenv(name, value)
    container = os.environ["ITWIN_BLOB_CONTAINER"]
    client = ContainerClient.from_connection_string(azurite.connection_string, container)
    client.upload_blob("agreed/of blob.ids", PASSING, overwrite=True)
    assert (await export(SEEDED.bridge, acceptance=str(tmp_path / "rules.toml"))).verdict == "accepted"
