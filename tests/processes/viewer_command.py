"""The command `itwin-export view`, as a process."""

import os
import re
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager


@contextmanager
def viewing(subject: str, environment: Mapping[str, str]) -> Generator[str]:
    """View a folder or an address until the block ends; yields where the page is served."""
    command = [sys.executable, "-m", "deployments", "view", subject, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert process.stdout
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found
        yield found[0]
        process.terminate()
