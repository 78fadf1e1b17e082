"""One list of the mesh exports of all iModels serves many searches that wait at the same time.

It serves only exports that are known to be in the making: listing the exports of one iModel is also what makes the
platform begin, so each iModel is listed by itself until its export has turned up.
"""

import asyncio
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

from blocks.errors import ExportError
from blocks.itwin.api.meshes import MeshExportApi
from blocks.itwin.mesh_models import MeshExport

BULK_LIST_THRESHOLD = 8
"""From this number of waiting searches on, one list of all iModels costs less than a list for each."""
MOST_LISTED = 5000
LONGEST_PAGE = 1000
FRESH_SECONDS = 2.0


@dataclass
class MeshListingCache:
    """The last list of the mesh exports of all iModels that the caller can see.

    It belongs to the open API clients of one caller (`ItwinApis.mesh_listings`) and ends with them.
    """

    meshes: MeshExportApi
    waiting: int = 0
    _listed: dict[str, list[MeshExport]] = field(default_factory=dict[str, list[MeshExport]])
    _export_type: str = ""
    _listed_at: float = float("-inf")
    _problem: ExportError | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @contextmanager
    def joined(self) -> Generator[None]:
        """Count the caller as a waiting search."""
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1

    async def exports_of(self, imodel_id: str, export_type: str) -> list[MeshExport]:
        """The mesh exports of an iModel; empty if the list does not contain them: list that iModel by itself then.

        Raises:
            ExportError: The list could not be read just now.
        """
        if self.waiting < BULK_LIST_THRESHOLD:
            return []
        async with self._lock:
            is_fresh = time.monotonic() - self._listed_at < FRESH_SECONDS and export_type == self._export_type
            if not is_fresh:
                await self._list(export_type)
        if self._problem is not None:
            raise self._problem
        return self._listed.get(imodel_id.lower(), [])

    async def _list(self, export_type: str) -> None:
        """Read the list anew; it stays empty if the platform does not list all iModels together."""
        found: dict[str, list[MeshExport]] = {}
        count, self._problem = 0, None
        try:
            async for export in self.meshes.list_exports(export_type=export_type, page_size=LONGEST_PAGE):
                found.setdefault((export.request.imodel_id if export.request else "").lower(), []).append(export)
                count += 1
                if count == MOST_LISTED:
                    break
        except ExportError as error:
            found, self._problem = {}, error if error.is_transient else None
        self._listed, self._export_type, self._listed_at = found, export_type, time.monotonic()
