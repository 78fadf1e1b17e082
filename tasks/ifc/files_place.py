"""Where the files of one flow run are published: an object store takes them while they are downloaded."""

import dataclasses
from collections.abc import Generator
from contextlib import closing, contextmanager

from blocks.storage.destination.published_export import PublishedExport
from blocks.storage.destination.stored_export import StoredExport
from blocks.storage.download.early_file import EarlyFile, NoEarlyFile
from tasks.ifc.options import IfcRequest


@contextmanager
def place_for_files(request: IfcRequest) -> Generator[PublishedExport]:
    """The place where files will be published; what it has taken and not published when the block ends is removed."""
    place = request.published
    if not isinstance(place, StoredExport):
        yield place
        return
    with closing(place.new_uploads()) as files:
        yield dataclasses.replace(place, files=files)


def early_file_of(place: PublishedExport) -> EarlyFile:
    """What takes files for a place while they are downloaded."""
    files = place.files if isinstance(place, StoredExport) else None
    return files or NoEarlyFile()
