"""A nightly deployment on the session's server."""

from tests.deployments.cli.test_repair import nightly

__all__ = ["nightly"]
