"""Whole commands, with Prefect and all they import, meet hosts and files that would fill the memory."""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from tests.bombs.front import bomb_before
from tests.bombs.server import BOMBS, MIB

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]
MOST_MIB = 300
API = r"^/imodels|^/itwins"
"""Paths of the platform that tell of iModels."""
TILES = r"^/(?!connect|\.well|imodels|itwins|mesh|export|storage)"
"""Paths of the platform's storage."""
LIST, IFC, MESH = ("list", "imodels", SEEDED.itwin, "--json"), ("ifc", SEEDED.plant), ("mesh", SEEDED.plant)
HOSTS = {
    "a compressed answer": (API, [LIST, IFC]),
    "an answer without end": (API, [LIST, MESH]),
    "an error without end": (API, [LIST]),
    "a deep answer": (API, [LIST]),
    "a large answer": (API, [LIST, IFC]),
    "a list without end": (API, [LIST, ("itwin", SEEDED.itwin)]),
    "a listing without end": (TILES, [MESH]),
    "a page of a listing without end": (TILES, [MESH]),
    "a tile that declares four gigabytes": (TILES, [MESH]),
    "a large tileset.json": (TILES, [MESH]),
    "documents without end": (TILES, [MESH]),
    "a subtree of a billion tiles": (TILES, [MESH]),
    "subtrees of many tiles": (TILES, [MESH]),
}
"""What each bomb stands in for, and the commands that meet it."""
START = (
    b"ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\nFILE_NAME('','',(''),(''),'','','');\n"
    b"FILE_SCHEMA(('IFC4X3_ADD2'));\nENDSEC;\nDATA;\n"
)
END = b"ENDSEC;\nEND-ISO-10303-21;\n"
FILES: dict[str, Callable[[], bytes]] = {
    "one line of 200 MB": lambda: START + b"#1=IFCPROJECT('" + b"x" * (200 * MIB) + b"');\n" + END,
    "200 MB of brackets": lambda: START + b"#1=IFCSITE(" + b"(" * (200 * MIB) + b");\n" + END,
    "many classes": lambda: START + b"".join(b"#%d=IFC%d($);\n" % (i, i) for i in range(4_000_000)) + END,
    "many walls": lambda: (
        START + b"".join(b"#%d=IFCWALL('%022d',$,$,$,$,$,$,$,$);\n" % (i, i) for i in range(2_000_000)) + END
    ),
    "references of 100 MB": lambda: (
        START + b"#1=IFCRELAGGREGATES($,$,$,$,#2,(" + b"#3," * (33 * MIB) + b"#3));\n" + END
    ),
}
"""IFC files that hold little and are large, as an exporter or a stranger may write them."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    exit_code: int | None
    mib: int
    seconds: float
    sentence: str


async def run(arguments: tuple[str, ...], environment: Mapping[str, str], log: Path) -> Ended:
    """Run a command; its memory is read until it ends, for the highest is kept by the system."""
    started, peak = time.monotonic(), 0
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deployments", *arguments,
            env={**os.environ, **environment}, stdout=asyncio.subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip
    ended = asyncio.ensure_future(process.wait())
    while not ended.done():
        peak = max(peak, peak_mib(process.pid))
        await asyncio.wait([ended], timeout=0.05)
    return Ended(process.returncode, peak, time.monotonic() - started, (log.read_text().splitlines() or [""])[-1])


def peak_mib(pid: int) -> int:
    """The most memory that a process has had so far; 0 if it has just ended."""
    with suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024
    return 0


def note(ended: Ended, record: Callable[[str, object], None]) -> None:
    """Keep the figures in the test's report, and in the log of a run with `-rP`."""
    for name, value in vars(ended).items():
        record(name, value)
    sys.stdout.write(f"{ended.mib} MiB · {ended.seconds:.1f} s · {ended.exit_code} · {ended.sentence[:200]}\n")


@pytest.mark.parametrize(
    ("bomb", "arguments"),
    [(bomb, arguments) for bomb, (_, commands) in HOSTS.items() for arguments in commands],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
async def test_a_command_refuses_a_bomb(
    bomb: str,
    arguments: tuple[str, ...],
    sandbox: RunningSandbox,
    prefect_server: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """The command ends with a sentence, whatever a host sends, and stays below 300 MB."""
    server = {} if arguments == LIST else {"PREFECT_API_URL": prefect_server}
    async with bomb_before(sandbox.url, HOSTS[bomb][0], BOMBS[bomb][1]) as url:
        ended = await run(arguments, {"ITWIN_API_URL": url, **server}, tmp_path / "log")
    note(ended, record_property)
    assert ended.exit_code in {1, 2}
    assert ended.sentence.startswith("itwin-export: ")
    assert ended.mib <= MOST_MIB


@pytest.mark.parametrize("command", ["check", "ifc"])
@pytest.mark.parametrize("name", FILES)
async def test_a_large_file_is_read_in_pieces(
    name: str,
    command: str,
    sandbox: RunningSandbox,
    prefect_server: str,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """An IFC file that holds little and is large is reported or refused, below 300 MB, by check and after an export."""
    content = FILES[name]()
    if command == "check":
        (tmp_path / "model.ifc").write_bytes(content)
        ended = await run(("check", str(tmp_path / "model.ifc")), {}, tmp_path / "log")
    else:
        sandbox.state.script(SEEDED.plant, Outcome(content=content))
        ended = await run(IFC, {"PREFECT_API_URL": prefect_server}, tmp_path / "log")
    note(ended, record_property)
    assert ended.exit_code in {0, 1}
    assert ended.exit_code == 0 or ended.sentence.startswith("itwin-export: ")
    assert ended.mib <= MOST_MIB
