from collections import Counter
from typing import Any

import ifcopenshell
import pytest

from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED, USER_CONTAINER
from tests.deployments.sandbox.caller import BASE, Caller

MAPPING = b"""{
  /* as the vendor's own file: a global section, comments, rows of three shapes */
  "GlobalVariables": {"JoinAssemblies": "false"},
  "Mapping": [
    {"Class": ["SandboxDynamic", "Wall", "IfcColumn"]},
    {"Class": ["SandboxDynamic", "Slab"], "IFC2x3": "IfcRoof", "IFC4x3": "IGNORETHISCLASS"},
    {"Property": ["SandboxDynamic", "Wall", "Number", "Pset_Own", "No"]}
  ]
}"""


def count(content: bytes) -> Counter[str]:
    model: Any = ifcopenshell.file.from_string(content.decode())
    return Counter(element.is_a() for element in model.by_type("IfcElement"))


async def exported(service: Caller, run: dict[str, Any]) -> bytes:
    return await service.download(run["jobs"][0]["tasks"][0]["exportOutputFileId"])


async def test_mapping_file_changes_classes_and_properties(service: Caller, state: SandboxState) -> None:
    """Walls are columns, a made-up class drops the slabs, what has no row is a proxy, and a property has moved."""
    mapping = state.add_file(state.itwins[SEEDED.itwin].root_folder_id, "m.json", MAPPING)
    content = await exported(service, await service.export(inputOptions={"mappingFileId": mapping.id}))
    assert count(content) == {"IfcColumn": 14, "IfcBuildingElementProxy": 13}
    assert content.count(b"'Pset_Own'") == 14


async def test_mapping_of_another_ifc_version_is_another(service: Caller, state: SandboxState) -> None:
    """A row may name one class for each version; the file may also come from a link."""
    state.blobs.put(USER_CONTAINER, "m.json", MAPPING)
    link = BASE + state.blobs.signed_path(USER_CONTAINER, "m.json")
    run = await service.export(inputOptions={"mappingfileBlobUrl": link}, ifcVersion="IFC2x3")
    assert count(await exported(service, run))["IfcRoof"] == 13


@pytest.mark.parametrize("content", [b'{"a": 1,}', MAPPING.decode().encode("utf-16"), b'["a\\b\\Util"]'])
async def test_bad_mapping_file_fails_the_run_and_only_the_log_says_why(
    service: Caller, state: SandboxState, content: bytes
) -> None:
    """A trailing comma, UTF-16 or a backslash that is not escaped: Error, with no word about the mapping file."""
    mapping = state.add_file(state.itwins[SEEDED.itwin].root_folder_id, "m.json", content)
    run = await service.export(inputOptions={"mappingFileId": mapping.id}, outputOptions={"saveLogs": True})
    assert run["result"] == "Error"
    assert "mapping" not in str(run).lower()
    log = next(item for item in state.items.values() if item.name == "Plant A.log")
    assert b"Cannot Parse Json File" in await service.download(log.id)


async def test_mapping_file_behind_an_expired_link_fails_the_run(service: Caller, state: SandboxState) -> None:
    """The platform reads the link when it exports."""
    state.blobs.put(USER_CONTAINER, "m.json", MAPPING)
    link = BASE + state.blobs.signed_path(USER_CONTAINER, "m.json", seconds=-1)
    assert (await service.export(inputOptions={"mappingfileBlobUrl": link}))["result"] == "Error"
