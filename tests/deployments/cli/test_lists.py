"""`itwin-export list …` against the stand-in platform; no command imports Prefect or starts a server."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blocks.storage.manifest import Manifest, VersionFacts, write_manifest
from deployments.cli.app import run
from deployments.sandbox.ids import guid, pair_id
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Connection, Outcome, Run
from deployments.sandbox.state.seed import SEEDED
from tasks.ifc.followed_runs import FollowedRun
from tasks.state_dir import StateDir

pytestmark = pytest.mark.usefixtures("no_prefect")

Listed = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def listed(capsys: pytest.CaptureFixture[str]) -> Listed:
    """The rows that a command prints with --json."""

    def read(*arguments: str) -> list[dict[str, Any]]:
        code = run(["list", *arguments, "--json"])
        printed = capsys.readouterr()
        assert code == 0, printed.err
        return json.loads(printed.out)

    return read


def paths(sandbox: RunningSandbox) -> list[str]:
    return [entry.path for entry in sandbox.state.log if not entry.path.startswith(("/connect", "/."))]


def test_itwins_are_listed_and_searched(sandbox: RunningSandbox, listed: Listed) -> None:
    """All iTwins come with name and id, at one request; a search leaves out the others."""
    north = sandbox.state.add_itwin("North [bold]Site")
    assert [row["id"] for row in listed("itwins")] == [SEEDED.itwin, north.id]
    assert paths(sandbox) == ["/itwins"]
    assert [row["name"] for row in listed("itwins", "--search", "north")] == ["North [bold]Site"]


def test_imodels_of_an_itwin_are_listed_by_its_name(sandbox: RunningSandbox, listed: Listed) -> None:
    """The iTwin is given by name; iModels that are not initialized are listed too, with their state."""
    rows = {row["name"]: row for row in listed("imodels", "campus")}
    assert (rows["Plant A"]["id"], rows["Draft"]["state"]) == (SEEDED.plant, "notInitialized")
    assert rows["Survey"]["last_push"] is None
    assert paths(sandbox) == ["/itwins", "/imodels"]


def test_versions_and_changesets_are_listed(sandbox: RunningSandbox, listed: Listed) -> None:
    """Versions and changesets of an iModel come with the latest first, hidden versions marked."""
    sandbox.state.name_version(SEEDED.plant, "Tender", index=1, description="d").state = "hidden"
    versions = listed("versions", "Campus/Plant A")
    assert [(row["name"], row["changeset_index"], row["hidden"]) for row in versions] == [
        ("Issued for construction", 5, False),
        ("Issued for review", 3, False),
        ("Tender", 1, True),
    ]
    assert [row["index"] for row in listed("changesets", SEEDED.plant)] == [5, 4, 3, 2, 1]


def test_a_cut_table_reads_only_what_it_shows(
    sandbox: RunningSandbox, listed: Listed, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table of two rows asks for three and says that there are more; JSON has every row of every page."""
    for number in range(1200):
        sandbox.state.add_imodel(SEEDED.itwin, f"More {number}")
    assert run(["list", "imodels", SEEDED.itwin, "--top", "2"]) == 0
    printed = capsys.readouterr()
    assert "Only the first 2 are shown; there are more." in printed.err
    (request,) = [entry for entry in sandbox.state.log if entry.path == "/imodels"]
    assert "%24top=3" in request.query
    assert len(listed("imodels", SEEDED.itwin)) == 1205
    assert len(listed("imodels", SEEDED.itwin, "--top", "7")) == 7


def test_names_reach_the_table_as_they_are(sandbox: RunningSandbox, capsys: pytest.CaptureFixture[str]) -> None:
    """Square brackets of a name are shown, and characters that would move the cursor are written out."""
    sandbox.state.add_itwin("[red]A\x1b[2J\n9")
    assert run(["list", "itwins"]) == 0
    assert "[red]A\\x1b[2J 9" in capsys.readouterr().out


def test_runs_tell_who_follows_them(sandbox: RunningSandbox, listed: Listed, tmp_path: Path) -> None:
    """Runs of every connection come with state, result and age; ours are marked, with the flow run that follows."""
    state, now = sandbox.state, sandbox.state.clock.now()
    keys = [pair_id(SEEDED.plant, guid(name)) for name in ("ours", "theirs")]
    ours = Connection(keys[0], SEEDED.plant, SEEDED.itwin, "itwin-export IFC4.3 STORAGE 1", "Service", "x")
    theirs = Connection(keys[1], SEEDED.plant, SEEDED.itwin, "somebody", "Service", "x")
    for connection, key, finished in ((ours, "run-1", None), (theirs, "run-2", now)):
        run_of = Run(key, connection.id, SEEDED.plant, {}, Outcome(), now, 3600, None, "x", finished)
        connection.runs.append(run_of)
        state.connections[connection.id] = connection
    file = StateDir.of_imodel(tmp_path / "exports", SEEDED.plant).followed("flow-run-7")
    file.parent.mkdir(parents=True)
    file.write_text(FollowedRun(connection_id=ours.id, run_id="run-1").model_dump_json())
    rows = {row["id"]: row for row in listed("runs", SEEDED.plant)}
    followed, foreign = rows["run-1"], rows["run-2"]
    assert (followed["ours"], followed["followed_by"], followed["result"]) == (True, "flow-run-7", None)
    assert (foreign["ours"], foreign["followed_by"], foreign["state"]) == (False, None, "Completed")
    assert (foreign["result"], foreign["age_minutes"]) == ("Success", 0)


def manifest(**facts: Any) -> Manifest:
    """What an export of the plant left."""
    known = {"api_url": "https://a.example", "imodel_id": SEEDED.plant, "changeset_id": "c", "tool_version": "1"}
    return Manifest.model_validate(known | {"created_at": datetime(2026, 3, 2, tzinfo=UTC)} | facts)


def test_exports_of_a_folder_are_listed(listed: Listed, tmp_path: Path) -> None:
    """Current and earlier exports come with iModel, version, time, size and result; what is no manifest is left out."""
    version = VersionFacts(id="v", name="As built")
    root = tmp_path / "out" / SEEDED.plant
    for place, facts in (
        ("ifc", {"format": "ifc", "imodel_name": "Plant A", "named_version": version, "total_bytes": 7}),
        ("ifc/history/3", {"format": "ifc", "imodel_name": "Plant A", "created_at": datetime(2026, 3, 1, tzinfo=UTC)}),
        ("mesh", {"format": "mesh", "result": "Complete"}),
    ):
        (root / place).mkdir(parents=True, exist_ok=True)
        write_manifest(root / place, manifest(**facts))
    (tmp_path / "out" / "x" / "ifc").mkdir(parents=True)
    (tmp_path / "out" / "x" / "ifc" / "manifest.json").write_text("{}")
    rows = listed("exports", str(tmp_path / "out"))
    assert [(row["folder"].removeprefix(f"{SEEDED.plant}/"), row["named_version"], row["bytes"]) for row in rows] == [
        ("mesh", None, 0),
        ("ifc", "As built", 7),
        ("ifc/history/3", None, 0),
    ]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["imodels", "Nowhere"], "There is no iTwin “Nowhere” among the 1 active"),
        (["versions", "Campus/Plant B"], "Near names: “Campus/Plant A”"),
        (["itwins", "--top", "0"], "--top is 0"),
        (["exports", "nosuch"], "nosuch is no folder"),
    ],
)
def test_bad_questions_end_with_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not there is said in one sentence, with exit code 2."""
    assert run(["list", *arguments]) == 2
    assert message in capsys.readouterr().err
