"""The stand-in platform in process, and orders placed on it."""

from pathlib import Path
from typing import Any

import pytest

from tasks.ifc.run_spec import RunSpec
from tests.blocks.itwin.conftest import platform
from tests.blocks.itwin.platform import Platform
from tests.tasks.run_specs import SpecFactory, connection_on, request_for, spec_for

__all__ = ["make_spec", "platform"]


@pytest.fixture
def make_spec(platform: Platform, tmp_path: Path) -> SpecFactory:
    """Places an order on a connection of its own; options in `options`."""

    async def made(options: dict[str, Any] | None = None, **changes: Any) -> RunSpec:
        request = request_for(tmp_path, **(options or {}))
        connection_id = changes.pop("connection_id", None) or await connection_on(platform, request.connection_name)
        return spec_for(request, connection_id, **changes)

    return made
