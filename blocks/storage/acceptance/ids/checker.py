"""Check an IFC file against IDS documents with ifctester, in a process of its own that has limits."""

import json
import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from blocks.bounds import MIB
from blocks.errors import InputError
from blocks.limited_process import minimal_environment, module_command
from blocks.shared_folder import read_bounded
from blocks.storage.acceptance.ids.models import IdsDocument, IdsReport

LISTED = 100
"""Instances in a table of the reports; all are counted."""
LARGEST_REPORT = 8 * MIB
_BYTES_PER_BYTE = 4
"""Memory that ifcopenshell needs for each byte of a file, at least; measured were 5 and more."""
_EXTRA_SECONDS = 10
_SINGLE_THREAD = {"OMP_NUM_THREADS": "1"}  # each thread reserves memory


class IdsCheckError(Exception):
    """A file could not be checked; the text is the rest of a sentence."""


@dataclass(frozen=True)
class IdsLimits:
    """Limits of the process; `memory` is in MiB."""

    memory: int = 4096
    seconds: int = 900


@dataclass(frozen=True)
class CheckedIfc:
    """What was found in an IFC file: the report, and the same as a page for people."""

    report: IdsReport
    html: bytes


def check_ifc_against(documents: Sequence[IdsDocument], model: Path, limits: IdsLimits) -> CheckedIfc:
    """Check a file; whatever happens to the process is an error, and never a file that passed.

    Raises:
        IdsCheckError: The file is too large, or the process failed or was ended.
    """
    size = model.stat().st_size
    if size * _BYTES_PER_BYTE > limits.memory * MIB:
        raise IdsCheckError(f"{model.name} has {size} bytes, too many to check in {_memory(limits)}")
    with tempfile.TemporaryDirectory(prefix="itwin-export-ids-") as name:
        result = _run(Path(name), documents, model, limits)
        if fault := result.get("fault"):
            raise IdsCheckError(_about_fault(fault, result, limits))
        try:
            report = IdsReport.model_validate({**result, "ifc": model.name})
            html = read_bounded(Path(name, "report.html"), LARGEST_REPORT)
        except (OSError, ValidationError):
            raise IdsCheckError("ifctester left no report") from None
    return CheckedIfc(report, html)


def require_valid(documents: Sequence[IdsDocument], limits: IdsLimits) -> None:
    """Refuse documents that ifctester cannot read, before anything is started.

    Raises:
        InputError: Names the first such document.
    """
    with tempfile.TemporaryDirectory(prefix="itwin-export-ids-") as name:
        try:
            result = _run(Path(name), documents, None, limits)
        except IdsCheckError as error:
            raise InputError(f"The IDS documents cannot be read: {error}. Divide or correct them.") from None
    if result.get("fault"):
        raise InputError(f"{_about_fault(str(result['fault']), result, limits)}. Correct the document.")


def _run(folder: Path, documents: Sequence[IdsDocument], model: Path | None, limits: IdsLimits) -> dict[str, Any]:
    task = {
        "ifc": str(model.absolute()) if model else None,
        "title": model.name if model else "",
        "documents": [_written(folder, number, document) for number, document in enumerate(documents)],
        "folder": str(folder),
        "memory": limits.memory * MIB,
        "seconds": limits.seconds,
        "largest_file": LARGEST_REPORT,
        "listed": LISTED,
        "parent": os.getpid(),
    }
    path = folder / "task.json"
    path.write_text(json.dumps(task), "utf-8")
    _wait_for(path, limits)
    try:
        return json.loads(read_bounded(folder / "result.json", LARGEST_REPORT))
    except (OSError, ValueError):
        raise IdsCheckError("ifctester left no result") from None


def _written(folder: Path, number: int, document: IdsDocument) -> dict[str, str]:
    path = folder / f"{number}.ids"
    path.write_text(document.text, "utf-8")
    return {"name": document.name, "path": str(path)}


def _wait_for(task: Path, limits: IdsLimits) -> None:
    command = [*module_command("blocks.storage.acceptance.ids.worker"), str(task)]
    environment = minimal_environment(_SINGLE_THREAD)
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdin=quiet, stdout=quiet, stderr=quiet) as process:  # noqa: S603
        try:
            code = process.wait(limits.seconds + _EXTRA_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise IdsCheckError(_too_slow(limits)) from None
        except BaseException:
            process.kill()
            raise
    if code:
        raise IdsCheckError(_about_end(code, limits))


def _about_end(code: int, limits: IdsLimits) -> str:
    name = signal.Signals(-code).name if -code in list(signal.Signals) else f"code {code}"
    if name == "SIGXCPU":
        return _too_slow(limits)
    return f"ifctester ended with {name} before it was done, as it does where it needs more than {_memory(limits)}"


def _about_fault(fault: str, result: dict[str, Any], limits: IdsLimits) -> str:
    reason = str(result.get("reason", "")).rstrip(".")
    match fault:
        case "memory":
            return f"ifctester needs more than {_memory(limits)}"
        case "document":
            return f"the IDS document {result['document']} is invalid: {reason}"
        case _:
            return f"ifcopenshell cannot read the file: {reason}"


def _too_slow(limits: IdsLimits) -> str:
    return f"ifctester took longer than {limits.seconds} s (ITWIN_IDS_SECONDS)"


def _memory(limits: IdsLimits) -> str:
    return f"{limits.memory} MiB of memory (ITWIN_IDS_MEMORY_MB)"
