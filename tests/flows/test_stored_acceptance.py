"""Acceptance rules for exports that go to an object store: the same as in a folder, from disks that do not last."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import RejectedError
from blocks.storage.acceptance.rules import OnRejected
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.history import KeptExport
from blocks.storage.manifest import Manifest
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_itwin import export_itwin
from tasks.reports import ExportFormat, ExportReport
from tests.blocks.storage.acceptance.ids_texts import FAILING, PASSING
from tests.flows.test_acceptance import EXPORTS, LOOSE, STRICT, Write, asked_of, both_formats, rules
from tests.flows.test_destinations import block, saved, work
from tests.object_stores.destinations import StoreUnderTest, of_xml_store
from tests.object_stores.xml_store import XmlStore

__all__ = ["block", "rules", "work"]  # fixtures of other modules
pytestmark = [pytest.mark.usefixtures("prefect_server", "sandbox"), pytest.mark.asyncio(loop_scope="session")]


NIGHTS = [("ifc", "quarantine"), ("mesh", "quarantine"), ("mesh", "publish")]


def stored(destination: StoreUnderTest, chosen: ExportFormat) -> StoredExport:
    """The exports of the plant, as another machine sees them."""
    return StoredExport(destination.open(), f"{SEEDED.plant}/{chosen}", Path("nowhere"))


def manifest_of(export: StoredExport) -> Manifest | None:
    """The published manifest, of an export that is whole."""
    manifest = export.see().manifest
    if manifest:
        export.verify(KeptExport(export.folder, manifest), full=True)
    return manifest


async def refused(export: Callable[..., Any], name: str, acceptance: str) -> tuple[str, ExportReport]:
    """The sentence and the report of an export of the plant that is rejected."""
    with pytest.raises(RejectedError) as caught:
        await export(SEEDED.plant, destination=name, acceptance=acceptance)
    assert isinstance(caught.value.report, ExportReport)
    return str(caught.value), caught.value.report


@both_formats
async def test_readers_keep_what_they_had(
    chosen: ExportFormat,
    destination: StoreUnderTest,
    block: str,
    sandbox: RunningSandbox,
    rules: Write,
    work: Path,
) -> None:
    """A rejected export lies whole in rejected/ of the store; each night another machine finds it there.

    Looser rules accept it, and it is published from there without asking the platform.
    """
    export, place = EXPORTS[chosen], stored(destination, chosen)
    before: ExportReport = await export(SEEDED.plant, destination=block, acceptance=rules(LOOSE))
    assert before.verdict == "accepted"
    sandbox.state.push_changeset(SEEDED.plant)
    said, report = await refused(export, block, rules(STRICT))
    (aside,) = place.read_rejected()
    place.verify(aside, full=True)
    assert f"It lies in {destination.url}/{SEEDED.plant}/{chosen}/rejected/{aside.folder.name}; readers keep" in said
    assert (aside.manifest.verdict, aside.manifest.changeset_id) == ("rejected", report.changeset_id)
    published = manifest_of(place)
    assert published
    assert published.changeset_id == before.changeset_id
    asked = asked_of(sandbox)
    shutil.rmtree(work)
    _, again = await refused(export, block, rules(STRICT))
    assert (again.skipped, again.files) == (True, report.files)
    shutil.rmtree(work)
    accepted: ExportReport = await export(SEEDED.plant, destination=block, acceptance=rules(LOOSE))
    assert (accepted.verdict, accepted.skipped, accepted.run_id) == ("accepted", False, report.run_id)
    now = manifest_of(place)
    assert now
    assert (now.verdict, now.run_id) == ("accepted", report.run_id)
    assert not place.store.entries(f"{place.key}/rejected")
    assert asked_of(sandbox) == asked


@both_formats
async def test_what_is_published_is_checked_by_new_rules(
    chosen: ExportFormat, s3_store: XmlStore, sandbox: RunningSandbox, rules: Write, work: Path
) -> None:
    """Rules given after an export was published check it on any machine without a run; rejected, it stays there."""
    destination = of_xml_store(s3_store)
    export, place, name = EXPORTS[chosen], stored(destination, chosen), await saved(destination)
    await export(SEEDED.plant, destination=name)
    asked = asked_of(sandbox)
    for text, verdict in ((LOOSE, "accepted"), (STRICT, "rejected")):
        shutil.rmtree(work)
        report = await export(SEEDED.plant, destination=name, acceptance=rules(f"on_rejected = 'publish'\n{text}"))
        published = manifest_of(place)
        assert published
        assert (report.verdict, report.skipped, published.verdict) == (verdict, True, verdict)
    assert asked_of(sandbox) == asked


@pytest.mark.parametrize(
    ("chosen", "on_rejected"), [("ifc", "quarantine"), ("mesh", "quarantine"), ("mesh", "publish")]
)
async def test_a_rejected_export_need_not_fail(
    chosen: ExportFormat, on_rejected: OnRejected, s3_store: XmlStore, rules: Write
) -> None:
    """With quarantine it is put aside and the run completes, with publish it is published; the report says rejected."""
    destination = of_xml_store(s3_store)
    given = rules(f"on_rejected = '{on_rejected}'\n{STRICT}")
    report = await EXPORTS[chosen](SEEDED.plant, destination=await saved(destination), acceptance=given)
    assert report.verdict == "rejected"
    place = stored(destination, chosen)
    published = manifest_of(place)
    assert (published.verdict if published else None) == ("rejected" if on_rejected == "publish" else None)
    assert len(place.read_rejected()) == (on_rejected == "quarantine")


async def test_documents_are_checked_again(
    s3_store: XmlStore, sandbox: RunningSandbox, tmp_path: Path, work: Path
) -> None:
    """For another IDS document, the file is read from the store; its reports lie beside it there."""
    destination = of_xml_store(s3_store)
    name, place = await saved(destination), stored(destination, "ifc")
    (tmp_path / "rules.toml").write_text("ids = ['agreed.ids']\non_rejected = 'publish'")
    verdicts = list[str]()
    for text in (PASSING, FAILING):
        (tmp_path / "agreed.ids").write_text(text)
        report = await EXPORTS["ifc"](SEEDED.plant, destination=name, acceptance=str(tmp_path / "rules.toml"))
        verdicts.append(report.verdict)
        shutil.rmtree(work)
    published = manifest_of(place)
    assert published
    assert verdicts == ["accepted", "rejected"]
    assert {"acceptance.html", "acceptance.json"} <= {file.path for file in published.files}
    assert len(list(sandbox.state.runs)) == 1


async def test_a_batch_puts_aside_what_is_rejected(s3_store: XmlStore, rules: Write) -> None:
    """With quarantine the batch completes; every export of it lies in rejected/ of the store, none is published."""
    destination = of_xml_store(s3_store)
    given, imodels = rules(f"on_rejected = 'quarantine'\n{STRICT}"), [SEEDED.plant, SEEDED.bridge]
    name = await saved(destination)
    report = await export_itwin(SEEDED.itwin, ["ifc", "mesh"], imodels, destination=name, acceptance=given)
    assert (report.exported, report.rejected, report.failed) == (0, 4, 0)
    manifests = [key for key in destination.open().entries("") if key.endswith("/manifest.json")]
    assert len(manifests) == 4
    assert all("/rejected/" in key for key in manifests)
