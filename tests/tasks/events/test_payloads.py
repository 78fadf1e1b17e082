"""What payloads leave out."""

from datetime import UTC, datetime

from blocks.errors import InputError
from tasks.events.outcomes import payload_of_report, payload_without_files
from tasks.events.payloads import LARGEST_PAYLOAD, FlowRunNamed
from tasks.export_progress import ExportProgress
from tasks.reports import ExportedFile, ExportReport

RUN = FlowRunNamed(id="1", name="ifc")


def test_a_long_list_of_files_is_left_to_the_manifest() -> None:
    """However many files and however long a name: the payload stays within its bound and says where the files are."""
    now = datetime.now(UTC)
    files = tuple(ExportedFile(path=f"1/ifc/{n}.ifc", role="model", size=n, sha256="0" * 64) for n in range(1000))
    report = ExportReport(
        imodel_id="1",
        imodel_name="Ä" * 100_000,
        changeset_id="",
        format="ifc",
        result="Success",
        files=files,
        output_dir="/" + "x" * 4000,
        started_at=now,
        finished_at=now,
    )
    payload = payload_of_report("itwin.export.published", report, RUN, "", InputError("\u0001" * 10**6))
    assert len(payload.model_dump_json().encode()) <= LARGEST_PAYLOAD
    assert payload.files_omitted
    assert payload.manifest == f"{report.output_dir}/1/ifc/manifest.json"
    short = payload_of_report("itwin.export.published", report.model_copy(update={"files": files[:3]}), RUN, "")
    assert short.files == files[:3]


def test_an_error_has_no_secret() -> None:
    """The query of an address in a message is redacted."""
    error = InputError("https://host/path?sig=s3cret is refused, client_secret=s3cret too")
    payload = payload_without_files("itwin.export.failed", ExportProgress("ifc", "1"), RUN, "/exports", error)
    assert "s3cret" not in payload.model_dump_json()
    assert payload.error_type == "InputError"
