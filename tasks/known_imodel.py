"""What was read of an iModel before its export began, so that the export does not read it again.

A batch knows its iModels from their list; the command line looks at the platform before it imports Prefect.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from blocks.itwin.models import IModel
from tasks.exported_changeset import ExportedChangeset
from tasks.names import names_of
from tasks.options import ExportRequest, Names


@dataclass(frozen=True)
class ReadChangeset:
    """The changeset to export, and when it was read by the platform's clock."""

    found: ExportedChangeset
    read_at: datetime


@dataclass(frozen=True)
class KnownIModel:
    """An iModel that has been read, its names as far as they were told, and the changeset if that was read too.

    `asked` is what the request calls it: its id or a name.
    """

    asked: str
    id: str
    names: Names
    changeset: ReadChangeset | None = None


_known: ContextVar[KnownIModel | None] = ContextVar("known_imodel", default=None)


@contextmanager
def known_imodel(known: KnownIModel | None) -> Generator[None]:
    """Set what the exports of this context need not read."""
    token = _known.set(known)
    try:
        yield
    finally:
        _known.reset(token)


def listed_imodel(imodel: IModel) -> KnownIModel:
    """An iModel that a batch has listed."""
    return KnownIModel(asked=imodel.id, id=imodel.id.lower(), names=names_of(imodel))


def find_known(request: ExportRequest) -> KnownIModel | None:
    """What was already read about the request's iModel; None if nothing was, so that it has to be read."""
    known = _known.get()
    return known if known and request.imodel_id in {known.asked, known.id} else None


def known_names() -> Names:
    """The names that are known before the export begins; none for a single flow run."""
    known = _known.get()
    return known.names if known else Names()


def find_known_changeset(request: ExportRequest) -> ReadChangeset | None:
    """The changeset that was read before the export began; None if it is to be read."""
    known = find_known(request)
    return known.changeset if known else None
