"""Requests, orders and starters for tests."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from blocks.itwin.api.exports import RunInput, RunOutput
from blocks.storage.user_blob_storage import UserBlobStorage
from deployments.sandbox.ids import changeset_id
from deployments.sandbox.state.entities import Run
from deployments.sandbox.state.seed import SEEDED
from tasks.ifc.options import IfcRequest, RunPolicy
from tasks.ifc.run_records import RunRecord, RunRecords
from tasks.ifc.run_spec import RemoteRun, RunSpec
from tasks.ifc.run_starter import RunStarter
from tasks.polling import PollBackoff
from tests.blocks.itwin.platform import MOMENT, Platform

LOG = logging.getLogger("tests.tasks")
OURS = changeset_id(SEEDED.plant, 5)
OLDER = changeset_id(SEEDED.plant, 4)
SpecFactory = Callable[..., Awaitable[RunSpec]]
FAIL_IF_ACTIVE = RunPolicy(on_active_run="fail")
FAST = PollBackoff(0.001, 0.001)
SAS = "https://acc.blob.core.windows.net/c/model.ifc?sp=rcw&sig=c2VjcmV0"


def request_for(folder: Path, **changes: Any) -> IfcRequest:
    usual: dict[str, Any] = {
        "imodel_id": SEEDED.plant,
        "changeset_id": None,
        "ifc_version": "IFC4.3",
        "saved_view_id": None,
        "model_ids": None,
        "mapping_file_id": None,
        "output_location": "STORAGE",
        "folder_id": None,
        "replace_older_file": True,
        "save_logs": True,
        "output_dir": str(folder),
    }
    return IfcRequest.check(**{**usual, **changes})


def spec_for(request: IfcRequest, connection_id: str, *, policy: RunPolicy = FAIL_IF_ACTIVE, **changes: Any) -> RunSpec:
    usual: dict[str, Any] = {
        "is_own_connection": True,
        "changeset_id": OURS,
        "asked_by": "11111111-aaaa-bbbb-cccc-222222222222",
        "first_started": MOMENT,
    }
    return RunSpec(request=with_policy(request, policy), connection_id=connection_id, **{**usual, **changes})


def with_policy(request: IfcRequest, policy: RunPolicy) -> IfcRequest:
    return request.model_copy(update={"policy": policy})


def records_of(spec: RunSpec) -> RunRecords:
    return RunRecords(spec.request.state_dir.runs)


def starter_for(platform: Platform, spec: RunSpec) -> RunStarter:
    is_blob = spec.request.output_location == "USER_BLOB_STORAGE"
    storage = UserBlobStorage(output_sas_url=SecretStr(SAS)) if is_blob else None
    return RunStarter(platform.itwin, spec, storage, records_of(spec), FAST, LOG)


def note(spec: RunSpec, *, asked_at: datetime | None = None, **changes: Any) -> RunRecord:
    """A note as another attempt or another flow run may have left it."""
    usual: dict[str, Any] = {
        "connection_id": spec.connection_id,
        "changeset_id": spec.changeset_id,
        "options": spec.request.connection_name,
        "place": "",
        "asked_at": asked_at or MOMENT,
        "asked_by": "somebody else",
        "blob_name": "",
    }
    return records_of(spec).ask(**{**usual, **changes})


async def connection_on(platform: Platform, name: str = "ours") -> str:
    made = await platform.itwin.exports.create_connection(
        SEEDED.plant, display_name=name, authentication_type="Service"
    )
    return made.id


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


async def until(happened: Callable[[], bool]) -> None:
    """Let others work until something has happened."""
    while not happened():  # noqa: ASYNC110  what is awaited has no event
        await asyncio.sleep(0.001)


async def start(platform: Platform, spec: RunSpec) -> RemoteRun:
    run = await starter_for(platform, spec).start()
    assert isinstance(run, RemoteRun)
    return run


async def run_there(platform: Platform, connection_id: str, *, finished: bool = False) -> str:
    """Somebody starts a run without a note of ours."""
    output = RunOutput("STORAGE")
    started = await platform.itwin.exports.create_run(connection_id, RunInput("IFC4.3", OURS), output)
    assert started.is_new
    if finished:
        await platform.sleep(60)
    return started.run_id


def last_run(platform: Platform) -> Run:
    return list(platform.state.runs)[-1]


def notes(spec: RunSpec) -> list[RunRecord]:
    return records_of(spec).of_connection(spec.connection_id)
