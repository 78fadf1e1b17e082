"""The run that a suspended flow run waited for, where the worker that goes on has an empty disk."""

from collections.abc import Sequence

from tasks.ifc.run_records import RunRecords
from tasks.ifc.run_spec import RunSpec
from tasks.released.wait import ReleasedWait


def record_earlier_run(records: RunRecords, spec: RunSpec, place: str, waits: Sequence[ReleasedWait]) -> None:
    """Record that run, where neither results of tasks nor records tell of it: else another one would be started.

    `place` is where the file is written, if that is not Storage; `waits` what the flow run has waited for, in order.
    """
    wait = next((wait for wait in reversed(waits) if not wait.is_foreign), None)
    if wait is None or _is_recorded(records, wait) or _may_export_another(spec, wait):
        return
    record = records.ask(
        connection_id=wait.connection_id,
        changeset_id=wait.changeset_id,
        options=spec.request.connection_name,
        place=place,
        asked_at=wait.since,
        asked_by="" if wait.is_adopted else spec.asked_by,
        blob_name=wait.blob_name,
    )
    records.note(record, "started", run_id=wait.export_id)


def _is_recorded(records: RunRecords, wait: ReleasedWait) -> bool:
    return any(record.run_id == wait.export_id for record in records.of_connection(wait.connection_id))


def _may_export_another(spec: RunSpec, wait: ReleasedWait) -> bool:
    """Whether the run may have been adopted although it exports another changeset."""
    return wait.is_adopted and spec.policy.on_active_run == "adopt"
