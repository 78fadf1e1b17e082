"""A worker with an empty disk goes on with the run that its flow run had waited for."""

from datetime import timedelta

import pytest

from tasks.ifc.earlier_run import record_earlier_run
from tasks.ifc.options import RunPolicy
from tasks.ifc.run_spec import RunSpec
from tasks.released.wait import ReleasedWait
from tests.blocks.itwin.platform import MOMENT, Platform
from tests.tasks.run_specs import FAIL_IF_ACTIVE, OURS, SpecFactory, notes, records_of, run_there, start


def wait_for(spec: RunSpec, run_id: str, **changes: bool) -> ReleasedWait:
    """What the suspended state of the flow run says."""
    return ReleasedWait(
        format="ifc",
        imodel_id=spec.request.imodel_id,
        changeset_id=OURS,
        since=MOMENT,
        deadline=MOMENT + timedelta(hours=4),
        connection_id=spec.connection_id,
        export_id=run_id,
    ).model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "policy", "is_known"),
    [
        ({}, FAIL_IF_ACTIVE, True),
        ({"is_adopted": True}, FAIL_IF_ACTIVE, True),
        ({"is_adopted": True}, RunPolicy(on_active_run="adopt"), False),
        ({"is_foreign": True}, FAIL_IF_ACTIVE, False),
    ],
)
async def test_the_run_is_known_again(
    platform: Platform, make_spec: SpecFactory, changes: dict[str, bool], policy: RunPolicy, *, is_known: bool
) -> None:
    """It is recorded once and followed, unless it may be another's run for another changeset."""
    spec = (await make_spec(policy=policy)).model_copy(update={"first_started": MOMENT + timedelta(hours=1)})
    run_id = await run_there(platform, spec.connection_id, finished=True)
    for _ in range(2):
        record_earlier_run(records_of(spec), spec, "", [wait_for(spec, run_id, **changes)])
    assert [note.run_id for note in notes(spec)] == [run_id] * is_known
    assert ((await start(platform, spec)).run_id == run_id) is is_known
