"""Templates for file names: what is refused, and what they become."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from blocks.errors import InputError
from blocks.storage.file_names import with_suffix
from blocks.storage.manifest import VersionFacts
from deployments.sandbox.state.seed import SEEDED
from tasks.ifc.file_name import file_name_of
from tests.blocks.itwin.platform import Platform
from tests.tasks.run_specs import request_for


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{model}", r"unknown field \{model\}. Known are: \{imodel\} \{imodel_id\} \{itwin\}"),
        ("{imodel.__class__}", "unknown field"),
        ("{0}", "unknown field"),
        ("{}", "unknown field"),
        ("{imodel!r}", r"a format for \{imodel\}. Only \{changeset_index\} takes one"),
        ("{imodel:>9}", "a format for"),
        ("{changeset_index:x}", "a format for"),
        ("{imodel", r"cannot be read \(.*\). Write a brace itself twice"),
        ("a}", "cannot be read"),
        ("exports/{imodel}", "names a folder. Give a name without /"),
        ("x" * 501, "has 501 characters; give a name of 1 to 500"),
        (".ifc", "give a name of 1 to 500"),
    ],
)
def test_a_template_that_cannot_work_is_refused_up_front(tmp_path: Path, template: str, said: str) -> None:
    """Unknown fields, formats, folders and lengths are named before anything is sent."""
    with pytest.raises(InputError, match=said):
        request_for(tmp_path, file_name=template)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("CAMP-ABC-ZZ-XX-M3-A-{changeset_index:04}_{named_version}.IFC", "CAMP-ABC-ZZ-XX-M3-A-0003_P02_ S2"),
        ("{itwin} {imodel} {ifc_version}", "Campus Plant_A_ä IFC4.3"),
        ("{imodel_id}", SEEDED.plant),
        ("{changeset_id} {date}", "baseline TODAY"),
        ("{{{changeset_index}}}", "{3}"),
        ("con", "_con"),
    ],
)
async def test_names_are_safe_whatever_the_fields_hold(
    platform: Platform, tmp_path: Path, template: str, name: str
) -> None:
    """Slashes and colons of names do not get into the path, and reserved names are avoided."""
    version = VersionFacts(id="v", name="P02: S2")
    request = request_for(tmp_path, file_name=template).with_names(changeset_index=3, version=version)
    named = request.with_names(imodel="Plant/A?ä", itwin_id=SEEDED.itwin)
    before = f"{datetime.now(UTC):%Y-%m-%d}"
    found = await file_name_of(platform.itwin, named, "")
    assert found in {name.replace("TODAY", day) for day in (before, f"{datetime.now(UTC):%Y-%m-%d}")}


async def test_a_long_name_leaves_room_for_its_ending(platform: Platform, tmp_path: Path) -> None:
    """Names of the longest iModel are shortened, and never the ending."""
    request = request_for(tmp_path, file_name="{imodel} {imodel}")
    named = request.with_names(imodel="é" * 255)
    name = with_suffix(await file_name_of(platform.itwin, named, ""), ".ifc")
    assert (len(name.encode()) <= 200, name[-4:]) == (True, ".ifc")


def test_the_name_makes_another_export_on_the_same_connection(tmp_path: Path) -> None:
    """It is part of what is published, and not of what the platform is asked for."""
    plain, named = request_for(tmp_path), request_for(tmp_path, file_name="{imodel}")
    assert plain.options != named.options
    assert "file_name" not in plain.options
    assert plain.connection_name == named.connection_name
