"""A real Azurite on loopback: the storage emulator, used as the user's Azure container (`make node`)."""

import base64
import os
import re
import secrets
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.storage.blob import BlobServiceClient

from deployments.node_tools import MODULES, find_node

ENTRY = MODULES / "azurite" / "dist" / "src" / "blob" / "main.js"
ACCOUNT = "itwinexport"
CONTAINER = "exports"
_END_WITH_STDIN = 'data:text/javascript,process.stdin.on("end", () => process.exit()).resume()'
"""For Node: standard input closes when the process that started it is gone, however that ended."""
_LISTENING = re.compile(r"https?://127\.0\.0\.1:\d+")


@dataclass(frozen=True)
class RunningAzurite:
    """An Azurite that serves one account with one container."""

    url: str
    key: str

    @property
    def connection_string(self) -> str:
        """What the Azure SDK connects with."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={self.key};"
            f"BlobEndpoint={self.url}/{ACCOUNT};"
        )

    @property
    def environment(self) -> dict[str, str]:
        """The `ITWIN_*` variables that make it the user's blob storage."""
        return {"ITWIN_BLOB_CONNECTION_STRING": self.connection_string, "ITWIN_BLOB_CONTAINER": CONTAINER}


@contextmanager
def running_azurite() -> Generator[RunningAzurite | None]:
    """Serve from memory for as long as the block lasts; none where Node or the package is absent."""
    node = find_node()
    if node is None or not ENTRY.is_file():
        yield None
        return
    key = base64.b64encode(secrets.token_bytes(64)).decode()
    with azurite_process(node, f"{ACCOUNT}:{key}") as url:
        azurite = RunningAzurite(url, key)
        with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
            service.get_container_client(CONTAINER).create_container()
        yield azurite


@contextmanager
def azurite_process(node: str | Path, account: str, options: Sequence[str] = ()) -> Generator[str]:
    """Run Azurite in memory until the block ends, or until this process does; yields its URL.

    Args:
        node: Path of Node.
        account: Name and key of its account, as `name:key`.
        options: Further options of Azurite.
    """
    command = [str(node), "--import", _END_WITH_STDIN, str(ENTRY), "--blobHost", "127.0.0.1", "--blobPort", "0"]
    process = subprocess.Popen(  # noqa: S603  our own pinned package
        [*command, "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck", "--silent", *options],
        env=os.environ | {"AZURITE_ACCOUNTS": account},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield _address(process)
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _address(process: "subprocess.Popen[str]") -> str:
    """Wait for the line that names the port."""
    for line in process.stdout or ():
        if match := _LISTENING.search(line):
            return match[0]
    raise RuntimeError(f"Azurite ended with exit code {process.wait()} before it listened.")
