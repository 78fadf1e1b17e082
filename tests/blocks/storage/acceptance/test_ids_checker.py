"""IFC files checked against IDS documents by ifctester, in a process with limits."""

import re
from pathlib import Path

import pytest
from playwright.async_api import async_playwright

from blocks.errors import InputError
from blocks.storage.acceptance.checks import verdict_of
from blocks.storage.acceptance.ids.checker import IdsCheckError, IdsLimits, check_ifc_against, require_valid
from blocks.storage.acceptance.ids.documents import read_document
from blocks.storage.acceptance.ids.models import IdsDocument, IdsReport
from blocks.storage.acceptance.ids_checks import check_ids_documents
from blocks.storage.acceptance.rules import GivenRules, Rules
from deployments.sandbox.content.ifc import IfcSubject, build_ifc
from tests.benchmarks.ifc_content import write_walls
from tests.blocks.storage.acceptance.ids_texts import FAILING, PASSING, document, specification
from tests.chromium import ARTEFACTS, CHROMIUM, SWITCHES

PASSES = read_document("passing.ids", PASSING.encode())
FAILS = read_document("failing.ids", FAILING.encode())
HOSTILE_NAME = b"<script>document.title=1</script>{{title}}"


def write_model(folder: Path, elements: int) -> Path:
    path = folder / "model.ifc"
    path.write_bytes(build_ifc(IfcSubject("Plant", "0" * 36, "a" * 40, "IFC4.3"), elements))
    return path


def given(*documents: IdsDocument) -> GivenRules:
    return GivenRules(source="x", rules=Rules(ids=tuple(one.name for one in documents)), documents=documents)


def test_each_specification_is_a_check(tmp_path: Path) -> None:
    """Each passes, fails, or is not for the file's version; instances are counted whole and listed in part."""
    model = write_model(tmp_path, 400)
    model.write_bytes(model.read_bytes().replace(b"'Slab 1'", b"'" + HOSTILE_NAME + b"'"))
    found = check_ids_documents(given(PASSES, FAILS), [model])
    assert [(check.rule, check.result, check.limit, check.measured, check.note) for check in found.checks] == [
        (
            "ids.failing.ids: Slabs have a fire rating",
            "failed",
            "optional",
            "133 of 133 fail",
            "133 times not: FireRating data shall be provided in the dataset Pset_SlabCommon",
        ),
        ("ids.failing.ids: No sites", "failed", "prohibited", "applies to 1", ""),
        ("ids.failing.ids: There are doors", "failed", "required", "applies to 0", ""),
        ("ids.failing.ids: Walls of old files", "not_measured", "required", None, "it is not for IFC4X3_ADD2"),
        ("ids.passing.ids: Walls have names", "passed", "required", "0 of 134 fail", ""),
        ("ids.failing.ids: Walls have names", "passed", "required", "0 of 134 fail", ""),
    ]
    assert found.reports.keys() == {"acceptance.html", "acceptance.json"}
    report = IdsReport.model_validate_json(found.reports["acceptance.json"])
    (requirement,) = report.specifications[2].requirements
    assert (requirement.failed, len(requirement.failures)) == (133, 100)
    assert requirement.failures[0].ifc_class == "IfcSlab"
    assert b"33 more failing elements not shown out of 133" in found.reports["acceptance.html"]
    assert b"34 more passing elements not shown out of 134" in found.reports["acceptance.html"]
    assert HOSTILE_NAME not in found.reports["acceptance.html"]


async def test_the_page_shows_the_same_in_a_browser(tmp_path: Path) -> None:
    """A browser shows title and counts, asks no other host for anything, and runs no script of a name in the file."""
    model = write_model(tmp_path, 30)
    model.write_bytes(model.read_bytes().replace(b"'Slab 1'", b"'" + HOSTILE_NAME + b"'"))
    page_path = tmp_path / "acceptance.html"
    page_path.write_bytes(check_ifc_against([FAILS], model, IdsLimits()).html)
    requests: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = await browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        await page.goto(page_path.as_uri())
        await page.locator("details").nth(1).click()
        text = await page.locator("body").inner_text()
        ARTEFACTS.mkdir(exist_ok=True)
        await page.screenshot(path=ARTEFACTS / "ids-report.png", full_page=True)
        title = await page.title()
        await browser.close()
    assert requests == [page_path.as_uri()]
    assert title == "Agreed"
    assert "Specifications passed: 1 / 5" in text
    assert HOSTILE_NAME.decode() in text


@pytest.fixture(scope="module")
def walls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 20 MB."""
    path = tmp_path_factory.mktemp("walls") / "walls.ifc"
    write_walls(path, 20_000_000)
    return path


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (IdsLimits(memory=10), r"walls.ifc has \d+ bytes, too many to check in 10 MiB of memory"),
        (IdsLimits(memory=100), r"more than 100 MiB of memory"),
        (IdsLimits(memory=280), r"more than 280 MiB of memory"),
        (IdsLimits(seconds=1), r"took longer than 1 s"),
    ],
)
def test_a_process_that_reaches_a_limit_is_an_error(walls: Path, limits: IdsLimits, words: str) -> None:
    """Too large a file, and a process that is ended for its memory or time, are errors and say what to raise."""
    with pytest.raises(IdsCheckError, match=rf"{words} \(ITWIN_IDS_"):
        check_ifc_against([PASSES], walls, limits)


def test_what_could_not_be_checked_is_not_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that cannot be read, a limit, or a document for other versions makes the verdict an error."""
    broken = tmp_path / "model.ifc"
    broken.write_text("ISO-10303-21;\nHEADER;\nENDSEC;\nDATA;\n#1=IFCWALL(\n")
    old = read_document("old.ids", document(specification("Old", "IFCWALL", versions="IFC2X3")).encode())
    unreadable = check_ids_documents(given(PASSES), [broken])
    monkeypatch.setenv("ITWIN_IDS_MEMORY_MB", "100")
    limited = check_ids_documents(given(PASSES), [write_model(tmp_path, 3)])
    monkeypatch.delenv("ITWIN_IDS_MEMORY_MB")
    other_version = check_ids_documents(given(old), [tmp_path / "model.ifc"])
    for found, words in (
        (unreadable, "cannot read the file|applies to 0"),
        (limited, "more than 100 MiB"),
        (other_version, "no specification in it is for IFC4X3_ADD2"),
    ):
        assert verdict_of(found.checks) == "error"
        assert any(re.search(words, check.note) for check in found.checks)


def test_an_invalid_document_is_refused_at_once() -> None:
    """A document that does not conform to the schema of IDS is named, before any file is looked at."""
    require_valid([PASSES], IdsLimits())
    wrong = read_document(
        "wrong.ids", PASSING.replace("<applicability ", "<applies ").replace("</applicability>", "</applies>").encode()
    )
    with pytest.raises(InputError, match=r"the IDS document wrong\.ids is invalid: .*applies.*Correct the document"):
        require_valid([PASSES, wrong], IdsLimits())
