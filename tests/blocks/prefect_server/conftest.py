"""The stand-in platform in process."""

from tests.blocks.itwin.conftest import platform

__all__ = ["platform"]
