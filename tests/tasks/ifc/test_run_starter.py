"""Never two remote runs for one export: how a run is started, and found again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from blocks.errors import (
    ActiveRunError,
    ConflictError,
    ExportTimeoutError,
    NotFoundError,
    RateLimitedError,
    RequestRefusedError,
    TransientError,
)
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from tasks.ifc.options import RunPolicy
from tasks.ifc.run_spec import RemoteRun
from tasks.released.wait import ReleasedWait
from tests.blocks.itwin.platform import MOMENT, Platform
from tests.tasks.run_specs import (
    OLDER,
    OURS,
    SpecFactory,
    connection_on,
    last_run,
    minutes,
    notes,
    records_of,
    run_there,
    start,
    starter_for,
    until,
)

CREATE: dict[str, Any] = {"path": "/runs$", "method": "POST"}


async def test_starts_what_is_ordered(platform: Platform, make_spec: SpecFactory) -> None:
    """Where nothing runs, one run is started for the changeset ordered, and noted with its id."""
    spec = await make_spec()
    run = await start(platform, spec)
    assert (run.connection_id, run.adopted, run.warnings) == (spec.connection_id, False, ())
    assert last_run(platform).request["inputOptions"] == {"changesetId": OURS}
    assert [(n.run_id, n.outcome, n.changeset_id) for n in notes(spec)] == [(run.run_id, "started", OURS)]


async def test_a_retry_finds_its_run_again(platform: Platform, make_spec: SpecFactory) -> None:
    """The same order a second time follows the run it started; so does another flow run's, as an adoption."""
    spec = await make_spec()
    first = await start(platform, spec)
    assert await start(platform, spec) == first
    other = await start(platform, spec.model_copy(update={"asked_by": "another flow run"}))
    assert (other.run_id, other.adopted) == (first.run_id, True)
    assert platform.created() == 1


@pytest.mark.parametrize("fault", [{"cut": "after"}, {"status": 503, "effect": True}, {"status": 202, "effect": True}])
async def test_a_lost_answer_starts_no_second_run(
    platform: Platform, make_spec: SpecFactory, fault: dict[str, Any]
) -> None:
    """When the run was started and the answer lost, the next attempt finds it, also if it has finished meanwhile."""
    platform.state.faults.add(Fault(**CREATE, **fault))
    spec = await make_spec(first_started=MOMENT + minutes(60))  # so that nothing but the note can tell
    with pytest.raises(TransientError):
        await start(platform, spec)
    assert [n.outcome for n in notes(spec)] == ["asked"]
    await platform.sleep(30)
    assert (await start(platform, spec)).run_id == last_run(platform).id
    assert platform.created() == 1


async def test_a_request_without_effect_is_asked_again(platform: Platform, make_spec: SpecFactory) -> None:
    """When the request never arrived, the next attempt starts the run."""
    platform.state.faults.add(Fault(**CREATE, cut="before"))
    spec = await make_spec()
    with pytest.raises(TransientError):
        await start(platform, spec)
    assert (await start(platform, spec)).run_id == last_run(platform).id
    assert platform.created() == 1


async def test_a_run_that_came_and_went_while_we_waited_is_found(platform: Platform, make_spec: SpecFactory) -> None:
    """While our request waits out a 429, another process starts the same run and it ends: ours follows that one."""
    refused = platform.state.faults.add(Fault(**CREATE, status=429, retry_after=4))
    spec = await make_spec()
    waiting = asyncio.create_task(start(platform, spec))
    await until(lambda: refused.hits > 0)
    elsewhere = replace(platform, itwin=platform.another())
    theirs = await start(elsewhere, spec.model_copy(update={"asked_by": "another flow run"}))
    await platform.sleep(60)
    ours = await waiting
    assert (ours.run_id, ours.adopted) == (theirs.run_id, True)
    assert platform.created() == 1


async def test_a_look_that_is_too_old_is_repeated(platform: Platform, make_spec: SpecFactory) -> None:
    """Where no note tells of a run that came and went while ours waited, an old look does not count."""
    refused = platform.state.faults.add(Fault(**CREATE, status=429, retry_after=4))
    spec = await make_spec()
    waiting = asyncio.create_task(replace(starter_for(platform, spec), fresh_seconds=0.5).start())
    await until(lambda: refused.hits > 0)
    await platform.sleep(60)
    theirs = await run_there(replace(platform, itwin=platform.another()), spec.connection_id, finished=True)
    ours = await waiting
    assert isinstance(ours, RemoteRun)
    assert ours.run_id == theirs
    assert platform.created() == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(409, ConflictError), (422, RequestRefusedError), (429, RateLimitedError)]
)
async def test_a_refused_request_is_noted_as_refused(
    platform: Platform, make_spec: SpecFactory, status: int, kind: type[Exception]
) -> None:
    """A request that was refused, or lost a race, leaves no note that a stranger's run could be taken for."""
    platform.state.faults.add(Fault(**CREATE, status=status, code="No", retry_after=100_000))
    spec = await make_spec(first_started=MOMENT + minutes(60))
    with pytest.raises(kind):
        await start(platform, spec)
    assert [n.outcome for n in notes(spec)] == ["refused"]
    await run_there(platform, spec.connection_id)
    with pytest.raises(ActiveRunError):
        await start(platform, spec)


async def test_a_failed_run_is_never_replayed(platform: Platform, make_spec: SpecFactory) -> None:
    """After a run that failed, the same order starts another; so it does where the note already says failed."""
    platform.state.script(SEEDED.plant, Outcome("Error"))
    spec = await make_spec()
    failed = await start(platform, spec)
    await platform.sleep(60)
    second = await start(platform, spec)
    assert second.run_id != failed.run_id
    records_of(spec).note_run(spec.connection_id, second.run_id, "failed")
    await platform.sleep(60)
    assert (await start(platform, spec)).run_id not in {failed.run_id, second.run_id}
    assert platform.created() == 3


async def test_a_strangers_run_is_not_taken_silently(platform: Platform, make_spec: SpecFactory) -> None:
    """With `fail` a run of another connection is an error that names it and the choices, and its note is closed."""
    foreign = await run_there(platform, await connection_on(platform, "theirs"))
    spec = await make_spec()
    with pytest.raises(ActiveRunError, match=f"{foreign}.*on_active_run=wait or adopt"):
        await start(platform, spec)
    assert [n.outcome for n in notes(spec)] == ["refused"]


async def test_a_strangers_run_is_adopted_when_asked_for(platform: Platform, make_spec: SpecFactory) -> None:
    """With `adopt` that run is followed, with a warning that says what is not known; a blob of it cannot be."""
    theirs = await connection_on(platform, "theirs")
    foreign = await run_there(platform, theirs)
    adopt = RunPolicy(on_active_run="adopt")
    run = await start(platform, await make_spec(policy=adopt))
    assert (run.connection_id, run.run_id, run.adopted) == (theirs, foreign, True)
    assert "another changeset" in run.warnings[0]
    with pytest.raises(ActiveRunError, match="USER_BLOB_STORAGE"):
        await start(platform, await make_spec({"output_location": "USER_BLOB_STORAGE"}, policy=adopt))


async def test_a_strangers_run_is_waited_for(platform: Platform, make_spec: SpecFactory) -> None:
    """With `wait` ours is started after the other has ended, even where the other's connection may not be read."""
    foreign = await run_there(platform, await connection_on(platform, "theirs"))
    hidden = platform.state.faults.add(Fault(path=f"/runs/{foreign}", status=403, code="No", count=3))
    spec = await make_spec(policy=RunPolicy(on_active_run="wait"))

    async def pass_time() -> None:
        await until(lambda: hidden.hits == 3)
        await platform.sleep(60)

    run, _ = await asyncio.gather(start(platform, spec), pass_time())
    assert (run.connection_id, run.adopted) == (spec.connection_id, False)
    assert run.run_id != foreign
    assert platform.created() == 2


async def test_a_strangers_run_is_waited_for_without_a_process(platform: Platform, make_spec: SpecFactory) -> None:
    """Where a process is not to wait longer, the start says which run is waited for, until our own deadline."""
    connection = await connection_on(platform, "theirs")
    foreign = await run_there(platform, connection)
    spec = await make_spec(policy=RunPolicy(on_active_run="wait", timeout=minutes(60)))
    wait = await replace(starter_for(platform, spec), longest=timedelta(0)).start()
    assert isinstance(wait, ReleasedWait)
    assert (wait.connection_id, wait.export_id, wait.is_foreign) == (connection, foreign, True)
    assert (wait.changeset_id, wait.deadline) == (OURS, MOMENT + minutes(60))
    await platform.sleep(60)
    assert (await start(platform, spec)).run_id != foreign


async def test_the_wait_for_a_strangers_run_has_the_deadline_too(platform: Platform, make_spec: SpecFactory) -> None:
    """A run that holds the iModel beyond our deadline is told as such, and ours is not started."""
    platform.state.options.run_seconds = 10_000
    foreign = await run_there(platform, await connection_on(platform, "theirs"))
    spec = await make_spec(policy=RunPolicy(on_active_run="wait", timeout=minutes(60)))

    async def pass_time() -> None:
        await until(lambda: platform.count("GET", foreign) > 0)
        await platform.sleep(3700)

    with pytest.raises(ExportTimeoutError, match=f"still had the active export run {foreign} after 60 minutes"):
        await asyncio.gather(start(platform, spec), pass_time())
    assert platform.created() == 1


async def test_the_blob_is_the_same_in_every_attempt(platform: Platform, make_spec: SpecFactory) -> None:
    """A retry writes to and reads from one blob; another flow run, changeset or option has another."""
    blob = {"output_location": "USER_BLOB_STORAGE"}
    spec = await make_spec(blob)
    run = await start(platform, spec)
    assert run.blob_name == spec.blob_name
    assert (await start(platform, spec)).blob_name == run.blob_name
    others = [
        spec.model_copy(update={"asked_by": "another"}),
        spec.model_copy(update={"changeset_id": OLDER}),
        await make_spec({**blob, "ifc_version": "IFC2x3"}, connection_id=spec.connection_id),
    ]
    assert len({run.blob_name, *(other.blob_name for other in others)}) == 4


async def test_no_note_and_no_result_holds_a_signature(platform: Platform, make_spec: SpecFactory) -> None:
    """The SAS goes to the platform, and neither into the notes nor into what start_run returns."""
    spec = await make_spec({"output_location": "USER_BLOB_STORAGE"})
    run = await start(platform, spec)
    assert "sig=" in last_run(platform).request["outputOptions"]["outputSasUrl"]
    written = "".join(path.read_text() for path in spec.request.state_dir.root.rglob("*.json"))
    assert "model.ifc" in written
    assert "sig=" not in written + run.model_dump_json()


async def test_a_connection_that_is_not_ours_any_more_is_not_used(platform: Platform, make_spec: SpecFactory) -> None:
    """An id that now names somebody else's connection counts as a connection that is gone."""
    spec = await make_spec(connection_id=await connection_on(platform, "theirs"))
    with pytest.raises(NotFoundError, match="“theirs”, which is not ours"):
        await start(platform, spec)
    assert not list(platform.state.runs)


async def test_a_new_run_says_why_the_last_one_does_not_serve(
    platform: Platform, make_spec: SpecFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """After a run whose file was lost one new run is started, and the log names both and the reason."""
    caplog.set_level("INFO")
    spec = await make_spec()
    lost = await start(platform, spec)
    await platform.sleep(60)
    records_of(spec).note_run(spec.connection_id, lost.run_id, "failed", reason="Its file is gone.")
    new = await start(platform, spec)
    assert new.run_id != lost.run_id
    assert f"{new.run_id}, because export run {lost.run_id} cannot serve any more. Its file is gone." in caplog.text
    assert (await start(platform, spec)).run_id == new.run_id
    assert len(list(platform.state.runs)) == 2
