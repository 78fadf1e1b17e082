"""Notes of the export runs we asked for, kept beside the exports.

The platform does not say which changeset or blob a run was started for, so we write it down: once before asking (the
answer may be lost) and again when the run is known. One small file per request, replaced whole, so no
lock is needed. Notes hold no secret. Machines that export to one folder share its file system; where exports go to an
object store, the notes lie there too, and the folder has copies of those that this machine wrote.
"""

import secrets
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from blocks.disk import disk_errors, write_whole
from blocks.shown_text import shown
from blocks.storage.destination.stored_records import StoredRecords
from tasks.ifc.options import IfcRequest
from tasks.state_dir import KEPT_FOR, LONGEST_RECORD, is_id, prepare, read_record

YEARS = range(2000, 2200)
"""Times of other years are impossible, and near the ends of the calendar nothing can be added to them."""
LONGEST_TEXT = 4000
LONGEST_REASON = 4000
Outcome = Literal["asked", "started", "refused", "failed", "fetched"]


class RunRecord(BaseModel):
    """One request to start a run; `asked_at` is the platform's clock just before the request.

    `options` and `place` tell which export it was for: a connection that the caller names serves all kinds. `reason`
    says why a run with the outcome `failed` cannot serve any more.
    """

    model_config = ConfigDict(frozen=True)

    record_id: str
    connection_id: str
    changeset_id: str
    options: str
    place: str
    asked_at: AwareDatetime
    asked_by: str
    blob_name: str
    run_id: str | None = None
    outcome: Outcome = "asked"
    fetched_at: AwareDatetime | None = None
    reason: str = ""

    @property
    def subject(self) -> tuple[str, str, str]:
        """Changeset, options and place: runs that agree in them serve the same export."""
        return self.changeset_id, self.options, self.place


class RunRecords:
    """The notes of one iModel's runs in one folder, and in the object store that several machines share."""

    def __init__(self, folder: Path, shared: StoredRecords | None = None) -> None:
        self._folder = folder
        self._shared = shared

    def all(self) -> list[RunRecord]:
        """Every note, oldest first; unreadable ones are passed over."""
        found = self._in_store(self._shared) if self._shared else self._in_folder()
        return sorted(found, key=lambda record: record.asked_at)

    def _in_folder(self) -> list[RunRecord]:
        return [record for path in self._folder.glob("*.json") if (record := _read(path)) is not None]

    def _in_store(self, shared: StoredRecords) -> list[RunRecord]:
        read = ((name, _parsed(content)) for name, content in shared.read_all().items())
        return [own for name, record in read if (own := _own(record, name)) is not None]

    def of_connection(self, connection_id: str) -> list[RunRecord]:
        """Notes of a connection, oldest first."""
        return [record for record in self.all() if record.connection_id == connection_id]

    def ask(
        self,
        *,
        connection_id: str,
        changeset_id: str,
        options: str,
        place: str,
        asked_at: datetime,
        asked_by: str,
        blob_name: str,
    ) -> RunRecord:
        """Write down that a run is about to be asked for; notes that nobody changed for a week go."""
        prepare(self._folder)
        if self._shared:
            self._shared.purge(KEPT_FOR)
        record = RunRecord(
            record_id=f"{asked_at:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}",
            connection_id=connection_id,
            changeset_id=changeset_id,
            options=options,
            place=place,
            asked_at=asked_at,
            asked_by=asked_by,
            blob_name=blob_name,
        )
        return self._write(record)

    def note(self, record: RunRecord, outcome: Outcome, *, run_id: str | None = None) -> RunRecord:
        """Write down what became of it."""
        return self._write(record.model_copy(update={"outcome": outcome, "run_id": run_id or record.run_id}))

    def note_run(
        self,
        connection_id: str,
        run_id: str,
        outcome: Outcome,
        *,
        fetched_at: datetime | None = None,
        reason: str = "",
    ) -> None:
        """Write down what became of a run, if there is a note of it."""
        for record in self.of_connection(connection_id):
            if record.run_id == run_id:
                self.note(record.model_copy(update={"fetched_at": fetched_at, "reason": reason}), outcome)

    def _write(self, record: RunRecord) -> RunRecord:
        content = record.model_dump_json(indent=1).encode()
        if self._shared:
            self._shared.write(record.record_id, content)
        with disk_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / f"{record.record_id}.json", content)
        return record


def records_of(request: IfcRequest) -> RunRecords:
    """The notes of a request's iModel: in its folder, or in the object store that its exports go to."""
    state_dir = request.state_dir
    if request.address is None:
        return RunRecords(state_dir.runs)
    key = state_dir.runs.relative_to(request.output_dir).as_posix()
    return RunRecords(state_dir.runs, StoredRecords(request.opened_store, key, LONGEST_RECORD))


def _read(path: Path) -> RunRecord | None:
    """A record that another process or another user may have written; None if it cannot be one of ours."""
    return _own(read_record(path, RunRecord), path.stem)


def _parsed(content: bytes) -> RunRecord | None:
    try:
        return RunRecord.model_validate_json(content)
    except ValidationError:
        return None


def _own(record: RunRecord | None, name: str) -> RunRecord | None:
    """The record, if it can be one of ours under that name."""
    if record is None or record.record_id != name or not _is_plausible(record):
        return None
    return record.model_copy(update={"reason": shown(record.reason, LONGEST_REASON)})


def _is_plausible(record: RunRecord) -> bool:
    texts = (record.changeset_id, record.options, record.place, record.asked_by, record.blob_name)
    return (
        is_id(record.connection_id)
        and (record.run_id is None or is_id(record.run_id))
        and all(text.isprintable() and len(text) <= LONGEST_TEXT for text in texts)
        and record.asked_at.year in YEARS
    )
