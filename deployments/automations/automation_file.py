"""The file that describes automations, checked as far as that needs no Prefect server and no Prefect."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from blocks.errors import InputError
from blocks.foreign_data import Json
from blocks.shared_folder import read_bounded
from blocks.shown_text import shown

OWN_FILE = Path(__file__).parents[1] / "automations.yaml"
LONGEST_FILE = 1024 * 1024
REFERENCES = {"block": "block_document_id", "deployment": "deployment_id"}
"""Members of an action that name something of the server, and the members of Prefect with its id."""


class DescribedAutomation(BaseModel):
    """One entry of the file; `enabled` is None if it leaves that to whoever uses the UI."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, max_length=255)
    description: str = ""
    enabled: bool | None = None
    trigger: dict[str, Any]
    actions: tuple[dict[str, Any], ...] = Field(min_length=1)

    def with_notices_to(self, block: str) -> "DescribedAutomation":
        """The same with another block for its notices."""
        actions = tuple(
            {**action, "block": block} if action.get("type") == "send-notification" else action
            for action in self.actions
        )
        return self.model_copy(update={"actions": actions})


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    automations: tuple[DescribedAutomation, ...]


def read_automations(path: Path | None, notify: str = "") -> list[DescribedAutomation]:
    """The automations that a file describes; without a file, those of `deployments/automations.yaml`.

    Args:
        path: None for the file of this package.
        notify: The block of all notices, by its name or as TYPE/NAME; empty for those that the file names.

    Raises:
        InputError: The file cannot be read, or it describes no automations.
    """
    file = path or OWN_FILE
    try:
        content: object = yaml.safe_load(read_bounded(file, LONGEST_FILE, may_be_link=True).decode())
        described = _File.model_validate(content).automations
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InputError(
            f"The automations {shown(str(file), 500)} cannot be read ({reason}). Correct the path."
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"The automations {file} are no valid YAML: {shown(str(error), 300)}. Correct it.") from None
    except ValidationError as error:
        raise InputError(f"The automations {file} are invalid: {fault_of(error)}") from None
    names = [one.name for one in described]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"The automations {file} describe “{twice}” twice. Leave one of the two.")
    return [one.with_notices_to(notify) for one in described] if notify else list(described)


def fault_of(error: ValidationError) -> str:
    """The first fault of an automation as the end of a sentence: where it is, and what should be there."""
    fault = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in fault["loc"] if part != "known") or "the whole"
    return f"{where}: {fault['msg']} (it is {shown(str(fault['input']), 100)}). Correct it."


def trigger_words(trigger: Json) -> str:
    """What a trigger expects, or waits for in vain, for a table."""
    expected = ", ".join(sorted(str(one) for one in trigger.get("expect") or ()))
    if trigger.get("posture") == "Proactive":
        return f"within {trigger.get('within')} s none of {expected}"
    return expected or str(trigger.get("type"))


def action_words(action: Json) -> str:
    """What an action does, for a table."""
    named = next((str(action[name]) for name in REFERENCES if name in action), "")
    return f"{action.get('type')} {named}".strip()
