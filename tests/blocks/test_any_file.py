"""Whatever lies in a file that a user names, or others can write to, a reader of it ends with a value or a sentence.

`make test` spends about a second on each reader, `make campaign` a minute.
"""

import json
import time
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import pytest
from pydantic import ValidationError

from blocks.storage.acceptance.acceptance_rules import AcceptanceRules
from blocks.storage.acceptance.ids.documents import read_document
from blocks.storage.acceptance.judgement import judge, reasons
from blocks.storage.acceptance.rules import GivenRules, Rules
from blocks.storage.acceptance.rules_file import describe_fault, parse_rules
from blocks.storage.content.difference import Change, ExportBefore, IfcDifference
from blocks.storage.content.models import ExportContent, summarize_ifc
from blocks.storage.content_file import read_content
from blocks.storage.history import label_of, read_kept
from blocks.storage.manifest import Manifest, ManifestFile, read_manifest
from blocks.storage.preview.tileset_shapes import read_tileset
from deployments.cli.listed_exports import list_exports
from deployments.cli.listed_rows import cell
from deployments.viewer.server import find_items
from tasks.acceptance import read_rules
from tasks.ifc.mapping_json import check_mapping
from tests.blocks.storage.acceptance.ids_texts import FAILING
from tests.blocks.storage.content.test_global_ids import make, written
from tests.blocks.storage.preview.models import b3dm, cube_glb
from tests.blocks.storage.test_publish import manifest_of
from tests.blocks.storage.tileset.foreign_tilesets import cmpt
from tests.blocks.storage.tileset.tilesets import tile
from tests.made_up_input import CAMPAIGN_SECONDS, SECONDS, Target, files, try_for
from tests.tampering import damaged, overwritten

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RULES: dict[str, Any] = {
    "on_rejected": "publish",
    "ids": ["no-such.ids"],
    "ifc": {
        "within": [11.3, 48.0, 11.8, 48.3], "max_shrink_percent": 5, "min_elements": 1, "require": {"IfcWall": 1},
        "forbid": ["IfcFurniture"], "max_proxy_percent": 10.0, "georeference": "required", "unique_global_ids": True,
        "whole_references": True, "min_storeys": 1, "max_bytes": 10, "application": "iTwin",
    },
    "mesh": {"within": [170, -10, -170, 10], "max_growth_percent": 1, "min_tiles": 1, "forbid_extensions": ["a"]},
}  # fmt: skip
TOML = b"""on_rejected = "publish"
ids = ["no-such.ids"]
[ifc]
within = [11.3, 48.0, 11.8, 48.3]
require.IfcWall = 1
georeference = "required"
application = "iTwin"
[mesh]
min_tiles = 1
"""
PLACES = [
    {"source": "map_conversion", "crs": "EPSG:25832", "eastings": 6.9e5, "northings": 5.3e6, "height": 1.0},
    {"source": "site", "latitude": 48.1, "longitude": 11.5},
]
BEFORE = {"changeset_id": "a", "changeset_index": 7, "created_at": "2026-11-20T00:00:00Z", "same_options": False}
CONTENT: dict[str, Any] = {
    "content_version": 1,
    "ifc": [
        {
            "path": "a.ifc", "size": 9, "ifc_schema": "IFC4", "application": "a", "applications": ["b"], "instances": 3,
            "entities": {"IfcWall": 2}, "products": {"IfcWall": 2}, "elements": 2, "storeys": 1, "proxies": 1,
            "proxy_percent": 50.0, "units": {"LENGTHUNIT": "METRE"}, "georeferences": PLACES, "missing_references": 0,
        },
    ],
    "tileset": {
        "version": "1.1", "tiles": 2, "size": 9, "levels": {"0": 1, "1": 1}, "kinds": {"glb": 2},
        "largest_tile": {"path": "a", "size": 5}, "dimensions": [1.0, 2.0, 3.0], "extensions_required": ["a"],
        "extent": {"west": 1.0, "south": 2.0, "east": 3.0, "north": 4.0, "lowest": 0.0, "highest": 1.0},
    },
    "difference": {
        "format": "ifc", "before": BEFORE, "added": 1, "gone": 1, "kept": 1, "changed_classes": 1,
        "classes": {"IfcWall": {"added": 1, "gone": 1, "kept": 1}},
    },
}  # fmt: skip
CHECK = {"rule": "ifc.min_elements", "result": "failed", "limit": 3, "measured": [2], "note": "a"}
LISTED = {"path": "a.ifc", "role": "model", "size": 1, "sha256": "0", "mtime_ns": 1, "etag": "1", "md5": "2"}
MANIFEST: dict[str, Any] = manifest_of().model_dump(mode="json") | {
    "imodel_name": "Plant", "changeset_id": "a", "changeset_index": 7, "export_format": 1, "adopted": True,
    "named_version": {"id": "v", "name": "V", "description": "d", "created_at": "2026-11-20T00:00:00Z"},
    "warnings": ["a"], "verdict": "rejected", "checks": [CHECK], "preview_reason": "a", "versions": {"a": "b"},
    "acceptance": {"source": "a", "sha256": "0", "warnings": ["a"]}, "tile_count": 1, "total_bytes": 1,
    "previous": {"changeset_id": "a", "created_at": "2026-11-20T00:00:00Z", "count": 3}, "files": [LISTED],
    "content": summarize_ifc(ExportContent.model_validate(CONTENT).ifc).model_dump(mode="json"),
    "difference": CONTENT["difference"],
}  # fmt: skip
MAPPING = {"Rows": [{"Class": ["A", "B", "IfcWall"]}, {"Class": ["A", "B"], "IFC4x3": "IfcNone", "IFC4": "IfcDoor"}]}
CUBE = json.loads(cube_glb()[20 : 20 + int.from_bytes(cube_glb()[12:16], "little")])
CUBE_TILE = b3dm(cube_glb(), {"BATCH_LENGTH": 0, "RTC_CENTER": [4e6, 1e6, 4.8e6]})
CORNER = tile("a", transform=[1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 4.1e6, 8.5e5, 4.7e6, 1])


def read_toml(content: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "rules.toml")
        path.write_bytes(content)
        _ = read_rules(str(path)).sha256


def read_rule_members(content: bytes) -> None:
    """As rules come from a TOML file, and from a block."""
    members = members_of(content)
    parse_rules(members, "The rules")
    try:
        AcceptanceRules.model_validate(members).to_rules()
    except ValidationError as error:
        describe_fault(error).encode()


def members_of(content: bytes) -> dict[str, Any]:
    """The members of a JSON object, none for all else."""
    try:
        value: object = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def read_ids(content: bytes) -> None:
    read_document("a.ids", content).text.encode()


def read_mapping(content: bytes) -> None:
    for warning in check_mapping(content, "a.json", "IFC4.3").warnings:
        assert len(warning.encode()) < 5_000


def read_global_ids(content: bytes) -> None:
    changes = make(IfcWall=9, IfcDoor=2).changes_since(BytesIO(content))
    before = ExportBefore(changeset_id="a", changeset_index=7, created_at=NOW, same_options=True)
    counts = dict.fromkeys(("added", "gone", "kept", "changed_classes"), 1)
    assert all(isinstance(change, Change) for change in changes.values())
    IfcDifference(before=before, classes=changes, **counts).sentence().encode()


def read_kept_content(content: bytes) -> None:
    """As it is read to judge an export again."""
    with TemporaryDirectory() as folder:
        Path(folder, "content.json").write_bytes(content)
        manifest = manifest_of()
        listed = ManifestFile(path="content.json", role="content", size=1, sha256="0")
        found = read_content(Path(folder), manifest.model_copy(update={"files": (listed,), "format": "mesh"}))
        show(found)


def show(content: ExportContent) -> None:
    """What is said about the content of an export, and its verdict."""
    summary, difference = content.summary(), content.short_difference()
    for said in (summary, difference):
        if said:
            said.sentence().encode()
    rules = Rules.model_validate(RULES | {"ids": []})
    checks = judge(GivenRules(source="a", rules=rules), content, Path(), None).checks
    reasons(checks).encode()
    content.model_dump_json()


def read_exports(content: bytes) -> None:
    """A generated manifest beside a valid one, read by `list exports`, the viewer and the history."""
    with TemporaryDirectory() as folder:
        exports = [Path(folder, name, "ifc") for name in ("a", "b")]
        for export, text in zip(exports, (content, json.dumps(MANIFEST).encode()), strict=True):
            export.mkdir(parents=True)
            (export / "manifest.json").write_bytes(text)
            (export / "a.ifc").touch()
        for row in list_exports(Path(folder)):
            "".join(map(cell, row.values()))
        for item in find_items(Path(folder)):
            "".join(item.facts).encode("utf-8", "replace")
        if manifest := read_manifest(exports[0]):
            show_manifest(manifest)
        read_kept(Path(folder))


def show_manifest(manifest: Manifest) -> None:
    label_of(manifest)
    reasons(manifest.checks)
    manifest.model_dump_json()
    for said in (manifest.content, manifest.difference):
        if said:
            said.sentence()
    judge(
        GivenRules(source="a", rules=Rules.model_validate(RULES | {"ids": []})), NOTHING_NEW, Path(), manifest.previous
    )


NOTHING_NEW = ExportContent.model_validate(CONTENT)


def read_shapes(content: dict[str, bytes]) -> None:
    with TemporaryDirectory() as name, np.errstate(all="ignore"):
        folder = Path(name)
        document = {"asset": {"version": "1.1"}, "geometricError": 9, "root": CORNER}
        for file, text in ({"tileset.json": json.dumps(document).encode(), "a": cube_glb()} | content).items():
            (folder / file).write_bytes(text)
        model = read_tileset(folder, time.monotonic() + 2)
        assert np.isfinite(model.points).all()
        assert 0 <= model.triangles.min() <= model.triangles.max() < len(model.points)


def with_body(document: bytes) -> bytes:
    return cube_glb(**members_of(document)) if members_of(document) else document


TARGETS = {
    "rules in TOML": Target(read_toml, overwritten(TOML)),
    "rules": Target(read_rule_members, damaged(RULES)),
    "IDS": Target(read_ids, overwritten(FAILING.encode())),
    "mapping": Target(read_mapping, damaged(MAPPING) | overwritten(json.dumps(MAPPING).encode())),
    "GlobalIds": Target(read_global_ids, overwritten(written(make(IfcWall=20, IfcDoor=3)))),
    "content": Target(read_kept_content, damaged(CONTENT)),
    "manifest": Target(read_exports, damaged(MANIFEST)),
    "shapes of a tileset": Target(read_shapes, files(tileset_json=damaged({"asset": {}, "root": CORNER}))),
    "shapes of a glTF": Target(read_shapes, files(a=damaged(CUBE).map(with_body))),
    "shapes of a tile": Target(read_shapes, files(a=overwritten(cmpt(CUBE_TILE, CUBE_TILE)))),
}


@pytest.mark.parametrize("name", TARGETS)
def test_any_file(name: str) -> None:
    """A second of made-up input leaves a value or an error whose text can be shown."""
    assert try_for(SECONDS, TARGETS[name]) > 0


@pytest.mark.campaign
@pytest.mark.parametrize("name", TARGETS)
def test_any_file_for_a_minute(name: str) -> None:
    """A minute of made-up input leaves a value or an error whose text can be shown."""
    assert try_for(CAMPAIGN_SECONDS, TARGETS[name]) > 0
