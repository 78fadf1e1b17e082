"""Pictures of the Prefect UI after real runs, classic and V2, for people to read; they are kept in tests/artefacts."""

import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from deployments.sandbox.state.seed import SEEDED
from tests.chromium import ARTEFACTS, CHROMIUM, SWITCHES
from tests.deployments.local.stack import QUICK_WORKER, LocalMachine, clean_environment, wait_for

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(900)]

UIS = {"classic": "", "v2": "/v2"}
HOUR = 3600
FAILURE = {
    "result": "Error",
    "error": {
        "phase": "Translate",
        "description": "The category “Walls” has no mapping.",
        "canUserFix": True,
        "kbArticleLink": "https://bentleysystems.service-now.com/community?id=kb_article_view&sysparm_article=KB0012345",
    },
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalMachine]:
    """Server, worker and stand-in platform, as `make up` starts them."""
    folder = tmp_path_factory.mktemp("machine")
    drawn = {"ITWIN_OUTPUT_DIR": str(folder / "exports"), "ITWIN_PREVIEW": "on"}
    down = LocalMachine(folder / "state", clean_environment(**QUICK_WORKER | drawn))
    up = replace(down, printed=down.make("up", "PORT=0"))
    up.control("PATCH", "options", {"run_seconds": 3})
    yield up
    down.make("down")


@pytest.fixture(scope="module")
def page(stack: LocalMachine) -> Generator[Page]:
    """A person's browser, signed in; made last, since Playwright leaves an event loop running."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page(viewport={"width": 1280, "height": 1800})
        page.set_default_timeout(300_000)
        page.goto(stack.url)
        page.get_by_placeholder("admin:pass").fill(stack.sign_in)
        page.get_by_role("button", name="Login").click()
        page.wait_for_url(re.compile(r"^(?!.*/login)"))
        yield page
        browser.close()


def start(stack: LocalMachine, name: str, **parameters: Any) -> str:
    """Create a flow run of a deployment; its id."""
    deployment = stack.deployment(name)["id"]
    asked = {"parameters": parameters}
    return stack.ask("POST", f"/deployments/{deployment}/create_flow_run", asked)["id"]


def ended(stack: LocalMachine, run_id: str) -> str:
    """The state of a flow run once it has ended."""

    def look() -> str | None:
        state = stack.ask("GET", f"/flow_runs/{run_id}")["state_type"]
        return state if state in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"} else None

    return wait_for(look, "the end of the flow run")


def artifact(stack: LocalMachine, run_id: str, kind: str = "markdown") -> dict[str, Any]:
    """The page of a flow run, or its progress artifact, once it is there."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": [kind]}}}
    (found,) = wait_for(lambda: stack.ask("POST", "/artifacts/filter", wanted) or None, f"the {kind}")
    return found


def begun_progress(stack: LocalMachine, run_id: str, above: float = 0) -> dict[str, Any] | None:
    """The progress artifact of a flow run once its percentage is higher than `above`; None before."""
    found = artifact(stack, run_id, "progress")
    return found if float(found["data"]) > above else None


def pictures(page: Page, stack: LocalMachine, name: str, path: str, *texts: str) -> None:
    """Take a picture in both UIs once these texts are shown."""
    ARTEFACTS.mkdir(exist_ok=True)
    for ui, base in UIS.items():
        page.goto(f"{stack.url}{base}{path}")
        for text in texts:
            page.get_by_text(text).first.wait_for()
        page.wait_for_timeout(1000)  # for the picture only: pages fade in
        page.screenshot(path=ARTEFACTS / f"{name}-{ui}.png")


def test_a_success(stack: LocalMachine, page: Page) -> None:
    """The page of a published export shows name, version, files and times in both UIs."""
    run_id = start(stack, "export-ifc/on-demand", imodel_id=SEEDED.plant, named_version="latest")
    assert ended(stack, run_id) == "COMPLETED"
    found = artifact(stack, run_id)
    path = f"/artifacts/artifact/{found['id']}"
    pictures(
        page, stack, "page-success", path, "Plant A, Issued for construction", "Plant A.ifc", "Ran at the platform"
    )
    assert "![The exported model](data:image/png;base64," in found["data"]
    assert Path(found["data"].split("itwin-export view ")[1].splitlines()[0]).is_dir()


def test_a_failure_of_the_platform(stack: LocalMachine, page: Page) -> None:
    """The page of a failure shows what failed, whether it can be corrected, and the command to run next."""
    stack.control("POST", "outcomes", {"imodelId": SEEDED.stadium, "outcomes": [FAILURE]})
    run_id = start(stack, "export-ifc/on-demand", imodel_id=SEEDED.stadium)
    assert ended(stack, run_id) == "FAILED"
    path = f"/artifacts/artifact/{artifact(stack, run_id)['id']}"
    texts = (
        "The category “Walls” has no mapping.",
        "Read more in the knowledge base",
        f"itwin-export ifc {SEEDED.stadium}",
    )
    pictures(page, stack, "page-failure", path, *texts)


def test_a_rejection(stack: LocalMachine, page: Page, tmp_path: Path) -> None:
    """The page of a rejected export shows each rule with its limit and what was measured."""
    rules = tmp_path / "rules.toml"
    rules.write_text(
        "[ifc]\nmin_elements = 500\nmin_storeys = 1\ngeoreference = 'required'\nunique_global_ids = true\n"
    )
    run_id = start(stack, "export-ifc/on-demand", imodel_id=SEEDED.baseline, acceptance=str(rules))
    assert ended(stack, run_id) == "FAILED"
    path = f"/artifacts/artifact/{artifact(stack, run_id)['id']}"
    pictures(page, stack, "page-rejected", path, "rejected by the acceptance rules", "min_elements", "What to do")


def test_progress_and_cancellation(stack: LocalMachine, page: Page) -> None:
    """Half way there is a percentage with a sentence; after a cancellation the page says what goes on."""
    stack.control("PATCH", f"imodels/{SEEDED.bridge}", {"run_seconds": 60})
    run_id = start(stack, "export-ifc/on-demand", imodel_id=SEEDED.bridge)
    found = wait_for(lambda: begun_progress(stack, run_id), "progress")
    pictures(page, stack, "progress", f"/artifacts/artifact/{found['id']}", "Bridge: at the platform")
    stack.ask("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    assert ended(stack, run_id) == "CANCELLED"
    path = f"/artifacts/artifact/{artifact(stack, run_id)['id']}"
    pictures(page, stack, "page-cancelled", path, "goes on at the platform", "To go on from there")


def test_progress_of_a_download(stack: LocalMachine, page: Page) -> None:
    """While tiles are fetched there is a percentage between half and nearly all, with the number of files."""
    stack.control("POST", "faults", {"path": r"\.glb$", "delay": 3, "count": None})
    run_id = start(stack, "export-mesh/on-demand", imodel_id=SEEDED.stadium)
    found = wait_for(lambda: begun_progress(stack, run_id, above=55), "the download")
    pictures(page, stack, "progress-tiles", f"/artifacts/artifact/{found['id']}", "Stadium: fetching")
    assert float(artifact(stack, run_id, "progress")["data"]) < 95
    assert ended(stack, run_id) == "COMPLETED"


def test_a_batch_with_failures(stack: LocalMachine, page: Page) -> None:
    """The page of a batch shows counts, what failed and why, what was exported, and the slowest."""
    itwin = stack.control("POST", "itwins", {"name": "Harbour"})["id"]
    asked = {"name": "Quay", "count": 12, "itwinId": itwin, "changesets": 1, "elements": 20}
    made = stack.control("POST", "imodels", asked)["imodels"]
    for number in (2, 7):
        stack.control("POST", "outcomes", {"imodelId": made[number]["id"], "outcomes": [FAILURE], "always": True})
    run_id = start(stack, "export-itwin/on-demand", itwin_id="Harbour")
    assert ended(stack, run_id) == "FAILED"
    path = f"/artifacts/artifact/{artifact(stack, run_id)['id']}"
    pictures(page, stack, "page-batch", path, "10 exported, 0 skipped, 2 failed", "Quay 0003", "Slowest")


def test_a_batch_that_is_cancelled(stack: LocalMachine, page: Page) -> None:
    """Half way a batch shows 50 %; once it is cancelled its page shows what it published, what goes on, what to run."""
    itwin = stack.control("POST", "itwins", {"name": "Airport"})["id"]
    asked = {"name": "Gate", "count": 6, "itwinId": itwin, "changesets": 1, "elements": 20}
    made = stack.control("POST", "imodels", asked)["imodels"]
    for imodel in made[:3]:
        stack.control("PATCH", f"imodels/{imodel['id']}", {"run_seconds": HOUR})
    run_id = start(stack, "export-itwin/on-demand", itwin_id="Airport")
    wait_for(lambda: artifact(stack, run_id, "progress")["description"].count("3 exported") or None, "three exports")
    half_way = artifact(stack, run_id, "progress")
    assert float(half_way["data"]) == 50
    pictures(page, stack, "progress-batch", f"/artifacts/artifact/{half_way['id']}", "3 exported")
    stack.ask("POST", f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    assert ended(stack, run_id) == "CANCELLED"
    path = f"/artifacts/artifact/{artifact(stack, run_id)['id']}"
    pictures(page, stack, "page-batch-cancelled", path, "3 of 6 exports are published", "goes on at the platform")


def test_the_form(stack: LocalMachine, page: Page) -> None:
    """The form asks for lists without a choice of types, in both UIs."""
    deployment = stack.deployment("export-ifc/on-demand")["id"]
    pictures(page, stack, "form", f"/deployments/deployment/{deployment}/run", "Models (Optional)", "Named version")
    assert not page.get_by_text('Property is type "None"').count()
