"""The content report of an export as a file beside its manifest."""

import hashlib
from pathlib import Path

from blocks.disk import disk_errors, write_whole
from blocks.storage.content.models import CONTENT_NAME, ExportContent
from blocks.storage.manifest import ManifestFile


def write_content(folder: Path, content: ExportContent) -> ManifestFile:
    """Write `content.json` into a staging folder, to be published with the files it is about.

    Raises:
        DiskError: The file cannot be written.
    """
    text = content.model_dump_json(indent=1).encode()
    with disk_errors(folder):
        write_whole(folder / CONTENT_NAME, text)
    return ManifestFile(path=CONTENT_NAME, role="content", size=len(text), sha256=hashlib.sha256(text).hexdigest())
