"""Find the changeset that a request asks for, by id, index or named version, else the latest: one request each."""

from pydantic import BaseModel, ConfigDict

from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import NamedVersion
from blocks.storage.manifest import VersionFacts
from tasks.current_export import BASELINE
from tasks.names import find_named_version


class ExportedChangeset(BaseModel):
    """A changeset of an iModel; the baseline has an empty id and index 0."""

    model_config = ConfigDict(frozen=True)

    id: str
    index: int
    version: VersionFacts | None = None


async def find_changeset(itwin: ItwinApis, imodel_id: str, changeset: str, named_version: str) -> ExportedChangeset:
    """The changeset of a named version, else the one with that id or index, else the latest.

    Raises:
        NotFoundError: There is no such iModel, changeset or named version.
        InputError: Several named versions are called as asked.
    """
    if named_version:
        version = await find_named_version(itwin, imodel_id, named_version)
        changeset_id = version.changeset_id or BASELINE
        return ExportedChangeset(id=changeset_id, index=version.changeset_index, version=_facts_of(version))
    found = await itwin.imodels.find_changeset(imodel_id, changeset)
    return ExportedChangeset(id=found.id, index=found.index) if found else ExportedChangeset(id=BASELINE, index=0)


def _facts_of(version: NamedVersion) -> VersionFacts:
    return VersionFacts(
        id=version.id,
        name=version.display_name,
        description=version.description,
        created_at=version.created_date_time,
    )
