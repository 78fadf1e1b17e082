"""Headers of published objects, so that browsers and CesiumJS can read them straight from the store."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # obstore names it in its stubs only
    from obstore import Attributes

_TYPES = {
    ".json": "application/json",
    ".geojson": "application/geo+json",
    ".ifc": "application/x-step",
    ".glb": "model/gltf-binary",
    ".gltf": "model/gltf+json",
    ".html": "text/html; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".ktx2": "image/ktx2",
}
"""By suffix; everything else (subtrees, b3dm, pnts, bin) is application/octet-stream."""
REVALIDATED = "no-cache"
"""Names whose content changes: a cache asks whether it still has the current one."""
IMMUTABLE = "public, max-age=31536000, immutable"


def headers_of(name: str, cache: str = REVALIDATED) -> "Attributes":
    """The headers Content-Type and Cache-Control that an object is uploaded with."""
    kind = _TYPES.get(PurePosixPath(name).suffix.lower(), "application/octet-stream")
    return {"Content-Type": kind, "Cache-Control": cache}
