"""The process dies before it has fetched a finished run's file, and the file is deleted: the same command goes on."""

import pytest

from blocks.storage.manifest import read_manifest
from tasks.reports import ExportReport
from tests.processes.commands import CliSandbox
from tests.processes.kill_points import KILL_POINTS, kill_at

(FETCHING,) = [point for point in KILL_POINTS if point.name == "asking for the file's link"]


@pytest.mark.parametrize("loss", ["deleted", pytest.param("overwritten", marks=pytest.mark.crash)])
def test_one_new_run_after_kill_and_loss(cli_sandbox: CliSandbox, loss: str) -> None:
    """The same command asks for exactly one new run, says why, and ends with 0 and that run's file."""
    kill_at(FETCHING, cli_sandbox)
    (lost,) = cli_sandbox.runs
    state = cli_sandbox.sandbox.state
    file = state.items[str(lost.output_file_id)]
    if loss == "deleted":
        del state.items[file.id]
    else:
        state.overwrite(file, b"<html>somebody else's</html>")
    ended = cli_sandbox.start().ended()
    assert ended.exit_code == 0, ended.stderr
    first, new = cli_sandbox.runs
    assert first is lost
    why = f"Started export run {new.id}, because export run {lost.id} cannot serve any more."
    assert why in ended.stderr
    assert "names no file" not in ended.stderr
    report = ExportReport.model_validate_json(ended.stdout)
    assert (report.run_id, report.adopted) == (new.id, False)
    manifest = read_manifest(cli_sandbox.folder / report.imodel_id / "ifc")
    assert manifest is not None
    assert [warning.startswith(why) for warning in manifest.warnings] == [True]
    assert report.warnings == manifest.warnings
