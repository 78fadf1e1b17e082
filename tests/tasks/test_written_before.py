"""What version 0.1.0 of before the rooms were renamed (commit b0fce88) left on a disk is found by this version.

`written_before.json` was written by that version's own code: each member is a file's path below the export folder.
"""

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.itwin.auth.token_file import TokenFile
from blocks.itwin.models import ExportRun
from blocks.storage.download.checkpoint import ChunkCheckpoint
from blocks.storage.download.source import BlobProperties
from blocks.storage.manifest import read_manifest
from blocks.storage.publish import verify_published
from tasks.batch.reports import read_batch_report
from tasks.ifc.followed_runs import STALE_AFTER_SECONDS, is_stale
from tasks.ifc.options import IfcRequest
from tasks.ifc.run_heartbeat import describe_remote_run
from tasks.ifc.run_matching import RunMatcher
from tasks.ifc.run_records import RunRecords
from tests.tasks.run_specs import spec_for

WRITTEN = Path(__file__).with_name("written_before.json")
CHANGESET = "ab" * 20
FIRST, SECOND, FOURTH, BATCH = (f"{digit * 8}-{digit * 4}-{digit * 4}-{digit * 4}-{digit * 12}" for digit in "1245")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The export folder as that version left it."""
    for name, content in json.loads(WRITTEN.read_bytes()).items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())
    return tmp_path


@pytest.fixture
def request_before(folder: Path) -> IfcRequest:
    """The export that was asked for, asked for again."""
    return IfcRequest.check(
        imodel_id="5E19BEE0-3aea-4355-a9f0-c6df9989ee7d",
        ifc_version="IFC4 RV 1.2",
        model_ids=["0x2", "0x1"],
        save_logs=False,
        output_dir=str(folder),
    )


def test_its_runs_are_found(request_before: IfcRequest) -> None:
    """Every request is read with its outcome, and a run that goes on is told to be the one that serves."""
    records = RunRecords(request_before.state_dir.runs)
    assert [(record.run_id, record.outcome) for record in records.all()] == [
        ("run-1", "started"), (None, "asked"), ("run-3", "failed"), ("run-4", "fetched"),
    ]  # fmt: skip
    spec = spec_for(request_before, "connection-1", changeset_id=CHANGESET, asked_by=SECOND)
    matcher = RunMatcher(spec, "connection-1", records.of_connection("connection-1"), "")
    now = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    for run_id, is_found in (("run-1", True), ("run-3", False)):
        run = ExportRun.model_validate({"id": run_id, "state": "Running", "startDateTime": "2026-11-20T08:30:01Z"})
        assert (matcher.of(run, now) is not None) == is_found


def test_what_it_followed_is_told(request_before: IfcRequest) -> None:
    """The notes of followed runs and of lost answers lead to the sentence for a flow run that ended early."""
    state_dir = request_before.state_dir
    assert describe_remote_run(state_dir, FIRST).startswith("Export run run-1 on connection connection-1 goes on")
    assert describe_remote_run(state_dir, FOURTH).startswith("Export run run-4 on connection connection-1 has finished")
    assert describe_remote_run(state_dir, SECOND).startswith(
        "An export run that was asked for on connection connection-1 may"
    )
    long_ago = time.time() - STALE_AFTER_SECONDS - 1
    os.utime(state_dir.followed(FIRST), (long_ago, long_ago))
    assert is_stale(state_dir, FIRST)


def test_its_export_is_found(request_before: IfcRequest) -> None:
    """The manifest is read, names the same options as today's request does, and the files are whole."""
    manifest = read_manifest(request_before.folder)
    assert manifest is not None
    assert (manifest.changeset_id, manifest.options) == (CHANGESET, request_before.options)
    verify_published(request_before.folder, manifest, full=True)


def test_its_download_goes_on(request_before: IfcRequest) -> None:
    """The folder of an interrupted download is the one that is taken again, and its finished chunks are known."""
    with request_before.state_dir.staging("run-1", FIRST) as staging:
        part = staging / "Plant.ifc.part"
        properties = BlobProperties(size=20, etag='"v1"')
        assert ChunkCheckpoint.load(staging / "Plant.ifc.part.json", part, properties, 8).finished == {0, 2}


def test_its_token_is_found(folder: Path) -> None:
    """The newest refresh token is found from the one that the environment holds."""
    tokens = TokenFile(folder / "home", "https://ims.bentley.com", "native-client")
    assert tokens.successor_of("made-up-first") == "made-up-newest"


def test_its_batch_report_is_found(folder: Path) -> None:
    """The report of a shard is read by the batch that the shard belongs to."""
    report = read_batch_report(folder, BATCH)
    assert report is not None
    assert [failure.error for failure in report.failures] == ["no"]
