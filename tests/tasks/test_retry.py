"""Which failures of a task Prefect repeats."""

from pathlib import Path

import pytest
from prefect import task
from prefect.client.schemas.objects import TaskRun
from prefect.states import exception_to_failed_state

from blocks.errors import ContentError, ExportError, TransientError
from blocks.storage.retry import ThrottledError
from tasks.retry import is_transient
from tests.blocks.storage.download.downloading import CONTENT, fetch
from tests.blocks.storage.download.fault_server import FaultServer


@task
def step() -> None:
    """A task that is only asked about."""


async def is_repeated(error: ExportError) -> bool:
    run = TaskRun(task_key="step", dynamic_key="0", flow_run_id=None)
    return await is_transient(step, run, await exception_to_failed_state(error))


@pytest.mark.parametrize(
    ("error", "expected"),
    [(TransientError("later"), True), (ThrottledError("busy"), True), (ContentError("no"), False)],
)
async def test_transient_errors_are_repeated(error: ExportError, expected: bool) -> None:
    """A task is repeated after a transient error and after no other."""
    assert await is_repeated(error) == expected


async def test_a_range_that_used_up_its_attempts_is_not_repeated_by_the_task(tmp_path: Path) -> None:
    """A download that has repeated its requests as often as its policy says fails the task at once."""
    async with FaultServer(CONTENT, every_fault="server error").serve() as server:
        with pytest.raises(ExportError) as caught:
            await fetch(server, tmp_path / "model.ifc")
    assert caught.value.is_transient
    assert not await is_repeated(caught.value)
