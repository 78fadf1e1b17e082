"""One tileset for a whole iTwin, made of the published tilesets of its iModels."""

import asyncio
import time
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import Timeout

from blocks.errors import ContentError
from blocks.file_lock import file_lock
from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import IModel
from blocks.storage.site.member_tileset import FOLDER, LeftOutError, MemberTileset, read_member, state_of
from blocks.storage.site.placements import Placements
from blocks.storage.site.site_document import site_document
from blocks.storage.site.site_file import remove_site, require_ours, write_site
from blocks.storage.tileset.references import ROOT
from tasks.reports import FederatedModel, FederationReport
from tasks.state_dir import StateDir

MOST_READINGS = 3
"""Times that the tilesets are read, if one is replaced between reading it and writing the common tileset."""
REPLACING_SECONDS = 10.0
"""Longest wait for an iModel whose tileset is being replaced; then it is left out."""
_PAUSE = 0.1


@dataclass(frozen=True)
class Site:
    """An iTwin whose tilesets are to be put together."""

    itwin_id: str
    itwin_name: str
    output_dir: Path
    placements: Placements

    @property
    def folder(self) -> Path:
        """Where the common tileset is published."""
        return self.output_dir / self.itwin_id


async def federate(itwin: ItwinApis, site: Site) -> FederationReport:
    """Publish the common tileset of an iTwin, from what is published of its iModels.

    Raises:
        ContentError: None of the iModels has tiles that are placed on the Earth.
        InputError: There is a strange tileset in its place.
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
        DiskError: The disk refuses.
    """
    require_ours(site.folder)
    members, left_out = _publish(site, imodels)
    for _ in range(MOST_READINGS - 1):
        if not any(_is_replaced(site, member) for member in members):
            break
        members, left_out = _publish(site, imodels)
    entries = [*map(_included, members), *left_out]
    return FederationReport(
        itwin_id=site.itwin_id,
        itwin_name=site.itwin_name or None,
        tileset=str(site.folder / ROOT),
        included=len(members),
        left_out=len(left_out),
        imodels=tuple(sorted(entries, key=lambda entry: (entry.imodel_name, entry.imodel_id))),
        warnings=tuple(_unused_placements(site, imodels, members)),
    )


def _publish(site: Site, imodels: Sequence[IModel]) -> tuple[list[MemberTileset], list[FederatedModel]]:
    members, left_out = _read_members(site, imodels)
    if not members:
        raise ContentError(_none_left(site, imodels, left_out))
    write_site(site.folder, site_document(site.itwin_id, site.itwin_name, members))
    return members, left_out


def _read_members(site: Site, imodels: Sequence[IModel]) -> tuple[list[MemberTileset], list[FederatedModel]]:
    members: list[MemberTileset] = []
    left_out: list[FederatedModel] = []
    for imodel in imodels:
        try:
            members.append(_read(site, imodel))
        except LeftOutError as reason:
            left_out.append(_left_out(imodel.id.lower(), imodel.display_name, str(reason)))
    axis = _common_axis(members)
    others = [member for member in members if member.up_axis != axis]
    left_out += [_left_out(one.imodel_id, one.name, _other_axis(one.up_axis, axis)) for one in others]
    return [member for member in members if member.up_axis == axis], left_out


def _read(site: Site, imodel: IModel) -> MemberTileset:
    imodel_id = imodel.id.lower()
    with _not_replacing(StateDir.of_imodel(site.output_dir, imodel_id)):
        return read_member(site.output_dir, imodel_id, imodel.display_name or imodel_id, site.placements.get(imodel_id))


@contextmanager
def _not_replacing(state_dir: StateDir) -> Generator[None]:
    """Hold the lock that publishers hold, so that the tileset is not replaced while it is read.

    Raises:
        LeftOutError: A publisher holds it for long.
    """
    if not state_dir.root.is_dir():  # nobody has published from here
        yield
        return
    deadline = time.monotonic() + REPLACING_SECONDS
    while True:
        try:
            with file_lock(state_dir.publish_lock("mesh"), is_waiting=False):
                yield
                return
        except Timeout:
            if time.monotonic() > deadline:
                raise LeftOutError("Its tileset is being replaced. Run the same again when that is done.") from None
        time.sleep(_PAUSE)


def _is_replaced(site: Site, member: MemberTileset) -> bool:
    with suppress(OSError):
        return state_of(site.output_dir / member.imodel_id / FOLDER) != member.tileset.state
    return True


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


def _none_left(site: Site, imodels: Sequence[IModel], left_out: Sequence[FederatedModel]) -> str:
    """There must not be a common tileset that refers to what is not there, so one of before is deleted."""
    removed = " The common tileset of before is deleted." if remove_site(site.folder) else ""
    first = f" The first, {left_out[0].imodel_name}: {left_out[0].reason}" if left_out else ""
    return (
        f"There is no common tileset of iTwin {site.itwin_id}: of its {len(imodels)} iModels none has tiles in "
        f"{site.output_dir} that stand on the Earth.{first}{removed}"
    )


def _unused_placements(site: Site, imodels: Sequence[IModel], members: Sequence[MemberTileset]) -> Iterator[str]:
    known = {imodel.id.lower() for imodel in imodels}
    placed = {member.imodel_id for member in members if member.placement is None}
    for imodel_id in site.placements:
        if imodel_id not in known:
            yield f"The placements name {imodel_id}, which is no iModel of this iTwin. Correct or remove that line."
        elif imodel_id in placed:
            yield f"iModel {imodel_id} says itself where it stands; its line in the placements is not used."
