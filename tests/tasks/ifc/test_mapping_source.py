"""A mapping file on this machine, from the request to the moment it is handed over."""

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.errors import InputError
from blocks.itwin.credentials import ItwinCredentials
from tasks.ifc.mapping_file import upload_mapping
from tasks.ifc.mapping_json import LARGEST_MAPPING
from tests.tasks.run_specs import request_for, spec_for


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mapping_file": "nosuch.json"}, r"There is no mapping file /.*/nosuch\.json. Correct its path; a blob"),
        ({"mapping_file": "x" * 5000}, r"mapping file .* cannot be read \(File name too long\)"),
        ({"mapping_file": "a\0b"}, "There is no mapping file"),
        ({"mapping_file": "~nobody-here/x.json"}, "There is no mapping file"),
        ({"mapping_file": "pipe"}, r"mapping file /.*/pipe cannot be read \(Not a regular file\)"),
        ({"mapping_file": "/dev/zero"}, r"mapping file /dev/zero cannot be read \(Not a regular file\)"),
        ({"mapping_file": "folder"}, r"The mapping file /.*/folder is a folder. Name a file in it"),
        ({"mapping_file": "large.json"}, r"large\.json has more than 20 MB"),
        ({"mapping_file": "bad.json"}, r"bad\.json is no valid JSON: line 2, column 12: a backslash in a text must"),
        ({"mapping_file": "good.json", "mapping_file_id": "id"}, "name two mapping files. Leave one of them out"),
    ],
)
def test_what_is_no_mapping_file_is_refused_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    """Missing, a folder, too large, with a Windows path in it, named twice: one sentence each."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.json").write_bytes(b" " * (LARGEST_MAPPING + 1))
    (tmp_path / "bad.json").write_bytes(b'{\n"from": "C:\\Plant\\m.xml"}')
    (tmp_path / "good.json").write_bytes(b"{}")
    with pytest.raises(InputError, match=said):
        request_for(tmp_path / "exports", **changes)


def test_the_content_and_not_the_path_is_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of one content are one request to the platform; a request without a file is what it was before."""
    monkeypatch.chdir(tmp_path)
    for name, content in (("a.json", b"{}"), ("b.json", b"\xef\xbb\xbf{}"), ("c.json", b"[]")):
        (tmp_path / name).write_bytes(content)
    plain, one, two, three = (
        request_for(tmp_path, mapping_file=name) for name in (None, "a.json", "./b.json", "c.json")
    )
    assert one.options == two.options
    assert len({plain.connection_name, one.connection_name, three.connection_name}) == 3
    assert "mapping_version" not in plain.options
    assert not {"mapping_file", "mapping_warnings"} & one.options.keys()


def test_a_file_that_is_not_here_may_be_a_blob(tmp_path: Path) -> None:
    """With USER_BLOB_STORAGE the name is looked up in the container later."""
    request = request_for(tmp_path, mapping_file="nosuch.json", output_location="USER_BLOB_STORAGE")
    assert (request.mapping_file, request.hands_over_content) == ("nosuch.json", False)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, r"There is no mapping file .* any more. Restore it"), (b"[]", r"has changed since this export began")],
)
async def test_a_file_that_changes_on_the_way_is_not_handed_over(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    """A mapping file that is deleted or changed after it was checked ends the export before a run is started."""
    path = tmp_path / "m.json"
    path.write_bytes(b"{}")
    spec = spec_for(request_for(tmp_path, mapping_file=str(path)), "connection")
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=said):
        await upload_mapping.fn(ItwinCredentials(client_id="c", client_secret=SecretStr("s")), None, spec)
