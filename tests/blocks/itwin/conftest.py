"""Fixtures with the sandbox platform in process."""

from collections.abc import AsyncGenerator

import pytest

from tests.blocks.itwin.platform import Platform, open_platform


@pytest.fixture
async def platform() -> AsyncGenerator[Platform]:
    """The sandbox platform in process, with a manual clock."""
    opened = open_platform()
    yield opened
    await opened.close()
