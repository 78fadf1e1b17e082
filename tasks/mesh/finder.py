"""Find the mesh export of a changeset in the platform's list; request one if there is none."""

import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from blocks.errors import ExportTimeoutError, NotFoundError, RunFailedError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.mesh_models import MeshExport, MeshStatus
from blocks.itwin.transport import Precondition
from tasks.export_progress import current_progress
from tasks.freshness import FRESH_SECONDS, MAX_READS, StaleReadError, freshness_check
from tasks.mesh.options import MeshSpec
from tasks.polling import Log, PollBackoff, Poller

GRACE_PAUSES = 6
"""First pauses to wait for tiles that the platform makes by itself: 30 s with the usual setting."""
MISSES = 3
"""Lists in a row without an export that was there before: then it is gone."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)

Look = Callable[[], Awaitable[MeshExport | None]]


class EnsuredMesh(BaseModel):
    """The result of a request for tiles; `export_id` is set if no other tiles are accepted."""

    model_config = ConfigDict(frozen=True)

    export_id: str | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class MeshSearch:
    """Searches the mesh exports of an iModel for one that serves the spec.

    Args:
        export_id: Accept only this mesh export.
        fresh_seconds: Age at which a list is too old to decide that tiles must be requested.
    """

    itwin: ItwinApis
    spec: MeshSpec
    backoff: PollBackoff
    log: Log
    export_id: str | None = None
    fresh_seconds: float = FRESH_SECONDS
    _seen: str = ""
    _misses: int = 0
    _since: datetime | None = None
    _logged: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])

    async def exports(self) -> list[MeshExport]:
        """Those of the changeset and type, whatever their state.

        The list is narrowed to the changeset here, not there: what an empty one means there is not documented.
        """
        request = self.spec.request
        listed = self.itwin.meshes.list_exports(
            request.imodel_id,
            export_type=request.export_type,
            tile_version=request.tile_version or "",
            cdn=request.policy.cdn,
        )
        return self._fitting([export async for export in listed])

    def _fitting(self, exports: Iterable[MeshExport]) -> list[MeshExport]:
        """Those of the changeset and type, or the only one that will do."""
        fitting = [one for one in exports if one.is_of(self.spec.changeset_id, self.spec.request.export_type)]
        return [export for export in fitting if self.export_id in {None, export.id}]

    async def ensure(self) -> EnsuredMesh:
        """Request tiles if `start` says so and there are none.

        Raises:
            NotAuthorizedError: The caller may not request tiles.
        """
        match self.spec.policy.start:
            case "never":
                return EnsuredMesh()
            case "if-missing":
                return EnsuredMesh() if await self._appears_within_grace() else await self._post()
            case "always":
                return await self._post()

    async def complete_within(self, longest: timedelta) -> MeshExport | None:
        """The tiles once they are there; None if they are still being made after a wait of `longest`.

        Raises:
            RunFailedError: The platform could not make them.
            NotFoundError: They were in the list and are gone.
            ExportTimeoutError: The deadline passed first.
        """
        timeout = self.spec.policy.timeout
        with self.itwin.mesh_listings.joined():
            export = await self._poller(self._look, self._age, min(longest, timeout)).poll()
        if export is None and self._age() >= timeout:
            raise self._too_late()
        return export

    async def _appears_within_grace(self) -> bool:
        began = time.monotonic()

        async def look() -> MeshExport | None:
            return best_of(await self.exports())

        def waited() -> timedelta:
            return timedelta(seconds=time.monotonic() - began)

        grace = min(timedelta(seconds=GRACE_PAUSES * self.backoff.first), self.spec.policy.timeout)
        return await self._poller(look, waited, grace).poll() is not None

    def _age(self) -> timedelta:
        clock = self.itwin.client.clock
        self._since = clock.not_ahead(self._since or self.spec.first_started)
        return clock.elapsed_since(self._since)

    async def _post(self) -> EnsuredMesh:
        """Ask for tiles, unless some turned up meanwhile: by themselves, or from a request whose answer was lost."""
        for number in range(MAX_READS):
            check = freshness_check(number, fresh_seconds=self.fresh_seconds)
            if (present := best_of([one for one in await self.exports() if self.serves(one)])) is not None:
                return self._asked(present)
            try:
                return self._asked(await self._start(check))
            except StaleReadError:
                continue
        raise AssertionError

    def serves(self, export: MeshExport) -> bool:
        """Whether it makes a request needless: with `always` only if it was made since the flow run started."""
        if self.spec.policy.start != "always":
            return True
        since = self.spec.first_started.replace(microsecond=0)  # mesh exports are dated in whole seconds
        return not export.is_invalid and (export.last_modified or _LONG_AGO) >= since

    async def _start(self, check: Precondition) -> MeshExport | None:
        request = self.spec.request
        return await self.itwin.meshes.start_export(
            request.imodel_id, self.spec.changeset_id, request.export_type, check=check
        )

    def _asked(self, started: MeshExport | None) -> EnsuredMesh:
        if started is None:
            warning = f"The platform takes no requests for tiles here; waiting for {self.spec.subject} to be made."
            self.log.warning(warning)
            return EnsuredMesh(warnings=(warning,))
        self.log.info("Mesh export %s is to bring %s.", started.id, self.spec.subject)
        return EnsuredMesh(export_id=started.id if self.spec.policy.start == "always" else None)

    async def _look(self) -> MeshExport | None:
        export = best_of(await self._shared_listing() or await self.exports())
        if export is None:
            self._miss()
            return None
        self._seen, self._misses = export.id, 0
        self._log_state(export)
        if export.is_invalid:
            raise RunFailedError(
                f"Mesh export {export.id} is Invalid: the platform could not make {self.spec.subject}"
                f"{f' ({export.error})' if export.error else ''}. Have them made anew with start=always, or export "
                f"another changeset."
            )
        return export if export.is_complete else None

    async def _shared_listing(self) -> list[MeshExport]:
        """What one list tells all searches that wait; nothing before the export of this one has turned up.

        The common list does not tell which tiles are compatible with a version.
        """
        request = self.spec.request
        if not self._seen or request.tile_version:
            return []
        return self._fitting(await self.itwin.mesh_listings.exports_of(request.imodel_id, request.export_type))

    def _miss(self) -> None:
        self._misses += 1
        if self._seen and self._misses >= MISSES:
            raise not_found_error(self._seen, self.spec)

    def _log_state(self, export: MeshExport) -> None:
        state = (export.id, str(export.status))
        if state in self._logged:
            return
        self._logged.add(state)
        current_progress().note_run(export.id)
        current_progress().note_state(str(export.status))
        if isinstance(export.status, MeshStatus):
            self.log.info("Mesh export %s: %s", *state)
        else:
            self.log.warning("Mesh export %s is in the unknown state “%s”; waiting on.", *state)

    def _poller(self, look: Look, age: Callable[[], timedelta], timeout: timedelta) -> Poller[MeshExport]:
        name = f"the mesh exports of iModel {self.spec.request.imodel_id}"
        return Poller(name, look, age, timeout, self.backoff, self.log, self.itwin.poll_slots)

    def _too_late(self) -> ExportTimeoutError:
        minutes = self.spec.policy.timeout.total_seconds() / 60
        seen = f"mesh export {self._seen} is not complete yet" if self._seen else "no mesh export turned up"
        hint = " Let them be asked for: start=if-missing." if self.spec.policy.start == "never" else ""
        return ExportTimeoutError(
            f"There were no {self.spec.subject} within {minutes:g} minutes: {seen}. The platform goes on: run the "
            f"same command again to pick them up, with a larger timeout_minutes if it needs longer.{hint}"
        )


def best_of(exports: Sequence[MeshExport]) -> MeshExport | None:
    """The one to use: a complete one, else one that may come to be, else an invalid one; the newest of its kind."""
    return max(
        exports,
        key=lambda export: (export.is_complete, not export.is_invalid, export.last_modified or _LONG_AGO),
        default=None,
    )


def not_found_error(export_id: str, spec: MeshSpec) -> NotFoundError:
    """What to say of an export that was in the list and is not any more."""
    return NotFoundError(
        f"Mesh export {export_id} is gone from the platform, and there are no other {spec.subject}: only about five "
        f"mesh exports of an iModel are kept. Export the latest changeset, or have these made anew with start=always."
    )
