"""An export with nothing to do needs no Prefect, unless a Prefect server or a saved block has a say."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from blocks.storage.manifest import read_manifest
from deployments.cli.unchanged import look_first
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from flows.signatures import ifc_request
from tests.deployments.cli.test_start_up import REPOSITORY, SCRIPT

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
def home(tmp_path: Path, no_prefect: None) -> Path:  # noqa: ARG001  no variable leads to a server
    """An empty home of Prefect."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def export_again(home: Path, imodel: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own, without a Prefect server; it fails if it imports Prefect."""
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, "ifc", imodel, "--json", *options],
        cwd=REPOSITORY,
        env=os.environ | {"PREFECT_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_an_unchanged_export_is_reported_without_prefect(sandbox: RunningSandbox, home: Path) -> None:
    """The same export again ends with 0, the report of the published files and one request for the changeset.

    By name it takes two more, for the iTwin and the iModel; a name that nothing has ends it with 2 there and then.
    """
    first = await export_ifc(SEEDED.bridge)
    asked = len(sandbox.state.log)
    again = await asyncio.to_thread(export_again, home, SEEDED.bridge)
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert report["skipped"]
    assert [file["sha256"] for file in report["files"]] == [file.sha256 for file in first.files]
    assert "Nothing to do" in again.stderr
    looked = [entry.path for entry in list(sandbox.state.log)[asked:] if entry.path.startswith("/imodels")]
    assert looked == [f"/imodels/{SEEDED.bridge}/changesets"]
    asked = len(sandbox.state.log)
    named = await asyncio.to_thread(export_again, home, "Campus/Bridge")
    assert (json.loads(named.stdout)["imodel_name"], named.returncode) == ("Bridge", 0)
    looked = [entry.path for entry in list(sandbox.state.log)[asked:] if not entry.path.startswith(("/connect", "/."))]
    assert looked == ["/itwins", "/imodels", f"/imodels/{SEEDED.bridge}/changesets"]
    unknown = await asyncio.to_thread(export_again, home, "Campus/Brigde")
    assert (unknown.returncode, "Near names: “Campus/Bridge”" in unknown.stderr) == (2, True)


async def test_a_published_export_is_checked_without_prefect(sandbox: RunningSandbox, home: Path) -> None:
    """New rules for an unchanged export end the command with 5 and the report, and note the verdict in the manifest."""
    first = await export_ifc(SEEDED.bridge)
    asked = len(sandbox.state.log)
    rules = home.parent / "rules.toml"
    rules.write_text("on_rejected = 'quarantine'\n[ifc]\nmin_elements = 5000")
    done = await asyncio.to_thread(export_again, home, SEEDED.bridge, "--acceptance", str(rules))
    assert done.returncode == 5, done.stderr
    report = json.loads(done.stdout)
    assert (report["verdict"], report["checks"][0]["passed"], report["skipped"]) == ("rejected", False, True)
    assert "is rejected by the acceptance rules: ifc.min_elements: measured" in done.stderr
    manifest = read_manifest(Path(first.output_dir, first.files[0].path).parent)
    assert manifest is not None
    assert manifest.verdict == "rejected"
    looked = [entry.path for entry in list(sandbox.state.log)[asked:] if not entry.path.startswith(("/connect", "/."))]
    assert looked == [f"/imodels/{SEEDED.bridge}/changesets"]
    assert look_first(ifc_request(SEEDED.bridge, acceptance="a-block")).unchanged is None
    rules.write_text("on_rejected = 'quarantine'\n[ifc]\ngeoreference = 'imodel'")
    asked = len(sandbox.state.log)
    compared = (await asyncio.to_thread(look_first, ifc_request(SEEDED.bridge, acceptance=str(rules)))).unchanged
    assert compared is not None
    assert compared.checks[0].note == "no georeference in Bridge.ifc"
    assert [entry.path for entry in list(sandbox.state.log)[asked:]].count(f"/imodels/{SEEDED.bridge}") == 1


def save_block(home: Path) -> None:
    """A database with a block `default`, as far as it matters here."""
    database = sqlite3.connect(home / "prefect.db")
    database.executescript(
        "CREATE TABLE block_type (id, slug); INSERT INTO block_type VALUES (1, 'itwin-credentials');"
        "CREATE TABLE block_document (block_type_id, name); INSERT INTO block_document VALUES (1, 'default');"
    )
    database.close()


async def test_what_may_need_doing_is_left_to_a_flow_run(
    sandbox: RunningSandbox, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything new, forced or damaged, and any other place that may name a server or credentials, needs a flow run."""
    report = await export_ifc(SEEDED.bridge)

    async def is_unchanged(*, force: bool = False) -> bool:
        look = await asyncio.to_thread(look_first, ifc_request(SEEDED.bridge, force=force))
        return look.unchanged is not None

    assert await is_unchanged()
    assert not await is_unchanged(force=True)
    with monkeypatch.context() as changed:
        changed.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
        assert not await is_unchanged()
    profile = home / "profiles.toml"
    profile.write_text('active = "team"\n[profiles.team]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n')
    assert not await is_unchanged()
    profile.unlink()
    save_block(home)
    assert not await is_unchanged()
    (home / "prefect.db").unlink()
    model = Path(report.output_dir) / report.files[0].path
    whole = model.read_bytes()
    model.write_bytes(b"damaged")
    assert not await is_unchanged()
    model.write_bytes(whole)
    sandbox.state.push_changeset(SEEDED.bridge)
    assert not await is_unchanged()
