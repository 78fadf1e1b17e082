"""The state of a sandbox, and the operations that change it."""

import threading
from collections import Counter, deque
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Literal

from deployments.sandbox.clock import Clock
from deployments.sandbox.faults.faults import Faults
from deployments.sandbox.ids import changeset_id, guid, pair_id
from deployments.sandbox.state.blobs import BlobAccount
from deployments.sandbox.state.entities import (
    Changeset,
    Connection,
    IModel,
    ITwin,
    LoggedRequest,
    NamedVersion,
    Outcome,
    Run,
    StorageItem,
)
from deployments.sandbox.state.identity import IDENTITY, SCOPE
from deployments.sandbox.state.meshes import Meshes
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.tokens import Grant, Tokens
from deployments.sandbox.state.webhooks import Webhooks

LOG_LENGTH = 200_000
FILES = "files"
"""The container that holds the bytes of Storage files."""
UPLOADS = "uploads"
"""The container that takes the bytes of Storage files until the upload is completed."""


class SandboxState:
    """One sandbox's state; safe to change from another thread while it serves."""

    def __init__(self, clock: Clock | None = None, options: Options | None = None) -> None:
        self.clock = clock or Clock()
        self.options = options or Options()
        self.faults = Faults()
        self.tokens = Tokens(self.clock)
        self.blobs = BlobAccount(self.clock)
        self.meshes = Meshes(self.clock, self.options, self.blobs)
        self.webhooks = Webhooks(self.clock, self.options)
        self.itwins: dict[str, ITwin] = {}
        self.imodels: dict[str, IModel] = {}
        self.connections: dict[str, Connection] = {}
        self.active_runs: dict[str, Run] = {}
        self.listed_connections: dict[tuple[str, int, int], str] = {}
        """Which iModel a page of connections belongs to, by caller, `$skip` and `$top`: its links do not say."""
        self.items: dict[str, StorageItem] = {}
        self.announced: dict[str, StorageItem] = {}
        """New files whose upload is not completed yet."""
        self.file_aliases: dict[str, str] = {}
        """Other ids that Storage knows a file by."""
        self.consents: set[str] = set()
        self.denied: set[str] = set()
        """Ids of iTwins and iModels the caller gets 403 for."""
        self.log: deque[LoggedRequest] = deque(maxlen=LOG_LENGTH)
        self.counters: Counter[str] = Counter()
        self._outcomes: dict[str, deque[Outcome]] = {}
        self._usual: dict[str, Outcome] = {}
        self._serials: dict[str, count[int]] = {}
        self._lock = threading.Lock()
        user = Grant(IDENTITY.native.id, IDENTITY.user, (SCOPE, "offline_access"))
        self.tokens.refresh_tokens[IDENTITY.refresh_token] = user

    def next_number(self, kind: str) -> int:
        """The next number of a kind of thing, so that ids do not depend on other kinds."""
        with self._lock:
            return next(self._serials.setdefault(kind, count(1)))

    # iTwins and iModels

    def add_itwin(self, name: str, itwin_id: str | None = None) -> ITwin:
        """A new iTwin with an empty Storage; names need not be unique. Its id is made from the name unless given."""
        key = itwin_id or self._free_id(self.itwins, "itwin", name)
        root = self._add_folder("", key, None, guid("root", key))
        self.itwins[key] = ITwin(key, name, root.id, self.clock.now() - timedelta(days=60))
        return self.itwins[key]

    def add_imodel(
        self, itwin_id: str, name: str, *, changesets: int = 0, elements: int = 40, tiles: int = 64
    ) -> IModel:
        """A new iModel with some history; names need not be unique."""
        created = self.clock.now() - timedelta(days=30)
        key = self._free_id(self.imodels, "imodel", itwin_id, name)
        imodel = IModel(key, itwin_id, name, created, elements=elements, tiles=tiles)
        self.imodels[imodel.id] = imodel
        for index in range(1, changesets + 1):
            self.push_changeset(imodel.id, at=created + timedelta(minutes=index))
        return imodel

    def push_changeset(self, imodel_id: str, *, gap: int = 0, at: datetime | None = None) -> Changeset:
        """Push a changeset; a gap leaves indices out, as the platform sometimes does.

        Without `at` (a time in the past) new tiles are generated and webhooks are notified.
        """
        imodel = self.imodels[imodel_id]
        latest = imodel.latest
        index = (latest.index if latest else 0) + 1 + gap
        parent = latest.id if latest else ""
        changeset = Changeset(changeset_id(imodel_id, index), index, parent, at or self.clock.now(), f"Change {index}")
        imodel.changesets.append(changeset)
        if at is None:
            self.meshes.ensure_latest(imodel)
            content = _event_content(imodel, changeset)
            if self.options.changes_ready_content == "imodel-only":
                content = {"imodelId": imodel.id}
            self.webhooks.notify("iModels.changesReady.v1", imodel.itwin_id, content)
        return changeset

    def name_version(
        self, imodel_id: str, name: str, *, index: int | None = None, description: str | None = None
    ) -> NamedVersion:
        """Create a named version on the changeset with this index: 0 is the baseline, None the latest changeset."""
        imodel = self.imodels[imodel_id]
        named = imodel.latest if index is None else next((c for c in imodel.changesets if c.index == index), None)
        if index and named is None:
            raise ValueError(f"there is no changeset {index}")
        known = {version.id for version in imodel.named_versions}
        version = NamedVersion(
            self._free_id(known, "version", imodel_id, name),
            name,
            named.id if named else None,
            named.index if named else 0,
            self.clock.now(),
            description=description,
        )
        imodel.named_versions.append(version)
        content = _event_content(imodel, named) | {"userId": guid(IDENTITY.user), "versionId": version.id}
        self.webhooks.notify("iModels.namedVersionCreated.v1", imodel.itwin_id, content)
        return version

    def _free_id(self, known: Collection[str], kind: str, *names: str) -> str:
        """The id that follows from the names, or another where that is taken."""
        key = guid(kind, *names)
        return guid(kind, *names, self.next_number(kind)) if key in known else key

    # Export runs

    def script(self, imodel_id: str, *outcomes: Outcome) -> None:
        """How the next runs of this iModel end, in order; later runs end as usual."""
        self._outcomes.setdefault(imodel_id, deque()).extend(outcomes)

    def script_always(self, imodel_id: str, outcome: Outcome) -> None:
        """How every run of this iModel ends."""
        self._usual[imodel_id] = outcome

    def take_outcome(self, imodel_id: str) -> Outcome:
        """The outcome of a run that starts now."""
        waiting = self._outcomes.get(imodel_id)
        outcome = waiting.popleft() if waiting else self._usual.get(imodel_id, Outcome())
        if outcome.result.startswith("Cancel"):
            return replace(outcome, result=self.options.canceled_spelling)
        return outcome

    @property
    def runs(self) -> Iterable[Run]:
        """Every run of every connection."""
        return (run for connection in list(self.connections.values()) for run in connection.runs)

    def runs_of(self, imodel_id: str) -> list[Run]:
        """The runs ever created for an iModel, oldest first."""
        return sorted((run for run in self.runs if run.imodel_id == imodel_id), key=lambda r: r.started_at)

    # Storage

    def add_folder(self, itwin_id: str, name: str, parent_id: str | None = None) -> StorageItem:
        """A folder below another, or below the root."""
        parent = parent_id or self.itwins[itwin_id].root_folder_id
        same = sum(item.name == name for item in self.children(parent))
        key = guid("folder", parent, name, same) if same else guid("folder", parent, name)
        return self._add_folder(name, itwin_id, parent, key)

    def add_file(self, parent_id: str, name: str, content: bytes, *, imodel_id: str | None = None) -> StorageItem:
        """A new file; names need not be unique."""
        item = self._new_file(parent_id, name)
        item.source_imodel_id = imodel_id
        self.items[item.id] = item
        self.overwrite(item, content)
        return item

    def announce_file(self, parent_id: str, name: str, description: str) -> StorageItem:
        """A file that is listed once its upload is completed; names need not be unique."""
        item = self._new_file(parent_id, name)
        item.description = description
        self.announced[item.id] = item
        return item

    def complete_upload(self, file_id: str, *, is_reset: bool) -> StorageItem | None:
        """The file with what was uploaded, or empty if `is_reset`; none where nothing was uploaded yet."""
        upload = self.blobs.get(UPLOADS, file_id)
        item = self.items.get(file_id) or (self.announced.get(file_id) if upload or is_reset else None)
        if item is None:
            return None
        self.items[item.id] = self.announced.pop(item.id, item)
        if upload or is_reset:
            self.overwrite(item, b"" if upload is None or is_reset else upload.read())
            self.blobs.delete(UPLOADS, item.id)
        return item

    def delete_item(self, item: StorageItem) -> None:
        """Remove a file, or a folder with everything in it."""
        for child in self.children(item.id):
            self.delete_item(child)
        self.blobs.delete(FILES, item.id)
        self.items.pop(item.id, None)

    def overwrite(self, item: StorageItem, content: bytes) -> None:
        """New bytes for a file."""
        self.blobs.put(FILES, item.id, content)
        item.size = len(content)
        item.modified_at = self.clock.now()

    def children(self, folder_id: str) -> list[StorageItem]:
        """The items directly in a folder: folders first, then by name."""
        found = [item for item in list(self.items.values()) if item.parent_id == folder_id]
        return sorted(found, key=lambda item: (item.type == "file", item.name, item.created_at))

    def path_of(self, item: StorageItem) -> str:
        """Names from below the root, joined by slashes."""
        parent = self.items.get(item.parent_id or "")
        return f"{self.path_of(parent)}/{item.name}" if parent and parent.name else item.name

    def _add_folder(self, name: str, itwin_id: str, parent_id: str | None, key: str) -> StorageItem:
        folder = self._new_item("folder", name, itwin_id, parent_id, key)
        self.items[folder.id] = folder
        return folder

    def _new_file(self, parent_id: str, name: str) -> StorageItem:
        key = guid("file", parent_id, name, self.next_number("file"))
        return self._new_item("file", name, self.items[parent_id].itwin_id, parent_id, key)

    def _new_item(
        self, kind: Literal["file", "folder"], name: str, itwin_id: str, parent_id: str | None, key: str
    ) -> StorageItem:
        now = self.clock.now()
        return StorageItem(pair_id(itwin_id, key), kind, name, itwin_id, parent_id, now, now)


def _event_content(imodel: IModel, changeset: Changeset | None) -> dict[str, str]:
    """The content of an event about a changeset; the index is a string there."""
    return {
        "imodelId": imodel.id,
        "changesetId": changeset.id if changeset else "",
        "changesetIndex": str(changeset.index if changeset else 0),
    }
