"""One tileset for a whole iTwin, made of the published tilesets of its iModels."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from blocks.errors import ConflictError, ContentError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import IModel
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.published_site import FolderSite, PublishedSite
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.destination.stored_site import StoredSite
from blocks.storage.site.member_tileset import FOLDER, LeftOutError, MemberTileset, place_tileset
from blocks.storage.site.placements import Placements
from blocks.storage.site.site_document import site_document
from blocks.storage.tileset.references import ROOT
from tasks.output_place import below
from tasks.reports import FederatedModel, FederationReport
from tasks.state_dir import StateDir

MOST_READINGS = 3
"""Times that the tilesets are read, if one is replaced between reading it and writing the common tileset."""
MOST_ATTEMPTS = 20
"""Processes that publish the same common tileset at once: each attempt that fails means that another one wrote it."""
_PAUSE = 0.2
"""Longest pause in seconds before the second attempt; it grows with each."""
_AT_ONCE = 16


@dataclass(frozen=True)
class Site:
    """An iTwin whose tilesets are to be put together."""

    itwin_id: str
    itwin_name: str
    place: PublishedSite
    placements: Placements

    @property
    def address(self) -> str:
        """Path or address of the common tileset."""
        return below(self.place.output, self.itwin_id, ROOT)


def site_place(output: Path | ObjectStore, itwin_id: str) -> PublishedSite:
    """Where the common tileset of an iTwin is published, in an output folder or an object store."""
    if isinstance(output, Path):
        return FolderSite(output, itwin_id, lambda imodel: StateDir.of_imodel(output, imodel).publish_lock(FOLDER))
    return StoredSite(output, itwin_id)


async def federate(itwin: ItwinApis, site: Site) -> FederationReport:
    """Publish the common tileset of an iTwin, from what is published of its iModels.

    Raises:
        ContentError: None of the iModels has tiles that are placed on the Earth.
        InputError: There is a strange tileset in its place.
        ConflictError: Other processes keep publishing it.
        DiskError: The disk refuses.
    """
    listed = [imodel async for imodel in itwin.imodels.list_imodels(site.itwin_id)]
    imodels = sorted(listed, key=lambda imodel: (imodel.display_name, imodel.id))
    return await asyncio.to_thread(publish_site, site, imodels)


def publish_site(site: Site, imodels: Sequence[IModel]) -> FederationReport:
    """Read the tilesets and write the common one; again, if one of them was replaced meanwhile.

    Raises:
        ContentError: None of the iModels has tiles that are placed on the Earth.
        InputError: There is a strange tileset in its place.
        ConflictError: Other processes keep publishing it.
        DiskError: The disk refuses.
    """
    members, left_out = _publish(site, imodels)
    for _ in range(MOST_READINGS - 1):
        if not _is_any_replaced(site, members):
            break
        members, left_out = _publish(site, imodels)
    entries = [*map(_included, members), *left_out]
    return FederationReport(
        itwin_id=site.itwin_id,
        itwin_name=site.itwin_name or None,
        tileset=site.address,
        included=len(members),
        left_out=len(left_out),
        imodels=tuple(sorted(entries, key=lambda entry: (entry.imodel_name, entry.imodel_id))),
        warnings=tuple(_unused_placements(site, imodels, members)),
    )


def _publish(site: Site, imodels: Sequence[IModel]) -> tuple[list[MemberTileset], list[FederatedModel]]:
    """Publish under the condition that no other process has published since the tilesets were read."""
    for attempt in range(MOST_ATTEMPTS):
        time.sleep(attempt * random.uniform(0, _PAUSE))  # noqa: S311  no secret
        seen = site.place.see()
        members, left_out = _read_members(site, imodels)
        with suppress(ChangedMeanwhileError):
            if not members:
                site.place.remove(seen)  # nothing may refer to what is not there
                raise ContentError(_none_left(site, imodels, left_out, is_removed=seen.file is not None))
            site.place.write(site_document(site.itwin_id, site.itwin_name, members), seen)
            return members, left_out
    raise ConflictError(f"Other processes keep publishing {site.address}. Run the same command again.")


def _read_members(site: Site, imodels: Sequence[IModel]) -> tuple[list[MemberTileset], list[FederatedModel]]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = list(pool.map(partial(_read, site), imodels))
    members = [one for one in found if isinstance(one, MemberTileset)]
    left_out = [one for one in found if isinstance(one, FederatedModel)]
    axis = _common_axis(members)
    others = [member for member in members if member.up_axis != axis]
    left_out += [_left_out(one.imodel_id, one.name, _other_axis(one.up_axis, axis)) for one in others]
    return [member for member in members if member.up_axis == axis], left_out


def _read(site: Site, imodel: IModel) -> MemberTileset | FederatedModel:
    """The tileset of an iModel with its place, or the reason why it is left out."""
    imodel_id, name = imodel.id.lower(), imodel.display_name
    try:
        tileset = site.place.read_tileset(imodel_id)
        return place_tileset(imodel_id, name or imodel_id, tileset, site.placements.get(imodel_id))
    except LeftOutError as reason:
        return _left_out(imodel_id, name, str(reason))


def _is_any_replaced(site: Site, members: Sequence[MemberTileset]) -> bool:
    def is_replaced(member: MemberTileset) -> bool:
        return site.place.is_replaced(member.imodel_id, member.tileset)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return any(pool.map(is_replaced, members))


def _common_axis(members: Sequence[MemberTileset]) -> str:
    """The axis of most of them."""
    counted = Counter(member.up_axis for member in members).most_common(1)
    return counted[0][0] if counted else ""


def _other_axis(own: str, common: str) -> str:
    return (
        f"In its models {own} is up (asset.gltfUpAxis), in those of most others {common}, and one tileset can have one "
        f"axis only. Export it anew: --start always"
    )


def _included(member: MemberTileset) -> FederatedModel:
    manifest = member.tileset.manifest
    return FederatedModel(
        imodel_id=member.imodel_id,
        imodel_name=member.name,
        status="placed" if member.placement else "included",
        changeset_id=manifest.changeset_id,
        tile_count=manifest.tile_count,
        total_bytes=manifest.total_bytes,
        extent=member.extent,
    )


def _left_out(imodel_id: str, name: str, reason: str) -> FederatedModel:
    return FederatedModel(imodel_id=imodel_id, imodel_name=name, status="left out", reason=reason)


def _none_left(site: Site, imodels: Sequence[IModel], left_out: Sequence[FederatedModel], *, is_removed: bool) -> str:
    removed = " The common tileset of before is deleted." if is_removed else ""
    first = f" The first, {left_out[0].imodel_name}: {left_out[0].reason}" if left_out else ""
    return (
        f"There is no common tileset of iTwin {site.itwin_id}: of its {len(imodels)} iModels none has tiles in "
        f"{site.place.output} that stand on the Earth.{first}{removed}"
    )


def _unused_placements(site: Site, imodels: Sequence[IModel], members: Sequence[MemberTileset]) -> Iterator[str]:
    known = {imodel.id.lower() for imodel in imodels}
    placed = {member.imodel_id for member in members if member.placement is None}
    for imodel_id in site.placements:
        if imodel_id not in known:
            yield f"The placements name {imodel_id}, which is no iModel of this iTwin. Correct or remove that line."
        elif imodel_id in placed:
            yield f"iModel {imodel_id} says itself where it stands; its line in the placements is not used."
