"""SIGKILL around the moment at which an export is announced; `make crash` runs it."""

import pytest

from deployments.sandbox.state.seed import SEEDED
from tests.prefect_events import events_of, names_of
from tests.processes.commands import CliSandbox
from tests.processes.kill_points import KillPoint, kill_at
from tests.processes.workers import Worker

pytestmark = pytest.mark.crash

PUBLISHED = KillPoint("having published, before the event", files="ifc/manifest.json")
KEPT = KillPoint("the event waits in the outbox", files=".itwin-export/events/*.json")
DELIVERED = KillPoint("the event is delivered", files="ifc-publication.json", says='"is_announced":true')


@pytest.mark.parametrize("point", [KEPT, DELIVERED], ids=lambda point: point.name)
def test_a_flow_run_killed_around_its_event_has_one(worker: Worker, cli_sandbox: CliSandbox, point: KillPoint) -> None:
    """Killed right before or right after its event, a flow run that is retried has exactly one."""
    worker.kill_at_and_retry(point, cli_sandbox)
    (event,) = events_of(cli_sandbox.server.url, cli_sandbox.folder, 1)
    assert event["event"] == "itwin.export.published"
    assert event["resource"]["prefect.resource.id"] == f"itwin.imodel.{SEEDED.plant}"


def test_an_export_killed_before_its_event_is_announced_by_the_next(cli_sandbox: CliSandbox) -> None:
    """Another flow run, which finds the files there, emits the event of the one that was killed, once."""
    kill_at(PUBLISHED, cli_sandbox)
    assert cli_sandbox.export().skipped
    assert names_of(events_of(cli_sandbox.server.url, cli_sandbox.folder, 1)) == ["export.published"]
