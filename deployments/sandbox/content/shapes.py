"""The shapes that tiles are made from."""

from typing import Any

import trimesh
from trimesh.visual.material import PBRMaterial


def build_glb(shape: str, color: tuple[int, int, int], note: str) -> bytes:
    """A GLB of one colored shape, with a note in the extras of its asset."""
    kit: Any = trimesh
    mesh = _mesh(kit.creation, shape)
    # glTF has y up; a tile's shape stands in the middle of its cell.
    mesh.apply_translation((6, 5, -6))
    material: Any = PBRMaterial(baseColorFactor=[*color, 255], metallicFactor=0.0, roughnessFactor=0.9)
    mesh.visual = kit.visual.TextureVisuals(material=material)

    def annotate(tree: dict[str, Any]) -> None:
        tree["asset"]["extras"] = {"tile": note}

    glb = kit.exchange.gltf.export_glb(kit.Scene(mesh), include_normals=False, tree_postprocessor=annotate)
    return bytes(glb)


def _mesh(creation: Any, shape: str) -> Any:
    kind, _, detail = shape.partition(" ")
    if kind == "box":
        return creation.box(extents=(8, 6, 9))
    if kind == "cylinder":
        return creation.cylinder(radius=4, height=9, sections=24)
    return creation.icosphere(subdivisions=int(detail), radius=4)
