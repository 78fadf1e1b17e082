"""The stand-in platform in process."""

from collections.abc import AsyncGenerator

import pytest

from tests.blocks.itwin.platform import Platform, open_platform


@pytest.fixture
async def platform() -> AsyncGenerator[Platform]:
    """The stand-in platform in process, with time of its own."""
    opened = open_platform()
    yield opened
    await opened.close()
