"""The command line that repeats a flow run, and the parameters that differ from their defaults."""

import inspect
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

SUBJECTS = {"export-ifc": "imodel_id", "export-mesh": "imodel_id", "export-itwin": "itwin_id"}
_NOTHING: tuple[object, ...] = (None, "", [], ())


@dataclass(frozen=True)
class FlowRunFacts:
    """A flow run for its page: `repeat` is the command that does the same again."""

    id: str = ""
    repeat: str = ""
    changed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    scheduled_at: datetime | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def changed_parameters(signature: inspect.Signature, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that were given another value than their default."""
    defaults = {name: known.default for name, known in signature.parameters.items()}
    return {
        name: value
        for name, value in parameters.items()
        if name in defaults and value != defaults[name] and not (value in _NOTHING and defaults[name] in _NOTHING)
    }


def command_of(flow_name: str, changed: Mapping[str, Any]) -> str:
    """The command that does the same as a flow run with these parameters."""
    subject = SUBJECTS[flow_name]
    options = [word for name, value in changed.items() if name != subject for word in _option(name, value)]
    named = str(changed.get(subject, ""))
    return shlex.join(["itwin-export", flow_name.removeprefix("export-"), named, *options])


def _option(name: str, value: object) -> Iterator[str]:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        yield f"--{option}" if value else f"--no-{option}"
        return
    for one in cast("list[object]", value) if isinstance(value, list | tuple) else [value]:
        words = f"{one:g}" if isinstance(one, float) else str(one)
        yield from [f"--{option}={words}"] if words.startswith("-") else [f"--{option}", words]
