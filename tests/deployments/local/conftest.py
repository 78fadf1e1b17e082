"""Fixtures of the tests of `make up`."""

from collections.abc import Generator

import pytest

from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.options import Options


@pytest.fixture
def platform() -> Generator[RunningSandbox]:
    """A platform in this process, which shares no disk with the machine and does not sleep with it."""
    with running_sandbox(options=Options(run_seconds=0.3)) as running:
        yield running
