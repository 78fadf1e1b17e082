"""What a person asks for when it is a whole iTwin, checked before anything is sent."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from blocks.errors import InputError
from tasks.options import check_choice, check_guid, check_output_dir
from tasks.reports import ExportFormat

FailWhen = Literal["any", "all", "never"]

MOST_SHARDS = 1000

_NO_IMODEL = {"imodel_id": "00000000-0000-0000-0000-000000000000", "changeset_id": None}


class BatchRequest(BaseModel):
    """One batch as asked for; `options` are the parameters of the single flows that are the same for all iModels."""

    model_config = ConfigDict(frozen=True)

    itwin_id: str
    formats: tuple[ExportFormat, ...]
    imodel_ids: frozenset[str]
    name_contains: str
    max_active: int
    shards: int
    output_dir: Path
    options: dict[str, Any]


def check_batch_asked(
    parameters: Mapping[str, Any], checks: Iterable[Callable[[Mapping[str, Any]], object]]
) -> BatchRequest:
    """What the parameters of the flow ask for; `checks` are those of the single flows.

    Raises:
        InputError: Something cannot be understood or served; the sentence names it and says what to do.
    """
    for chosen in parameters["formats"]:
        check_choice(chosen, "format", get_args(ExportFormat))
    if not parameters["formats"]:
        raise InputError("formats is an empty list, so there is nothing to export. Name ifc, mesh or both.")
    if parameters["max_active"] < 1:
        raise InputError(f"max_active is {parameters['max_active']}; give 1 or more.")
    if not 1 <= parameters["shards"] <= MOST_SHARDS:
        raise InputError(f"shards is {parameters['shards']}; give 1 (no shards) to {MOST_SHARDS}.")
    check_choice(parameters["fail_when"], "fail_when", get_args(FailWhen))
    for check in checks:
        check({**parameters, **_NO_IMODEL})
    own = {"itwin_id", "formats", "imodel_ids", "name_contains", "max_active", "shards", "fail_when"}
    return BatchRequest(
        itwin_id=check_guid(parameters["itwin_id"], "iTwin id"),
        formats=tuple(dict.fromkeys(parameters["formats"])),
        imodel_ids=frozenset(check_guid(imodel_id, "iModel id") for imodel_id in parameters["imodel_ids"] or ()),
        name_contains=parameters["name_contains"] or "",
        max_active=parameters["max_active"],
        shards=parameters["shards"],
        output_dir=check_output_dir(parameters["output_dir"]),
        options={name: value for name, value in parameters.items() if name not in own},
    )
