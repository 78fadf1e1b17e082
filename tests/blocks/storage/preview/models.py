"""Small models that are drawn: IFC files and tilesets, made by hand."""

import json
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from deployments.sandbox.content.tiles import TilesSubject, build_tiles

Json = dict[str, Any]
Color = tuple[float, float, float]

FRAME = """ISO-10303-21;
HEADER;
FILE_DESCRIPTION(('ViewDefinition [ReferenceView]'),'2;1');
FILE_NAME('a','2026-01-01T00:00:00',(''),(''),'','','');
FILE_SCHEMA(('IFC4'));
ENDSEC;
DATA;
#1=IFCCARTESIANPOINT((0.,0.,0.));
#2=IFCAXIS2PLACEMENT3D(#1,$,$);
#3=IFCGEOMETRICREPRESENTATIONCONTEXT($,'Model',3,1.E-05,#2,%s);
#4=IFCSIUNIT(*,.LENGTHUNIT.,$,.METRE.);
#5=IFCUNITASSIGNMENT((#4));
#6=IFCPROJECT('0YvctVUKr0kugbFTf53O9L',$,'P',$,$,$,$,(#3),#5);
#7=IFCLOCALPLACEMENT($,#2);
"""
END = "ENDSEC;\nEND-ISO-10303-21;\n"
ENDLESS = """#8=IFCBOOLEANRESULT(.UNION.,#8,#8);
#9=IFCSHAPEREPRESENTATION(#3,'Body','CSG',(#8));
#10=IFCPRODUCTDEFINITIONSHAPE($,$,(#9));
#11=IFCWALL('1YvctVUKr0kugbFTf53O9L',$,'W',$,$,#7,#10,$,$);
"""
"""A solid that is the union of itself: the geometry kernel follows it until its stack is full."""


def ifc(path: Path, body: str = "", true_north: str = "$") -> Path:
    """An IFC file with these instances."""
    path.write_text(FRAME % true_north + body + END)
    return path


def boxes(
    path: Path, sizes: Sequence[float], color: Color | None = None, *, in_row: int = 100_000, apart: float = 2.0
) -> Path:
    """An IFC file with cubes of these lengths, in rows."""
    with path.open("w") as file:
        file.write(FRAME % "$")
        for number, size in enumerate(sizes):
            place = (number % in_row * apart, number // in_row * apart)
            file.write(_box(100 + 10 * number, number, place, size, color))
        file.write(END)
    return path


def _box(at: int, number: int, place: tuple[float, float], size: float, color: Color | None) -> str:
    styled = (
        ""
        if color is None
        else (
            f"#{at + 7}=IFCSURFACESTYLE('s',.BOTH.,(#{at + 8}));\n#{at + 8}=IFCSURFACESTYLESHADING(#{at + 9},0.);\n"
            f"#{at + 9}=IFCCOLOURRGB($,{','.join(f'{share:.3f}' for share in color)});\n"
            f"#{at + 6}=IFCSTYLEDITEM(#{at + 2},(#{at + 7}),$);\n"
        )
    )
    return (
        f"#{at}=IFCCARTESIANPOINT(({place[0]:.3f},{place[1]:.3f},0.));\n#{at + 1}=IFCAXIS2PLACEMENT3D(#{at},$,$);\n"
        f"#{at + 2}=IFCBLOCK(#{at + 1},{size:.3f},{size:.3f},{size:.3f});\n"
        f"#{at + 3}=IFCSHAPEREPRESENTATION(#3,'Body','CSG',(#{at + 2}));\n"
        f"#{at + 4}=IFCPRODUCTDEFINITIONSHAPE($,$,(#{at + 3}));\n"
        f"#{at + 5}=IFCWALL('{number:022d}',$,'W{number}',$,$,#7,#{at + 4},$,$);\n" + styled
    )


def sandbox_tiles(folder: Path, tiles: int) -> Path:
    """The stand-in platform's tileset with so many tiles."""
    for name, blob in build_tiles(TilesSubject("imodel", "a" * 40, tiles), datetime.now(UTC)).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(blob.read())
    return folder


def tileset(folder: Path, root: Json, **files: bytes) -> Path:
    """A tileset with these files; an underscore in a name stands for its point."""
    folder.mkdir(exist_ok=True)
    (folder / "tileset.json").write_text(json.dumps({"asset": {"version": "1.1"}, "geometricError": 9, "root": root}))
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return folder


def cube_glb(*, version: int = 2, **members: Any) -> bytes:
    """A GLB of a cube of one metre; members go into the document."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype="<f4")
    faces = [(0, 1, 3), (0, 3, 2), (4, 6, 7), (4, 7, 5), (0, 4, 5), (0, 5, 1)]
    faces += [(2, 3, 7), (2, 7, 6), (0, 2, 6), (0, 6, 4), (1, 5, 7), (1, 7, 3)]
    indices = np.array(faces, dtype="<u2").tobytes()
    body = corners.tobytes() + indices
    document: Json = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": {"baseColorFactor": [0.0, 0.0, 1.0, 1.0]}}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 8, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 36, "type": "SCALAR"},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": corners.nbytes},
            {"buffer": 0, "byteOffset": corners.nbytes, "byteLength": len(indices)},
        ],
        "buffers": [{"byteLength": len(body)}],
    } | members
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", version, 12 + len(chunks)) + chunks


def b3dm(glb: bytes, features: Json) -> bytes:
    """A batched model around a GLB."""
    table = json.dumps(features).encode()
    size = 28 + len(table) + len(glb)
    return struct.pack("<4s6I", b"b3dm", 1, size, len(table), 0, 0, 0) + table + glb


def pixels_of(png: bytes) -> npt.NDArray[np.int64]:
    """The pixels of a picture in rows, without the labels below the model; one with many details is made smaller."""
    picture = Image.open(BytesIO(png))
    assert 7 * picture.width == 10 * picture.height
    return np.asarray(picture.convert("RGB"), dtype=np.int64)[: picture.height * 610 // 700]


def share_filled(png: bytes) -> tuple[float, float]:
    """The share of pixels that are not white, and the share of width or height that the model reaches across."""
    is_drawn = pixels_of(png).min(axis=2) < 250
    rows, columns = np.flatnonzero(is_drawn.any(axis=1)), np.flatnonzero(is_drawn.any(axis=0))
    height, width = is_drawn.shape
    return float(is_drawn.mean()), max(np.ptp(rows) / height, np.ptp(columns) / width)
