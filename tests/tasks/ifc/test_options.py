"""What a person asks for, checked before anything is sent."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.errors import InputError
from blocks.itwin.api.exports import RunInput
from tasks.ifc.options import RunPolicy
from tests.tasks.run_specs import request_for, spec_for

HERE = Path("exports")
ID = "5e19bee0-3aea-4355-a9f0-c6df9989ee7d"


def asked(minutes: float, active: str, partial: str, *, force: bool = False) -> dict[str, Any]:
    """The parameters of a flow that make up its policy."""
    names = ("timeout_minutes", "on_active_run", "on_partial_success", "force", "verify")
    return dict(zip(names, (minutes, active, partial, force, False), strict=True))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"imodel_id": "plant"}, "“plant” is not an iModel: give its id, its name with that of its iTwin"),
        ({"imodel_id": ""}, "is not an iModel"),
        ({"imodel_id": ID + "0"}, "is not an iModel"),
        ({"imodel_id": f"{{{ID}}}"}, "is not an iModel"),
        ({"imodel_id": f"/{ID}/x"}, "is not an iModel"),
        ({"imodel_id": f"{ID}", "changeset_id": "3", "named_version": "As built"}, "both say what to export"),
        ({"named_version": "x" * 256}, "named_version has 256 characters"),
        ({"changeset_id": "latest"}, "“latest” is not a changeset: give 40 hex digits, an index, or leave it empty"),
        ({"changeset_id": "a" * 39}, "is not a changeset"),
        ({"changeset_id": "-1"}, "is not a changeset"),
        ({"changeset_id": "١٢"}, "is not a changeset"),
        ({"ifc_version": "IFC5"}, "“IFC5” is not a known ifc_version. Choose one of: IFC4.3, IFC2x3, IFC2x3 CV 2.0"),
        ({"output_location": "DISK"}, "“DISK” is not a known output_location. .* STORAGE, USER_BLOB_STORAGE"),
        ({"model_ids": ["0x1", " "]}, "model_ids holds an empty id. Remove it"),
    ],
)
def test_what_cannot_be_understood_is_refused(changes: dict[str, Any], said: str) -> None:
    """Each bad value is refused with a sentence that names it and says what to do."""
    with pytest.raises(InputError, match=said):
        request_for(HERE, **changes)


@pytest.mark.parametrize(
    ("minutes", "active", "partial", "said"),
    [
        (0, "wait", "accept", "timeout_minutes is 0; give more than 0 and at most 10080"),
        (-1, "wait", "accept", "timeout_minutes is -1"),
        (float("nan"), "wait", "accept", "timeout_minutes is nan"),
        (float("inf"), "wait", "accept", "timeout_minutes is inf"),
        (10081, "wait", "accept", "timeout_minutes is 10081"),
        (1, "kill", "accept", "“kill” is not a known on_active_run. Choose one of: wait, adopt, fail"),
        (1, "wait", "maybe", "“maybe” is not a known on_partial_success. Choose one of: accept, fail"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(minutes: float, active: str, partial: str, said: str) -> None:
    """Time limits that never or at once pass, and unknown choices, are refused."""
    with pytest.raises(InputError, match=said):
        RunPolicy.check(**asked(minutes, active, partial))


def test_a_policy_is_read() -> None:
    """Minutes may be fractions; the choices are kept."""
    policy = RunPolicy.check(**asked(0.5, "adopt", "fail", force=True))
    assert (policy.timeout, policy.on_active_run, policy.accepts_partial, policy.force) == (
        timedelta(seconds=30), "adopt", False, True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "read"), [("12", "12"), (12, "12"), (" " + "AB" * 20, "ab" * 20), ("", ""), (None, ""), ("  ", "")]
)
def test_a_changeset_is_an_id_an_index_or_the_latest(asked: object, read: str) -> None:
    """Ids come in lower case, indices as text, nothing is the latest."""
    assert request_for(HERE, changeset_id=asked).changeset_id == read


def test_blanks_case_and_order_do_not_matter() -> None:
    """Two ways to write the same request are the same request."""
    models = ["0x2", "0x1", "0x2 "]
    assert request_for(HERE, imodel_id=ID, model_ids=[]) == request_for(HERE, imodel_id=ID)
    one = request_for(HERE, imodel_id=f" {ID.upper()} ", model_ids=models, folder_id=" ", saved_view_id="")
    two = request_for(HERE, imodel_id=ID, model_ids=["0x1", "0x2"])
    assert one == two
    assert one.connection_name == two.connection_name
    assert spec_for(one, "connection", changeset_id="c").run_input == RunInput(
        "IFC4.3", "c", None, ("0x1", "0x2"), None
    )


def test_the_folder_is_the_environments_unless_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Readers find exports below the folder named, else below ITWIN_OUTPUT_DIR, always as an absolute path."""
    monkeypatch.setenv("ITWIN_OUTPUT_DIR", str(tmp_path / "configured"))
    assert request_for(HERE, imodel_id=ID, output_dir=None).folder == tmp_path / "configured" / ID / "ifc"
    assert request_for(HERE, imodel_id=ID, output_dir="here").folder == Path.cwd() / "here" / ID / "ifc"
    assert request_for(HERE, imodel_id=ID, output_dir="~/x").output_dir == Path.home() / "x"


OPTIONS: list[dict[str, Any]] = [
    {"ifc_version": "IFC2x3"},
    {"ifc_version": "IFC2x3 CV 2.0"},
    {"saved_view_id": "v"},
    {"mapping_file_id": "v"},
    {"folder_id": "v"},
    {"model_ids": ["0x1"]},
    {"model_ids": ["0x1", "0x2"]},
    {"output_location": "USER_BLOB_STORAGE"},
    {"replace_older_file": False},
    {"save_logs": False},
]


def test_every_option_has_a_connection_of_its_own() -> None:
    """Requests that differ in any option have differently named connections."""
    names = [request_for(HERE, **options).connection_name for options in [{}, *OPTIONS]]
    assert len(set(names)) == len(names)


def test_changeset_imodel_and_folder_are_no_options() -> None:
    """Another changeset, another local folder: the same connection."""
    usual = request_for(HERE).connection_name
    assert request_for(HERE, changeset_id="7").connection_name == usual
    assert request_for(HERE / "elsewhere", imodel_id=ID).connection_name == usual


def test_the_name_is_the_same_in_every_process() -> None:
    """The connections that exist at the platform are found again by every version that does not change options."""
    assert request_for(HERE).connection_name == "itwin-export IFC4.3 STORAGE 8947fbb552fad611"
