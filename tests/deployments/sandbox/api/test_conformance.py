"""The sandbox against the project's own OpenAPI document."""

# schemathesis publishes its types only in part.
# pyright: basic

from collections.abc import Generator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from deployments.sandbox.clock import Clock
from deployments.sandbox.ids import guid, pair_id
from deployments.sandbox.server import RunningSandbox, running_sandbox
from deployments.sandbox.state.entities import Connection, Outcome, Run
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.seed import SEEDED, seeded_state
from deployments.sandbox.state.webhooks import Webhook
from tests.deployments.sandbox.conftest import SERVICE

CHECKS: list[CheckFunction] = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schema = schemathesis.openapi.from_path(Path(__file__).with_name("itwin-platform.openapi.yaml"))
TAGS = ["Export", "Mesh Export", "Storage", "iModels v2", "iTwins", "Webhooks v2", "OAuth (IMS)"]
covered = schema.include(tag=TAGS)


@pytest.fixture(scope="module")
def sandbox() -> Generator[RunningSandbox]:
    with running_sandbox(seeded_state(Clock())) as box:
        yield box


def _known(sandbox: RunningSandbox, method: str) -> dict[str, str]:
    """A fresh connection with a finished run, and other things that are there."""
    state = sandbox.state
    key = pair_id(SEEDED.plant, guid("known", state.next_number("known")))
    connection = Connection(key, SEEDED.plant, SEEDED.itwin, "known", "Service", SERVICE.subject)
    now = state.clock.now()
    request = {"exportType": "IFC"}
    run = Run(guid("run", key), key, SEEDED.plant, request, Outcome("Error"), now, 1, None, SERVICE.subject, now)
    connection.runs.append(run)
    state.connections[key] = connection
    root = state.itwins[SEEDED.itwin].root_folder_id
    is_folder_change = method in {"PATCH", "DELETE"}
    folder = state.add_folder(SEEDED.itwin, key).id if is_folder_change else root
    file = state.add_file(root, f"{key}.txt", b"known")
    return {
        "connectionId": key,
        "runId": run.id,
        "folderId": folder,
        "fileId": file.id,
        "iModelId": SEEDED.plant,
        "imodelId": SEEDED.plant,
        "iTwinId": SEEDED.itwin,
        "changesetIdOrIndex": "2",
        "namedVersionId": state.imodels[SEEDED.plant].named_versions[0].id,
        "userId": guid(IDENTITY.user),
        "webhookId": _known_webhook(sandbox),
    }


def _known_webhook(sandbox: RunningSandbox) -> str:
    state = sandbox.state
    key, now = guid("known webhook", state.next_number("webhook")), state.clock.now()
    events = ["iModels.changesReady.v1"]
    state.webhooks.known[key] = Webhook(
        key, SERVICE.client_id, "https://hooks.example", "iTwin", SEEDED.itwin, "x" * 32, events, now, now
    )
    return key


bounded = settings(
    max_examples=settings().max_examples // 20,  # 5, and 50 with `--hypothesis-profile campaign`
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.data_too_large],
)


@covered.parametrize()
@bounded
def test_answers_to_anybody_are_as_documented(case: schemathesis.Case, sandbox: RunningSandbox) -> None:
    """Whatever is asked, status, headers, content type and body are ones the document names."""
    _check(case, sandbox)


@covered.parametrize()
@bounded
def test_answers_about_known_things_are_as_documented(case: schemathesis.Case, sandbox: RunningSandbox) -> None:
    """The same holds for things that are there, so that good answers are seen too."""
    known = _known(sandbox, case.method)
    if case.operation.path == "/itwins/{id}":
        known["id"] = SEEDED.itwin
    for place in (case.path_parameters, case.query, case.body):
        if isinstance(place, dict):
            place.update({name: known[name] for name in place if name in known})
    _check(case, sandbox)


def _check(case: schemathesis.Case, sandbox: RunningSandbox) -> None:
    token = sandbox.state.tokens.mint_access_token(sandbox.url, SERVICE, 3600)
    is_api = not case.operation.path.startswith("/connect")
    headers = {"Authorization": f"Bearer {token}"} if is_api else None
    response = case.call(base_url=sandbox.url, headers=headers, allow_redirects=False)
    case.validate_response(response, checks=CHECKS)
