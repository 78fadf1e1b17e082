"""What a terminal shows of names and messages that a platform made up; the command is a real process."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.bombs.server import Answer, Query, serving, whole

ITWIN = "11111111-2222-4333-8444-555555555555"
NAMES = ["\x1b[2J\x1b]0;title\x07", "[red]x[/bold]", "[link=https://evil.example]y", "\u202eevil", "z" * 1_000_000]
PAGE = json.dumps({"iModels": [{"id": f"i{index}", "displayName": name} for index, name in enumerate(NAMES)]})
HALF = PAGE.replace("[red]", r"[red]\ud800")
ERROR = json.dumps({"error": {"code": "[/red]", "message": "\x1b[2J\r\nitwin-export: done" + "x" * 500_000}})
TOKEN = {"access_token": "made-up-token", "expires_in": 3600}


async def end_of(body: bytes, status: str, folder: Path) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of a command that lists the iModels of an iTwin."""

    async def answer(path: str, _query: Query) -> Answer:
        if "imodels" in path:
            yield whole(body).replace(b"200 OK", status.encode())
        else:
            yield whole(json.dumps(TOKEN).encode())

    async with serving(answer) as url:
        environment = {
            "ITWIN_API_URL": url, "ITWIN_ISSUER_URL": url, "ITWIN_CLIENT_ID": "c",
            "ITWIN_CLIENT_SECRET": "made-up-secret",
            "PREFECT_HOME": str(folder), "PATH": os.environ["PATH"], "HOME": str(folder),
        }  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deployments", "list", "imodels", ITWIN,
            env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_names_are_shown_as_they_are_spelled(tmp_path: Path) -> None:
    """Escape codes, markup, turned writing, half a surrogate pair and a megabyte end in a table, legible and cut."""
    code, output, errors = await end_of(HALF.encode(), "200 OK", tmp_path)
    assert (code, errors) == (0, "")
    for spelled in ("\\x1b[2J\\x1b]0;title\\x07", "[red]�x[/bold]", "[link=https://evil.example]y", "\\u202eevil"):
        assert spelled in output
    assert "\x1b" not in output
    assert len(output) < 100_000


async def test_an_error_is_one_legible_sentence(tmp_path: Path) -> None:
    """A message with escape codes, a line of its own and half a megabyte ends in one short line."""
    code, output, errors = await end_of(ERROR.encode(), "400 Bad Request", tmp_path)
    assert (code, output) == (2, "")
    assert errors.startswith("itwin-export: ")
    assert "\\x1b[2J\\x0d itwin-export: donexxx" in errors
    assert "[/red]" in errors
    assert errors.count("\n") == 1
    assert len(errors) < 20_000
