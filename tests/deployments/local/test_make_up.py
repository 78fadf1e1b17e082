"""From `make up` to green runs, however they are started, to `make down`."""

import json
import os
import re
import sqlite3
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet
from playwright.sync_api import Page, sync_playwright

from deployments.sandbox.state.seed import SEEDED
from tests.chromium import ARTEFACTS, CHROMIUM, SWITCHES
from tests.deployments.local.stack import QUICK_WORKER, LocalMachine, clean_environment, wait_for
from tests.deployments.webhooks.deliveries import delivery
from tests.other_user import answers_to, attempts


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Generator[LocalMachine]:
    """Server, worker, receiver and stand-in platform, as `make up` starts them for somebody without credentials."""
    folder = tmp_path_factory.mktemp("machine")
    exports = folder / "exports"
    # The server looks for new schedules every minute; the test should not wait for that.
    quick = {"PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5"} | QUICK_WORKER
    down = LocalMachine(folder / "state", clean_environment(ITWIN_OUTPUT_DIR=str(exports), **quick))
    up = replace(down, printed=down.make("up", "PORT=0"))
    for name in ("watch-imodels/every-ten-minutes", "export-ifc/nightly", "export-itwin/nightly"):
        deployment = up.deployment(name)
        (schedule,) = deployment["schedules"]
        # Else the clock on the wall could start exports in the middle of a test.
        up.ask("PATCH", f"/deployments/{deployment['id']}/schedules/{schedule['id']}", {"active": False})
    yield up
    down.make("down")


@pytest.fixture
def page() -> Generator[Page]:
    """A person's browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(300_000)
        yield page
        browser.close()


def test_every_deployment_is_there(stack: LocalMachine) -> None:
    """The server knows each deployment of prefect.yaml, with its limit, its schedule and its trigger."""
    nightly, on_changes = stack.deployment("export-ifc/nightly"), stack.deployment("export-ifc/on-changes")
    assert nightly["parameters"] == {"imodel_id": SEEDED.plant}
    assert nightly["global_concurrency_limit"]["limit"] == 1
    assert nightly["schedules"][0]["schedule"]["timezone"] == "Europe/Berlin"
    automations = stack.ask("POST", "/automations/filter", {})
    (trigger,) = [one for one in automations if one["actions"][0]["type"] == "run-deployment"]
    assert trigger["actions"][0]["deployment_id"] == on_changes["id"]
    assert stack.deployment("export-ifc/on-demand")["pull_steps"] == [{"deployments.pull.enter_project": {}}]


def test_up_again_changes_nothing(stack: LocalMachine) -> None:
    """Where everything runs, `make up` says so and starts nothing."""
    before = {process.pid for process in stack.processes()}
    assert stack.url in stack.make("up")
    assert before <= {process.pid for process in stack.processes()}


def test_another_user_gets_nothing(stack: LocalMachine) -> None:
    """Another user reads, changes and starts nothing through the server; neither does a page of another origin."""
    for status, body in answers_to(*attempts(stack.url)):
        assert (status, body) in {(401, '{"exception_message":"Unauthorized"}'), (400, "Invalid host header")}
    no_headers: dict[str, str] = {}
    push = ("POST", f"{stack.sandbox}/sandbox/imodels/{SEEDED.bridge}/changesets", no_headers, {"count": 1})
    assert [status for status, _ in answers_to(push)] == [401]
    preflight = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    refused = httpx.options(f"{stack.url}/api/flow_runs/filter", headers=preflight, timeout=60)
    assert (refused.status_code, refused.headers.get("access-control-allow-origin")) == (400, None)
    own = httpx.options(f"{stack.url}/api/flow_runs/filter", headers=preflight | {"Origin": stack.url}, timeout=60)
    assert (own.status_code, own.headers.get("access-control-allow-origin")) == (200, stack.url)


def test_the_state_folder_is_private(stack: LocalMachine) -> None:
    """Passwords, database and logs are for the owner only, and the database is without the key of its blocks."""
    assert (stack.state / "client.env").stat().st_mode & 0o777 == 0o600
    assert stack.client_environment["PREFECT_API_URL"] == f"{stack.url}/api"
    assert (stack.state / "encryption.key").stat().st_mode & 0o777 == 0o600
    assert stack.state.stat().st_mode & 0o066 == 0
    exposed = [entry.name for entry in os.scandir(stack.state) if entry.is_file() and entry.stat().st_mode & 0o077]
    assert set(exposed) <= {"address", "processes.json"}
    assert (stack.state / "prefect").stat().st_mode & 0o077 == 0
    with closing(sqlite3.connect(stack.state / "prefect" / "prefect.db")) as database:
        assert database.execute("SELECT count(*) FROM configuration WHERE key = 'ENCRYPTION_KEY'").fetchone() == (0,)
        (encrypted,) = database.execute(
            "SELECT data FROM block_document WHERE name = 'default' AND block_type_name = 'iTwin Credentials'"
        ).fetchone()
    key = Fernet((stack.state / "encryption.key").read_bytes())
    assert "sandbox-service" in key.decrypt(json.loads(encrypted)).decode()


def test_secrets_are_neither_printed_nor_logged(stack: LocalMachine) -> None:
    """The sandbox's client secret and account key stand in no output and no log of what was started."""
    logs = "".join(file.read_text() for file in stack.state.glob("*.log"))
    assert "saved “default”" in stack.printed
    for secret in ("sandbox-secret", "c2FuZGJveC1ibG9iLWFjY291bnQta2V5LTAxMjM0NTY3ODk="):
        assert secret not in stack.printed
        assert secret not in logs.replace((stack.state / "sandbox.log").read_text(), "")


def test_a_command_starts_an_export(stack: LocalMachine) -> None:
    """`prefect deployment run` ends in a published IFC file."""
    stack.prefect("deployment", "run", "export-ifc/on-demand", "-p", f"imodel_id={SEEDED.baseline}", "--watch")
    run = stack.finished("export-ifc/on-demand")
    assert run["state_type"] == "COMPLETED"
    exports = Path(stack.environment["ITWIN_OUTPUT_DIR"])
    assert list((exports / SEEDED.baseline / "ifc").glob("*.ifc"))


def test_the_schedule_starts_an_export(stack: LocalMachine) -> None:
    """When its time comes, the nightly deployment exports the iModel it was given."""
    deployment = stack.deployment("export-ifc/nightly")
    soon = datetime.now(UTC) + timedelta(seconds=10)
    schedule = {"interval": 3600.0, "anchor_date": soon.isoformat(), "timezone": "UTC"}
    body = [{"schedule": schedule, "active": True, "slug": "soon"}]
    stack.ask("POST", f"/deployments/{deployment['id']}/schedules", body)
    run = stack.finished("export-ifc/nightly")
    assert (run["state_type"], run["auto_scheduled"]) == ("COMPLETED", True)
    assert len(stack.exports_of(SEEDED.plant)) == 1


def test_a_failed_nightly_run_is_told(stack: LocalMachine) -> None:
    """Within a minute after a scheduled run has failed, one notice says which, why, and where its page is."""
    (made,) = stack.control("POST", "imodels", {"name": "Ruin", "changesets": 1})["imodels"]
    failing = {"imodelId": made["id"], "outcomes": [{"task_result": "Error"}], "always": True}
    stack.control("POST", "outcomes", failing)
    deployment = stack.deployment("export-ifc/nightly")
    body = {"parameters": {"imodel_id": made["id"]}, "state": {"type": "SCHEDULED"}}
    run = stack.ask("POST", f"/deployments/{deployment['id']}/create_flow_run", body)["id"]
    ended = wait_for(lambda: _ended_at(stack, run), "the failed run")
    file = stack.state / "notices.jsonl"
    notices = wait_for(lambda: file.read_text().splitlines() if file.exists() else None, "a notice")
    (notice,) = [json.loads(line) for line in notices]
    assert (datetime.fromisoformat(notice["at"]) - ended).total_seconds() < 60
    assert notice["subject"] == "export-ifc/nightly: Failed"
    assert made["id"] in notice["body"]
    assert "TAE_BRW_1000" in notice["body"]
    assert f"{stack.url}/runs/flow-run/{run}" in notice["body"]
    assert "Failed" in httpx.get(stack.notices, timeout=60).text
    assert httpx.get(f"{stack.notices}x", timeout=60).status_code == 404


def test_ten_pushes_start_one_export_of_the_newest(stack: LocalMachine) -> None:
    """Signed webhooks of ten pushes become one event, one run, and one export of the newest changeset."""
    (made,) = stack.control("POST", "imodels", {"name": "Depot", "changesets": 1})["imodels"]
    pushed = stack.control("POST", f"imodels/{made['id']}/changesets", {"count": 10})
    run = stack.finished("export-ifc/on-changes", made["id"])
    assert run["state_type"] == "COMPLETED"
    (export,) = stack.exports_of(made["id"])
    assert export["changesetId"] == pushed["changesets"][-1]["id"]
    deliveries = stack.control("GET", "state")["deliveries"]
    assert [delivered["statuses"] for delivered in deliveries] == [[200]] * 10


def test_a_named_version_starts_the_export_of_its_changeset(stack: LocalMachine) -> None:
    """A version of changeset 3 of 5 starts the export of changeset 3, and its manifest names the version."""
    (made,) = stack.control("POST", "imodels", {"name": "Tower", "changesets": 5})["imodels"]
    named = stack.control("POST", f"imodels/{made['id']}/versions", {"name": "Issued", "index": 3})
    (export,) = wait_for(lambda: stack.exports_of(made["id"]) or None, "an export of the version")
    assert export["changesetId"] == named["changesetId"]
    file = Path(stack.environment["ITWIN_OUTPUT_DIR"]) / made["id"] / "ifc" / "manifest.json"
    manifest = json.loads(wait_for(lambda: file.read_text() if file.exists() else None, "the published export"))
    assert (manifest["changeset_id"], manifest["changeset_index"]) == (named["changesetId"], 3)
    assert (manifest["named_version"]["id"], manifest["named_version"]["name"]) == (named["id"], "Issued")


def test_a_forged_webhook_starts_nothing(stack: LocalMachine) -> None:
    """Over HTTP too, a wrong signature is refused and logged without the body."""
    answer = httpx.post(stack.receiver, content=delivery(), headers={"Signature": "sha256=" + "0" * 64}, timeout=60)
    log = (stack.state / "webhooks.log").read_text()
    assert answer.status_code == 401
    assert "Refused a delivery from 127.0.0.1 with 401: the signature is not that of the body." in log
    assert "private-words" not in log


def test_a_person_exports_with_the_form(stack: LocalMachine, page: Page) -> None:
    """In the browser: sign in, submit the form, see the run complete, and find its files among the artifacts."""
    ARTEFACTS.mkdir(exist_ok=True)
    _sign_in(page, stack)
    deployment = stack.deployment("export-ifc/on-demand")["id"]
    page.goto(f"{stack.url}/deployments/deployment/{deployment}/run")
    _field(page, "iModel").fill(SEEDED.stadium)
    _choose(page, "IFC version (Optional)", "IFC2x3")
    page.wait_for_timeout(500)  # for the picture only: the page fades in
    page.screenshot(path=ARTEFACTS / "form.png")
    with page.expect_response("**/create_flow_run") as created:
        page.get_by_role("button", name="Submit").dispatch_event("click")
    assert created.value.status == 201, created.value.text()
    run_id = created.value.json()["id"]
    page.goto(f"{stack.url}/runs/flow-run/{run_id}")
    page.get_by_text("Completed", exact=True).first.wait_for()
    page.screenshot(path=ARTEFACTS / "run.png")
    run = stack.ask("GET", f"/flow_runs/{run_id}")
    assert (run["state_type"], run["parameters"]["ifc_version"]) == ("COMPLETED", "IFC2x3")
    _open_artifact(page, stack, run_id)
    page.get_by_text("Stadium.ifc").first.wait_for()
    page.screenshot(path=ARTEFACTS / "artifact.png", full_page=True)


def test_nobody_is_told_that_the_database_is_busy(stack: LocalMachine) -> None:
    """Of twenty flow runs submitted by ten clients at once, who ask once as a browser does, each is taken."""
    deployment = stack.deployment("export-ifc/on-demand")["id"]
    far = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    asked = {"parameters": {"imodel_id": SEEDED.plant}, "state": far}
    password = httpx.BasicAuth(*stack.client_environment["PREFECT_API_AUTH_STRING"].split(":", 1))

    def submit(_: int) -> httpx.Response:
        url = f"{stack.url}/api/deployments/{deployment}/create_flow_run"
        return httpx.post(url, json=asked, auth=password, timeout=120)

    with ThreadPoolExecutor(10) as clients:
        answers = list(clients.map(submit, range(20)))
    assert [(answer.status_code, answer.text) for answer in answers if answer.status_code != 201] == []
    for answer in answers:
        stack.ask("DELETE", f"/flow_runs/{answer.json()['id']}")


def test_down_leaves_no_process(stack: LocalMachine) -> None:
    """`make down` ends every process, also a worker in the middle of a run, and a second one finds nothing."""
    before = len(stack.exports_of(SEEDED.plant))
    slow = {"run_seconds": 3600}
    stack.control("PATCH", f"imodels/{SEEDED.plant}", slow)
    asked = json.dumps({"imodel_id": SEEDED.plant, "ifc_version": "IFC2x3"})
    stack.prefect("deployment", "run", "export-ifc/on-demand", "--params", asked)
    wait_for(lambda: stack.exports_of(SEEDED.plant)[before:] or None, "a run in the middle")
    assert len(stack.processes()) >= 5
    assert "worker" in stack.make("down")
    assert not stack.processes()
    assert "Nothing was running." in stack.make("down")


def _ended_at(stack: LocalMachine, run: str) -> datetime | None:
    found = stack.ask("GET", f"/flow_runs/{run}")
    return datetime.fromisoformat(found["end_time"]) if found["state_type"] == "FAILED" else None


def _sign_in(page: Page, stack: LocalMachine) -> None:
    """With the words that `make up` printed."""
    page.goto(stack.url)
    page.get_by_placeholder("admin:pass").fill(stack.sign_in)
    page.get_by_role("button", name="Login").click()
    page.wait_for_url(re.compile(r"^(?!.*/login)"))


def _field(page: Page, label: str):  # noqa: ANN202  Playwright's Locator
    """The text field below a label; the form ties them by place only."""
    return page.locator(f"xpath=//label[normalize-space()='{label}']/ancestor::*[.//textarea][1]//textarea").first


def _choose(page: Page, label: str, value: str) -> None:
    """Pick from a drop-down, with the keyboard."""
    field = f"xpath=//label[normalize-space()='{label}']/ancestor::*[.//button[contains(@class, 'p-select')]][1]"
    page.locator(field).first.locator("button.p-select-button__control").first.focus()
    page.keyboard.press("ArrowDown")
    page.locator(".p-select-option", has_text=re.compile(rf"^\s*{re.escape(value)}\s*$")).first.click()


def _open_artifact(page: Page, stack: LocalMachine, run_id: str) -> None:
    """From the run to what it left for people."""
    wanted = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "type": {"any_": ["markdown"]}}}
    (artifact,) = stack.ask("POST", "/artifacts/filter", wanted)
    page.get_by_text("Artifacts", exact=True).first.click()
    page.screenshot(path=ARTEFACTS / "run-artifacts.png")
    page.goto(f"{stack.url}/artifacts/artifact/{artifact['id']}")
