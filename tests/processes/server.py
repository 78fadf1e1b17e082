"""A real Prefect server and real processes that talk to it."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class PrefectServer:
    """The server of the session, and the home that its clients share."""

    url: str
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """For a process that uses this server, and no setting of the person who runs the tests."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "ITWIN_"))}
        return kept | {
            "PREFECT_HOME": str(self.home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
        }

    def start(
        self, arguments: Sequence[str], extra: Mapping[str, str] | None = None, *, log: str | None = None
    ) -> subprocess.Popen[str]:
        """Start a Python process; both of its streams come through one pipe, or go to a log in the home."""
        if log is not None:
            with (self.home / log).open("wb") as file:
                return self._popen(arguments, extra, file.fileno())
        return self._popen(arguments, extra, subprocess.PIPE)

    def _popen(self, arguments: Sequence[str], extra: Mapping[str, str] | None, output: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            env=self.environment | dict(extra or {}),
            cwd=self.home,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
