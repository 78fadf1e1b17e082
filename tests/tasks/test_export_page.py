"""The pages of exports as markdown: texts of others have no effect, and a page is bounded whatever is in it."""

import base64
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from blocks.errors import FailedTask, NotAuthorizedError, RunFailedError
from tasks.export_page import PageFacts, ended_page, failure_page, picture_of, success_page
from tasks.export_progress import ExportProgress
from tasks.options import Names
from tasks.pasted_command import FlowRunFacts
from tasks.reports import ExportedFile, ExportReport

HOSTILE = "![x](https://elsewhere.example/p.png) <img src=x onerror=y>\n# `Title` | [a](b)"
SAFE_START = "!\\[x\\](https://elsewhere.example/p.png) \\<img src=x onerror=y\\>"
IMODEL = "11111111-2222-3333-4444-555555555555"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LARGEST_PAGE = 100_000


def report_of(**more: object) -> ExportReport:
    known: dict[str, object] = {
        "imodel_id": IMODEL,
        "changeset_id": "a" * 40,
        "format": "ifc",
        "result": "Success",
        "output_dir": "/exports",
        "started_at": NOON,
        "finished_at": NOON,
    }
    return ExportReport.model_validate(known | more)


def facts_of(name: str = "Plant A", **more: object) -> PageFacts:
    progress = ExportProgress("ifc", IMODEL, names=Names(imodel=name, itwin_id="itwin-1"), changeset_id="a" * 40)
    for attribute, value in more.items():
        setattr(progress, attribute, value)
    return PageFacts(progress, FlowRunFacts("flow-run-1", f"itwin-export ifc {IMODEL}"))


def test_texts_of_others_have_no_effect() -> None:
    """A name, a warning, a file name, an error and a state with markup are shown as they are, on one line."""
    file = ExportedFile(path=HOSTILE, role="model", size=1, sha256="b" * 64)
    published = success_page(report_of(imodel_name=HOSTILE, warnings=(HOSTILE,), files=(file,)), facts_of(HOSTILE))
    failed = failure_page(RunFailedError(HOSTILE, (FailedTask(HOSTILE, HOSTILE, HOSTILE),)), facts_of(HOSTILE))
    ended = ended_page(HOSTILE, facts_of(HOSTILE))
    for whole in (published, failed, ended):
        assert SAFE_START in whole
        page = re.sub(r"(?<!\\)`[^`\n]*`|^    .*$", "", whole, flags=re.MULTILINE)  # in code nothing has an effect
        assert "![x]" not in page.replace("!\\[x", "")
        assert all(not line.startswith("# `Title`") for line in page.splitlines())
        assert " <img" not in page


def test_an_address_without_its_query_is_no_link() -> None:
    """The UI makes a link of every address, and one whose query was cut would lead elsewhere."""
    failed = RunFailedError("See https://vendor.example/kb?… or https://vendor.example/help.")
    assert "> See `https://vendor.example/kb?…` or https://vendor.example/help." in failure_page(failed, facts_of())


def test_a_page_is_bounded() -> None:
    """Thousands of files, warnings and failed tasks with long texts give a page of less than 100 kB."""
    files = tuple(ExportedFile(path="f" * 5000, role="model", size=1, sha256="b" * 64) for _ in range(5000))
    published = success_page(report_of(files=files, warnings=("w" * 5000,) * 5000), facts_of("n" * 9000))
    tasks = tuple(FailedTask("t" * 5000, "Error", description="d" * 5000) for _ in range(5000))
    failed = failure_page(RunFailedError("e" * 9000, tasks), facts_of("n" * 9000))
    assert max(len(published), len(failed)) < LARGEST_PAGE
    assert "… and 4950 more." in published
    assert "… and 4980 more." in failed


def test_the_heading_leads_to_the_platform() -> None:
    """The name of the iModel is a link where the address of the platform's web page is known, and no link elsewhere."""
    linked = success_page(report_of(changeset_index=7), facts_of(api_url="https://api.bentley.com/"))
    address = f"https://developer.bentley.com/my-itwins/itwin-1/{IMODEL}/view"
    assert linked.startswith(f"# [Plant A]({address}), changeset 7\n")
    assert success_page(report_of(), facts_of(api_url="http://127.0.0.1:1")).startswith("# Plant A, ")


def test_times_are_in_the_order_of_the_steps() -> None:
    """Each step has its beginning and its length; times that cannot be right have none."""
    progress = facts_of().progress
    progress.began = {"preparing": NOON, "waiting": NOON + timedelta(seconds=5)}
    progress.note_run_times(NOON, NOON + timedelta(seconds=60), NOON - timedelta(hours=1))
    page = failure_page(NotAuthorizedError("no"), PageFacts(progress))
    assert "| Prepared | 12:00:00 | 5.0 s |" in page
    assert "| Waited for the run | 12:00:00 | 1 min 00 s |" in page
    assert "| Ran at the platform | 12:01:00 |  |" in page


@pytest.mark.parametrize(("can_fix", "advice"), [(True, "Correct what is said above"), (None, "Export again")])
def test_the_next_step_depends_on_who_can_correct_it(can_fix: bool | None, advice: str) -> None:
    """Before the command stands what to do first, as the platform's `canUserFix` says."""
    page = failure_page(RunFailedError("It failed.", (FailedTask("1", "Error", can_user_fix=can_fix),)), facts_of())
    assert advice in page
    assert f"\n    itwin-export ifc {IMODEL}\n" in page


def test_a_rejection_says_what_to_do() -> None:
    """The page of a rejected export has the command that checks it again, that of an accepted one has none."""
    rejected = success_page(report_of(verdict="rejected"), facts_of())
    assert "## What to do" in rejected
    assert f"\n    itwin-export ifc {IMODEL}\n" in rejected
    assert "## What to do" not in success_page(report_of(verdict="accepted"), facts_of())


def test_the_time_of_a_picture_is_told() -> None:
    """Where a picture was drawn, the time of the checks is said to contain it."""
    began = facts_of(began={"preparing": NOON, "checking": NOON, "publishing": NOON + timedelta(seconds=8)})
    assert "| Checked | 12:00:00 | 8.0 s | with the picture |" in success_page(report_of(preview="preview.png"), began)
    assert "with the picture" not in success_page(report_of(), began)


def test_a_fault_of_the_program_is_named() -> None:
    """An unexpected exception gives a page with its class and without a stack."""
    page = failure_page(KeyError("sought"), facts_of())
    assert "KeyError" in page
    assert "fault of the program" in page


def test_the_picture_is_in_the_page(tmp_path: Path) -> None:
    """A picture stands in the page, with what it lacks; where there is none, the reason does; no other file does."""
    picture = b"\x89PNG\r\n\x1a\n rest"
    (tmp_path / "preview.png").write_bytes(picture)
    (tmp_path / "other.png").write_text("<svg/>")
    drawn = picture_of(report_of(output_dir=str(tmp_path), preview="preview.png"))
    assert drawn == f"![The exported model](data:image/png;base64,{base64.b64encode(picture).decode()})"
    assert drawn in success_page(report_of(), replace(facts_of(), picture=drawn))
    partly = report_of(output_dir=str(tmp_path), preview="preview.png", preview_reason="it is without 2 tiles (vctr)")
    assert picture_of(partly) == f"{drawn}\n\nThe picture is not complete: it is without 2 tiles (vctr)"
    reason = report_of(output_dir=str(tmp_path), preview_reason="It took longer than 30 s.")
    assert picture_of(reason) == "No picture: It took longer than 30 s."
    for name in ("other.png", "missing.png"):
        assert picture_of(report_of(output_dir=str(tmp_path), preview=name)) == ""


def test_an_ended_flow_run_says_what_goes_on() -> None:
    """The page of a cancelled flow run names the state, what the platform still does, and the command."""
    page = ended_page("was cancelled", PageFacts(facts_of().progress, going_on="Export run r goes on."))
    assert "The flow run was cancelled." in page
    assert "Export run r goes on." in page
