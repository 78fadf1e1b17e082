"""Another user of the machine, who tries what can be had through loopback and the file system."""

import base64
import json
import os
import stat
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NOBODY = 65534
"""The user that every Linux has and that owns no file."""
_ASK = """
import json, sys, urllib.request, urllib.error
for method, url, headers, body in json.load(sys.stdin):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            print(json.dumps([answer.status, answer.read().decode(errors="replace")]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, error.read().decode(errors="replace")]))
"""
_READ = """
import os, sys
for folder, folders, files in os.walk(sys.argv[1]):
    for name in files:
        try:
            open(os.path.join(folder, name), "rb").close()
        except OSError:
            continue
        print(os.path.join(folder, name))
"""
Question = tuple[str, str, dict[str, str], Any]


@contextmanager
def open_folder() -> Generator[Path]:
    """A folder that every user may enter, unlike pytest's; removed at the end."""
    with tempfile.TemporaryDirectory(prefix="itwin-export-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)


def answers_to(*questions: Question) -> list[tuple[int, str]]:
    """Status and body of each answer that the other user gets."""
    return [tuple(json.loads(line)) for line in _run(_ASK, stdin=json.dumps(questions)).splitlines()]


def files_readable_in(folder: Path) -> set[str]:
    """The files that the other user can open, anywhere in a folder, by their names in it."""
    if os.geteuid():
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if _is_open_to_others(path, folder)}
    return {str(Path(line).relative_to(folder)) for line in _run(_READ, str(folder)).splitlines()}


def _is_open_to_others(path: Path, folder: Path) -> bool:
    """What a user who cannot become another one can tell: the mode of the file and of the folders on the way to it."""
    on_the_way = [parent for parent in path.parents if parent == folder or folder in parent.parents]
    may_enter = all(parent.stat().st_mode & stat.S_IXOTH for parent in on_the_way)
    return path.is_file() and may_enter and bool(path.stat().st_mode & stat.S_IROTH)


def _run(script: str, *arguments: str, stdin: str = "") -> str:
    """Run Python as the other user where we are root; servers cannot tell users apart, so else as ourselves."""
    is_root = os.geteuid() == 0
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", script, *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        cwd="/",
        env={},
        user=NOBODY if is_root else None,
        group=NOBODY if is_root else None,
        extra_groups=[] if is_root else None,
    )
    return done.stdout


def attempts(url: str) -> list[Question]:
    """What somebody would try who wants secrets, a run of their own, or a change."""
    guess = {"Authorization": "Basic " + base64.b64encode(b"prefect:prefect").decode()}
    foreign = {"Host": "elsewhere.example"}
    everything = {"include_secrets": True}
    return [
        ("POST", f"{url}/api/block_documents/filter", {}, everything),
        ("POST", f"{url}/api/block_documents/filter", guess, everything),
        ("GET", f"{url}/api/admin/settings", {}, None),
        ("POST", f"{url}/api/flow_runs/filter", {}, {}),
        ("POST", f"{url}/api/variables/", {}, {"name": "mine", "value": 1}),
        ("DELETE", f"{url}/api/block_types/slug/secret", {}, None),
        ("POST", f"{url}/api/admin/database/clear", {}, {"confirm": True}),
        ("GET", f"{url}/api/health", foreign, None),
    ]
