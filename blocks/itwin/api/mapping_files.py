"""Uploads mapping files to the iTwin's Storage; each content is stored once."""

import asyncio
from dataclasses import dataclass, field

from blocks.itwin.api.storage import StorageApi
from blocks.itwin.storage_models import StorageFile

FOLDER_NAME = "itwin-export mapping files"
"""Name of the folder in the root folder of the iTwin's Storage."""


@dataclass
class MappingFiles:
    """The mapping files that one caller has found in Storage or uploaded; simultaneous exports upload one.

    It belongs to the open API clients of the caller (`ItwinApis.mapping_files`) and ends with them.
    """

    storage: StorageApi
    _known: dict[tuple[str, str], str] = field(default_factory=dict[tuple[str, str], str])
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def upload(self, itwin_id: str, version: str, content: bytes, description: str) -> str:
        """Storage id of the file with this content; `version` identifies the content."""
        async with self._lock:
            key = (itwin_id, version)
            if key not in self._known:
                self._known[key] = await self._ensure(itwin_id, version, content, description)
            return self._known[key]

    async def _ensure(self, itwin_id: str, version: str, content: bytes, description: str) -> str:
        folder_id = await self._ensure_folder(itwin_id)
        name = f"{version.rpartition(':')[2]}.json"
        found = await self._find(folder_id, name)
        if found is None:
            found = await self.storage.upload_file(folder_id, name, content, description=description)
        elif found.size != len(content):
            found = await self.storage.replace_content(found.id, content)
        return found.id

    async def _ensure_folder(self, itwin_id: str) -> str:
        root = await self.storage.get_root_folder_id(itwin_id)
        async for folder in self.storage.list_folders(root):
            if folder.display_name == FOLDER_NAME:
                return folder.id
        return (await self.storage.create_folder(root, FOLDER_NAME)).id

    async def _find(self, folder_id: str, name: str) -> StorageFile | None:
        async for file in self.storage.list_files(folder_id=folder_id, itwin_id=""):
            if file.display_name == name:
                return file
        return None
