"""The process that draws: `python -m blocks.storage.preview PARENT SECONDS MEMORY ifc|mesh|trial FOLDER SOURCE…`.

It alone parses foreign data for the picture. It may crash, and it has limits; it writes `preview.png` into the folder,
and into `reason` why there is no picture, or what the picture lacks.
"""

import sys
import time
from pathlib import Path

from blocks.storage.preview.limits import READING_SHARE, limit_drawing
from blocks.storage.preview.shapes import Model, NoPictureError, one_triangle


def main(parent: str, seconds: str, memory: str, kind: str, folder: str, *sources: str) -> None:
    """Draw the sources into a folder."""
    limit_drawing(int(parent), int(seconds), int(memory))
    deadline = time.monotonic() + READING_SHARE * int(seconds)
    try:
        from blocks.storage.preview.scene import draw  # noqa: PLC0415  VTK, within the limits

        model = _read(kind, [Path(source) for source in sources], deadline)
        draw(model, Path(folder) / "preview.png")
        reason = f"it is without {model.left_out}" if model.left_out else ""
    except NoPictureError as error:
        reason = str(error)
    (Path(folder) / "reason").write_text(reason, encoding="utf-8")


def _read(kind: str, sources: list[Path], deadline: float) -> Model:
    if kind == "trial":
        return one_triangle()
    if kind == "ifc":
        from blocks.storage.preview.ifc_shapes import read_ifc  # noqa: PLC0415  not for tilesets

        return read_ifc(sources, deadline)
    from blocks.storage.preview.tileset_shapes import read_tileset  # noqa: PLC0415  not for files

    return read_tileset(sources[0], deadline)


if __name__ == "__main__":
    main(*sys.argv[1:])
