"""Never a stranger's run: which of those that are there serves an order."""

from typing import Any

import pytest

from blocks.errors import (
    ActiveRunError,
)
from tasks.ifc.options import RunPolicy
from tests.blocks.itwin.platform import MOMENT, Platform
from tests.tasks.run_specs import (
    OLDER,
    SpecFactory,
    connection_on,
    minutes,
    note,
    records_of,
    run_there,
    start,
    with_policy,
)


async def test_a_good_run_nobody_fetched_is_adopted(platform: Platform, make_spec: SpecFactory) -> None:
    """A finished good run of a flow run that crashed serves the next one; once it is fetched it does not."""
    spec = await make_spec()
    first = await start(platform, spec)
    await platform.sleep(60)
    later = spec.model_copy(update={"asked_by": "tomorrow's flow run", "first_started": MOMENT + minutes(60)})
    assert (await start(platform, later)).run_id == first.run_id
    records_of(spec).note_run(spec.connection_id, first.run_id, "fetched")
    assert (await start(platform, later)).run_id != first.run_id


async def test_force_takes_no_finished_run_of_others(platform: Platform, make_spec: SpecFactory) -> None:
    """A forced export starts its own run, and finds exactly that one again."""
    spec = await make_spec()
    first = await start(platform, spec)
    await platform.sleep(60)
    policy = RunPolicy(on_active_run="fail", force=True)
    forced = spec.model_copy(update={"asked_by": "forced", "request": with_policy(spec.request, policy)})
    second = await start(platform, forced)
    assert second.run_id != first.run_id
    await platform.sleep(60)
    assert (await start(platform, forced)).run_id == second.run_id


OTHERS: list[dict[str, Any]] = [
    {"changeset_id": OLDER},
    {"options": "itwin-export IFC2x3 STORAGE 0"},
    {"place": "https://acc.blob.core.windows.net/c/other.ifc"},
]


@pytest.mark.parametrize("different", OTHERS)
@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("is_own", [True, False])
async def test_a_run_noted_for_something_else_is_not_ours(
    platform: Platform, make_spec: SpecFactory, different: dict[str, Any], finished: bool, is_own: bool
) -> None:
    """A run whose note names another changeset, other options or another target is never adopted by itself."""
    spec = await make_spec(is_own_connection=is_own)
    records_of(spec).note(note(spec, **different), "started", run_id=await run_there(platform, spec.connection_id))
    if finished:
        await platform.sleep(60)
        assert not (await start(platform, spec)).adopted
        assert platform.created() == 2
    else:
        with pytest.raises(ActiveRunError, match="not known to export the same"):
            await start(platform, spec)


@pytest.mark.parametrize("different", [{}, *OTHERS])
async def test_lost_answers_that_disagree_refuse_adoption(
    platform: Platform, make_spec: SpecFactory, different: dict[str, Any]
) -> None:
    """Where two requests at about the same time lost their answers, their run is adopted only if both wanted ours."""
    spec = await make_spec(first_started=MOMENT + minutes(60))
    note(spec, asked_at=MOMENT - minutes(1), **different)
    note(spec)
    await run_there(platform, spec.connection_id)
    if different:
        with pytest.raises(ActiveRunError):
            await start(platform, spec)
    else:
        assert (await start(platform, spec)).adopted
    assert platform.created() == 1


async def test_an_old_lost_answer_claims_no_run_of_today(platform: Platform, make_spec: SpecFactory) -> None:
    """A note without answer from hours ago does not make a run that somebody starts now ours."""
    spec = await make_spec(first_started=MOMENT + minutes(60))
    note(spec, asked_at=MOMENT - minutes(180))
    await run_there(platform, spec.connection_id)
    with pytest.raises(ActiveRunError):
        await start(platform, spec)


@pytest.mark.parametrize(
    ("changes", "is_taken"),
    [
        ({}, True),
        ({"first_started": MOMENT + minutes(1)}, False),
        ({"first_started": MOMENT + minutes(0.1)}, False),
        ({"is_own_connection": False}, False),
        ({"options": {"output_location": "USER_BLOB_STORAGE"}}, False),
    ],
)
async def test_a_run_without_note(
    platform: Platform, make_spec: SpecFactory, changes: dict[str, Any], is_taken: bool
) -> None:
    """A run nobody noted is ours only if it began after this flow run, on our own connection, and writes to Storage."""
    spec = await make_spec(**changes)
    await platform.sleep(6)
    run_id = await run_there(platform, spec.connection_id)
    await platform.sleep(1)  # a run that has not told its start could be an older one
    if is_taken:
        run = await start(platform, spec)
        assert (run.run_id, run.adopted) == (run_id, True)
    else:
        with pytest.raises(ActiveRunError):
            await start(platform, spec)
    assert platform.created() == 1


async def test_a_run_on_a_twin_of_our_connection_is_ours(platform: Platform, make_spec: SpecFactory) -> None:
    """Two first exports at once make two connections for one purpose; the run on the other one serves both."""
    one = await make_spec()
    first = await start(platform, one)
    twin = await connection_on(platform, one.request.connection_name)
    second = await start(platform, one.model_copy(update={"connection_id": twin, "asked_by": "another flow run"}))
    assert (second.run_id, second.connection_id, second.adopted) == (first.run_id, one.connection_id, True)
    await platform.sleep(60)
    third = await start(platform, one.model_copy(update={"connection_id": twin, "asked_by": "tomorrow's flow run"}))
    assert third.run_id == first.run_id
    assert platform.created() == 1


@pytest.mark.parametrize("is_twin", [True, False])
async def test_another_machines_run_on_a_twin_is_ours(
    platform: Platform, make_spec: SpecFactory, *, is_twin: bool
) -> None:
    """Without notes, a run on a connection of our name that surely began after us is ours; on others it never is."""
    mine = await make_spec()
    await platform.sleep(6)
    theirs = await connection_on(platform, mine.request.connection_name if is_twin else "somebody else's")
    run_id = await run_there(platform, theirs)
    await platform.sleep(1)
    if is_twin:
        assert (await start(platform, mine)).run_id == run_id
    else:
        with pytest.raises(ActiveRunError, match="not known to export the same"):
            await start(platform, mine)
    assert platform.created() == 1


async def test_a_connection_deleted_since_is_passed_over(platform: Platform, make_spec: SpecFactory) -> None:
    """A connection of earlier days that is noted and gone does not stop today's export on its successor."""
    before = await make_spec()
    await start(platform, before)
    await platform.sleep(60)
    platform.state.connections.clear()
    after = before.model_copy(update={"connection_id": await connection_on(platform, before.request.connection_name)})
    assert not (await start(platform, after)).adopted
    assert platform.created() == 2


async def test_what_was_fetched_after_we_began_serves_us(platform: Platform, make_spec: SpecFactory) -> None:
    """A run that another flow run fetched while ours was on its way is not started a second time; an older one is."""
    spec = await make_spec()
    first = await start(platform, spec)
    await platform.sleep(60)
    fetched_at = platform.state.clock.now()
    records_of(spec).note_run(spec.connection_id, first.run_id, "fetched", fetched_at=fetched_at)
    on_its_way = spec.model_copy(update={"asked_by": "another flow run", "first_started": fetched_at - minutes(0.5)})
    too_late = spec.model_copy(update={"asked_by": "a later flow run", "first_started": fetched_at + minutes(0.5)})
    assert (await start(platform, too_late)).run_id != first.run_id
    records_of(spec).note_run(spec.connection_id, first.run_id, "fetched", fetched_at=fetched_at)
    await platform.sleep(60)
    found = await start(platform, on_its_way)
    assert found.adopted
    assert platform.created() == 2
