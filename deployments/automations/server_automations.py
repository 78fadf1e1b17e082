"""Automations on a Prefect server, compared with a file that describes them and changed to agree with it."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from prefect.client.orchestration import PrefectClient
from prefect.events.schemas.automations import Automation, AutomationCore
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from pydantic import ValidationError

from blocks.bounds import LONGEST_NAME
from blocks.errors import ConfigurationError, InputError
from blocks.shown_text import shown
from deployments.automations.automation_file import REFERENCES, DescribedAutomation, fault_of

Status = Literal["absent", "different", "as described", "created", "updated", "removed"]
_COMPARED = {"name", "description", "enabled", "trigger", "actions"}


@dataclass(frozen=True)
class AutomationState:
    """How an automation of the file stands on the server."""

    described: DescribedAutomation
    status: Status
    is_enabled: bool | None


async def apply_automations(client: PrefectClient, described: Sequence[DescribedAutomation]) -> list[AutomationState]:
    """Create what is absent, and update what is different; everything is looked up before the first change.

    Raises:
        ConfigurationError: A block or deployment that an action names is not on the server.
        InputError: Prefect does not accept an automation.
    """
    wanted = [await _resolved(client, one) for one in described]
    return [await _apply(client, one, core) for one, core in zip(described, wanted, strict=True)]


async def compare_automations(client: PrefectClient, described: Sequence[DescribedAutomation]) -> list[AutomationState]:
    """How the automations of the file stand on the server; nothing is changed."""
    return [await _compare(client, one) for one in described]


async def remove_automations(client: PrefectClient, described: Sequence[DescribedAutomation]) -> list[AutomationState]:
    """Delete the automations that are called like those of the file."""
    states: list[AutomationState] = []
    for one in described:
        found = await client.read_automations_by_name(one.name)
        for automation in found:
            await client.delete_automation(automation.id)
        states.append(AutomationState(one, "removed" if found else "absent", None))
    return states


async def _apply(client: PrefectClient, described: DescribedAutomation, wanted: AutomationCore) -> AutomationState:
    found = await client.read_automations_by_name(described.name)
    if not found:
        await _accepted(wanted, client.create_automation(wanted))
        return AutomationState(described, "created", wanted.enabled)
    for duplicate in found[1:]:  # of two that applied at once
        await client.delete_automation(duplicate.id)
    wanted = _with_switch(wanted, described, found[0])
    if _is_same(found[0], wanted):
        return AutomationState(described, "as described", wanted.enabled)
    await _accepted(wanted, client.update_automation(found[0].id, wanted))
    return AutomationState(described, "updated", wanted.enabled)


async def _accepted(automation: AutomationCore, change: Awaitable[object]) -> None:
    """Wait for a change; the server knows actions and templates that the client does not check."""
    try:
        await change
    except PrefectHTTPStatusError as error:
        if error.response.status_code != 422:
            raise
        said = shown(error.response.text, LONGEST_NAME)
        raise InputError(f"The Prefect server does not accept the automation “{automation.name}”: {said}") from None


async def _compare(client: PrefectClient, described: DescribedAutomation) -> AutomationState:
    found = await client.read_automations_by_name(described.name)
    if not found:
        return AutomationState(described, "absent", None)
    try:
        wanted = _with_switch(await _resolved(client, described), described, found[0])
    except ConfigurationError:  # the block or deployment is not there (any more)
        return AutomationState(described, "different", found[0].enabled)
    return AutomationState(described, "as described" if _is_same(found[0], wanted) else "different", found[0].enabled)


def _with_switch(wanted: AutomationCore, described: DescribedAutomation, found: Automation) -> AutomationCore:
    """An automation that was paused in the UI stays so, unless the file says otherwise."""
    return wanted if described.enabled is not None else wanted.model_copy(update={"enabled": found.enabled})


def _is_same(one: AutomationCore, other: AutomationCore) -> bool:
    return one.model_dump(include=_COMPARED) == other.model_dump(include=_COMPARED)


async def _resolved(client: PrefectClient, described: DescribedAutomation) -> AutomationCore:
    """The automation with ids in place of names, as Prefect takes it."""
    actions = [await _resolved_action(client, action) for action in described.actions]
    members = described.model_dump(exclude={"enabled"}) | {
        "actions": actions,
        "enabled": described.enabled is not False,
    }
    try:
        return AutomationCore.model_validate(members)
    except ValidationError as error:
        raise InputError(f"Prefect does not accept the automation “{described.name}”: {fault_of(error)}") from None


async def _resolved_action(client: PrefectClient, action: dict[str, Any]) -> dict[str, Any]:
    resolved = {name: value for name, value in action.items() if name not in REFERENCES}
    if "block" in action:
        resolved[REFERENCES["block"]] = await _block_id(client, str(action["block"]), str(action.get("type")))
    if "deployment" in action:
        resolved[REFERENCES["deployment"]] = await _deployment_id(client, str(action["deployment"]))
    return resolved


async def _block_id(client: PrefectClient, name: str, action: str) -> str:
    """The id of the one saved block of that name that can do what the action asks of it."""
    slug, _, own_name = name.rpartition("/")
    wanted: dict[str, Any] = {"block_documents": {"name": {"any_": [own_name]}}}
    if action == "send-notification":
        wanted["block_schemas"] = {"block_capabilities": {"all_": ["notify"]}}
    answer = await client.request("POST", "/block_documents/filter", json=wanted)
    found = [one for one in answer.json() if slug in {"", one["block_type"]["slug"]}]
    if len(found) == 1:
        return str(found[0]["id"])
    kind = "notification block" if action == "send-notification" else "block"
    if not found:
        raise ConfigurationError(
            f"No {kind} “{name}” is saved on the Prefect server. Save one of that name in the UI under Blocks (Slack, "
            f"Microsoft Teams, e-mail or another), or name a saved one: --notify TYPE/NAME (prefect block ls)."
        )
    slugs = ", ".join(sorted(f"{one['block_type']['slug']}/{own_name}" for one in found))
    raise ConfigurationError(f"Several blocks are called “{name}”: {slugs}. Name one of these.")


async def _deployment_id(client: PrefectClient, name: str) -> str:
    try:
        return str((await client.read_deployment_by_name(name)).id)
    except (ObjectNotFound, PrefectHTTPStatusError, ValueError):
        raise ConfigurationError(
            f"There is no deployment “{name}” on the Prefect server. Deploy it first, or correct the name (FLOW/NAME)."
        ) from None
