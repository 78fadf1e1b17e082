"""The list of deployments can be deployed as it stands, and people understand the forms it leads to."""

import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.deployment_triggers import DeploymentEventTrigger
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.server.schemas.schedules import CronSchedule as ServerCronSchedule
from prefect.server.utilities.user_templates import render_user_template
from prefect.utilities.schema_tools import validate

REPOSITORY = Path(__file__).parents[1]
DEPLOYMENTS = cast("list[dict[str, Any]]", yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"])
A_GUID = "5e19bee0-3aea-4355-a9f0-c6df9989ee7d"
SCHEDULED = [deployment for deployment in DEPLOYMENTS if "schedules" in deployment]
TRIGGERED = [deployment for deployment in DEPLOYMENTS if "triggers" in deployment]

pytestmark = pytest.mark.usefixtures("_in_the_repository")


@pytest.fixture
def _in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)


MILESTONES = (
    "itwin_id",
    "imodel_id",
    "ifc_version",
    "model_ids",
    "named_version",
    "output_dir",
    "output_location",
    "force",
    "on_active_run",
    "timeout_minutes",
    "credentials",
)
"""One or two parameters of each group of the form."""


def flow_of(deployment: dict[str, Any]) -> Flow[Any, Any]:
    """The flow behind a deployment, imported for real."""
    return cast("Flow[Any, Any]", load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False))


def name_of(deployment: dict[str, Any]) -> str:
    """The name people see."""
    flow = deployment["entrypoint"].rpartition(":")[2].replace("_", "-")
    return f"{flow}/{deployment['name']}"


def given(deployment: dict[str, Any]) -> dict[str, Any]:
    """What a deployment sets, with the environment filled in."""
    return {
        name: re.sub(r"\{\{ \$\w+ \}\}", A_GUID, value) if isinstance(value, str) else value
        for name, value in deployment.get("parameters", {}).items()
    }


every_deployment = pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=name_of)


@every_deployment
def test_every_entry_point_loads_strictly(deployment: dict[str, Any]) -> None:
    """Every entry point of prefect.yaml is a flow that imports without placeholders."""
    assert flow_of(deployment).name == name_of(deployment).partition("/")[0]


@every_deployment
def test_every_parameter_is_valid_for_its_flow(deployment: dict[str, Any]) -> None:
    """What a deployment sets passes the schema that the server checks runs against."""
    schema = flow_of(deployment).parameters.model_dump()
    asked = {name: A_GUID for name in schema["required"] if "schedules" not in deployment}
    validate({**asked, **given(deployment)}, schema, raise_on_error=True)


@every_deployment
def test_every_deployment_says_what_it_is_for(deployment: dict[str, Any]) -> None:
    """A deployment has a sentence for people, tags, the pool of the workers and a limit with a strategy."""
    assert deployment["description"].endswith(".")
    assert "itwin" in deployment["tags"]
    assert deployment["work_pool"] == {"name": "itwin-export"}
    assert deployment["concurrency_limit"]["collision_strategy"] in {"CANCEL_NEW", "ENQUEUE"}


@every_deployment
def test_every_field_of_the_form_is_understood(deployment: dict[str, Any]) -> None:
    """Each parameter has a title of its own, a sentence, and a kind that a form can show."""
    schema = flow_of(deployment).parameters.model_dump()
    for name, shown in schema["properties"].items():
        assert shown["title"] != name, name
        assert shown["description"].endswith("."), name
        assert shown.keys() & {"type", "enum", "$ref"}, f"{name} asks for the choice of a type"


@every_deployment
def test_the_form_follows_a_persons_decisions(deployment: dict[str, Any]) -> None:
    """Its fields begin with what is exported, then version, place, checks, and what happens when things go wrong."""
    properties = flow_of(deployment).parameters.model_dump()["properties"]
    order = sorted(properties, key=lambda name: properties[name]["position"])
    groups = [name for name in order if name in MILESTONES]
    assert groups == [name for name in MILESTONES if name in properties]


def dates_of(schedule: dict[str, Any]) -> dict[str, Any]:
    """The schedule without the member `active`."""
    return {name: value for name, value in schedule.items() if name != "active"}


def test_names_are_unique() -> None:
    """No deployment replaces another."""
    names = [name_of(deployment) for deployment in DEPLOYMENTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("deployment", SCHEDULED, ids=name_of)
def test_schedules_never_overlap(deployment: dict[str, Any]) -> None:
    """A scheduled deployment runs once at a time, in a named time zone, and cancels what would overlap."""
    assert deployment["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    for schedule in deployment["schedules"]:
        assert CronSchedule(**dates_of(schedule)).cron == schedule["cron"]
        assert ZoneInfo(schedule["timezone"])


@pytest.mark.parametrize("deployment", SCHEDULED, ids=name_of)
async def test_the_server_finds_the_next_dates_of_schedules(deployment: dict[str, Any]) -> None:
    """Prefect's scheduler makes dates of each schedule, a day apart at most, in the schedule's time zone."""
    for schedule in deployment["schedules"]:
        dates = await ServerCronSchedule(**dates_of(schedule)).get_dates(3)
        assert len(dates) == 3
        assert all(later - date <= timedelta(days=1, hours=1) for date, later in pairwise(dates))


@pytest.mark.parametrize("deployment", TRIGGERED, ids=name_of)
def test_triggers_are_what_prefect_takes(deployment: dict[str, Any]) -> None:
    """An event trigger names events, and fills in parameters that the flow has."""
    for spec in deployment["triggers"]:
        trigger = DeploymentEventTrigger.model_validate(spec)
        assert trigger.expect
        assert (trigger.parameters or {}).keys() <= flow_of(deployment).parameters.properties.keys()


@pytest.mark.parametrize(
    ("reason", "changeset_id", "version", "exported"),
    [
        ("iModels.namedVersionCreated.v1", "c-5", "v-1", ("", "v-1")),
        ("iModels.namedVersionCreated.v1", "c-5", None, ("c-5", "")),
        ("iModels.changesReady.v1", "c-5", None, ("", "")),
        ("watch-imodels", "c-5", None, ("c-5", "")),
        ("watch-imodels", "c-5", "v-1", ("", "v-1")),
        ("watch-imodels", None, None, ("", "")),
    ],
)
async def test_a_named_version_is_exported_from_its_own_changeset(
    reason: str, changeset_id: str | None, version: str | None, exported: tuple[str, str]
) -> None:
    """The trigger passes a version, else its changeset; after pushes, and for a baseline, the latest is exported."""
    (parameters,) = [trigger["parameters"] for one in TRIGGERED for trigger in one["triggers"]]
    payload = {"imodel_id": A_GUID, "reason": reason, "changeset_id": changeset_id}
    for known in (payload | {"named_version": version}, payload)[: 1 if version else 2]:  # the last as of old events
        event = SimpleNamespace(payload=known)
        rendered = {name: await render_user_template(text, {"event": event}) for name, text in parameters.items()}
        assert rendered == {"imodel_id": A_GUID, "changeset_id": exported[0], "named_version": exported[1]}
