"""Tiles: fetched whole, verified, published in one swap."""

import asyncio
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.disk import real_path, remove_folder
from blocks.errors import ContentError
from blocks.file_lock import file_lock
from blocks.itwin.apis import ItwinApis
from blocks.itwin.credentials import ItwinCredentials
from blocks.itwin.mesh_models import MeshExport
from blocks.settings import read_settings
from blocks.signed_url import SignedUrl
from blocks.storage.content.models import CONTENT_NAME, ExportContent
from blocks.storage.content_file import write_content
from blocks.storage.destination.published_export import PublishedExport
from blocks.storage.difference_to_before import compare_tiles
from blocks.storage.history import KeptExport
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.preview_file import add_preview
from blocks.storage.retry import BlobChangedError
from blocks.storage.tileset.download import FetchedTileset, checkpoint_path, fetch_tileset
from blocks.storage.tileset.early_tiles import EarlyTiles
from blocks.storage.tileset.publish import check_tileset_publishable, previous_path, recover
from blocks.storage.tileset.references import ROOT
from blocks.storage.tileset.tile_body import FetchedTile
from blocks.storage.tileset.verify import verify_tileset
from blocks.threads import finish_in_thread
from tasks.events.publications import note_publication
from tasks.export_progress import current_progress
from tasks.judged_export import is_publishable, with_verdict
from tasks.mesh.export import RemoteMesh
from tasks.mesh.finder import MeshSearch, best_of, not_found_error
from tasks.mesh.options import MeshRequest, MeshSpec
from tasks.mesh.tiles_place import early_tiles_of
from tasks.polling import Log, read_poll_backoff
from tasks.published import draft_manifest, find_published, publish_rejected, report_published
from tasks.reports import ExportReport
from tasks.retry import retries_after
from tasks.state_dir import prepare


class FetchedTiles:
    """The tiles of a mesh export that are not published yet; a plain class, which Prefect does not search.

    Attributes:
        place: Where they will be published; an object store has taken them already.
    """

    def __init__(self, export_id: str, tileset: FetchedTileset, place: PublishedExport) -> None:
        self.export_id = export_id
        self.tileset = tileset
        self.place = place


async def find_published_tiles(
    credentials: ItwinCredentials, request: MeshRequest, changeset_id: str
) -> KeptExport | None:
    """An identical tileset that is still whole; a swap that a crash interrupted is undone first."""
    await asyncio.to_thread(_recover, request)
    return await find_published(credentials, request, changeset_id)


def _recover(request: MeshRequest) -> None:
    """Recover while no other process publishes: one that is between its two renames needs no repair."""
    if previous_path(real_path(request.folder)).exists():
        prepare(request.state_dir.root)
        with file_lock(request.state_dir.publish_lock("mesh")):
            recover(request.folder, is_kept=request.policy.keep > 0)


async def check_tiles_publishable(request: MeshRequest) -> None:
    """Try what publishing will do before the platform is asked for anything.

    Raises:
        ConfigurationError: It does not work there.
    """
    await asyncio.to_thread(check_tileset_publishable, request.staging_root.root, request.folder)


@task(
    **retries_after(2, 5, 15, 60, 120),
    cache_policy=NO_CACHE,  # files on disk are their own record
    persist_result=False,
)
async def fetch_tiles(
    credentials: ItwinCredentials, spec: MeshSpec, mesh: RemoteMesh, staging: Path, place: PublishedExport
) -> FetchedTiles:
    """Fetch every file of a tileset that is not here yet; an object store takes each as soon as it is here.

    Raises:
        NotFoundError: The export vanished meanwhile and nothing took its place.
        ContentError: The tileset is not what it should be.
        TransferError: The transfer did not work out; what has arrived is kept.
    """
    log = get_run_logger()
    current_progress().enter("fetching")
    async with credentials.get_client() as itwin:
        source = TileSource(itwin, spec, mesh.export_id, log)
        tileset = await source.fetch(staging, early_tiles_of(place))
    size = tileset.total_bytes
    current_progress().fetched_bytes = 0 if tileset.reused else sum(tileset.sizes.values())
    log.info("Fetched %s files (%s bytes), %s of them unchanged.", len(tileset.tiles), size, tileset.reused)
    if tileset.elsewhere:
        log.info("Of these, %s were copied by the object store and not read here.", len(tileset.elsewhere))
    return FetchedTiles(source.export_id, tileset, place)


@task(cache_policy=NO_CACHE, persist_result=False)
async def publish_tiles(
    credentials: ItwinCredentials, spec: MeshSpec, mesh: RemoteMesh, fetched: FetchedTiles
) -> ExportReport:
    """Check that the tileset is whole and swap it into place; put it aside if acceptance rules do not accept it.

    Raises:
        ContentError: Something is missing or not what it should be; the tileset before stays.
        DiskError: The disk refuses; the tileset before stays.
    """
    current_progress().enter("checking")
    manifest = _manifest(credentials, spec, mesh, fetched)
    kept = await finish_in_thread(_check_and_publish, spec.request, fetched, manifest)
    current_progress().enter("published")
    for warning in kept.manifest.warnings[len(mesh.warnings) :]:
        get_run_logger().warning(warning)
    return report_published(kept, spec.request, started_at=spec.first_started)


async def publish_rejected_tiles(
    credentials: ItwinCredentials, request: MeshRequest, changeset_id: str
) -> ExportReport | None:
    """Check an identical tileset again that was rejected before, and publish it if it may be published now."""
    publish = partial(_publish, request, request.published)
    return await publish_rejected(credentials, request, changeset_id, publish)


@dataclass
class TileSource:
    """The source of a tileset; if its mesh export is deleted meanwhile, another one of the same changeset is used."""

    itwin: ItwinApis
    spec: MeshSpec
    export_id: str
    log: Log

    async def fetch(self, staging: Path, early: EarlyTiles) -> FetchedTileset:
        """Fetch the tileset; after a failure, check whether the mesh export still exists."""
        request = self.spec.request
        previous = None if request.policy.force or request.address else request.folder
        while True:
            export_id = self.export_id
            try:
                return await fetch_tileset(
                    self.link,
                    staging,
                    previous=previous,
                    on_progress=current_progress().note_files,
                    early=early,
                    with_sha256=read_settings().tile_sha256,
                )
            except (ContentError, BlobChangedError):
                await self.link()
                if self.export_id == export_id:
                    raise

    async def link(self) -> SignedUrl:
        """A fresh link.

        Raises:
            NotFoundError: The export is gone and there is no other.
        """
        export = await self._find()
        if export is None:
            raise not_found_error(self.export_id, self.spec)
        if export.id != self.export_id:
            self.log.warning("Mesh export %s is gone; going on with %s.", self.export_id, export.id)
            self.export_id = export.id
        return self.itwin.meshes.link_of(export)

    async def _find(self) -> MeshExport | None:
        exports = await MeshSearch(self.itwin, self.spec, read_poll_backoff(), self.log).exports()
        complete = [export for export in exports if export.is_complete]
        return next((export for export in complete if export.id == self.export_id), None) or best_of(complete)


def _manifest(credentials: ItwinCredentials, spec: MeshSpec, mesh: RemoteMesh, fetched: FetchedTiles) -> Manifest:
    files = tuple(_listed(tile) for tile in fetched.tileset.tiles)
    return draft_manifest(
        credentials,
        spec.request,
        changeset_id=spec.changeset_id,
        run_id=fetched.export_id,
        result=mesh.result,
        warnings=mesh.warnings,
        files=files,
        total_bytes=fetched.tileset.total_bytes,
    )


def _listed(tile: FetchedTile) -> ManifestFile:
    return ManifestFile(
        path=tile.name,
        role="tileset" if tile.name == ROOT else "tile",
        size=tile.size,
        sha256=tile.sha256,
        etag=tile.etag,
        md5=tile.md5 if tile.stored_size is None else None,  # else it is not that of the file
    )


def _check_and_publish(request: MeshRequest, fetched: FetchedTiles, manifest: Manifest) -> KeptExport:
    """The published or rejected tileset; its manifest has what the check found."""
    tileset = fetched.tileset
    found = verify_tileset(tileset.folder, tileset.sizes, tileset.elsewhere)
    difference = compare_tiles(request.folder, manifest.files, request.options)
    content = ExportContent(tileset=found.content, difference=difference)
    complete = manifest.model_copy(
        update={
            "tile_count": found.content.tiles,
            "warnings": (*manifest.warnings, *found.warnings),
            "content": content.summary(),
            "difference": content.short_difference(),
            "files": (*manifest.files, *_content_file(tileset, content)),
        }
    )
    complete = add_preview(complete, tileset.folder)
    current_progress().enter("publishing")
    judged = with_verdict(complete, request, content, tileset.folder)
    if is_publishable(judged, request):
        return KeptExport(request.folder, _publish(request, fetched.place, tileset.folder, judged))
    kept = fetched.place.put_aside(tileset.folder, judged, lock=request.state_dir.publish_lock("mesh"))
    checkpoint_path(tileset.folder).unlink(missing_ok=True)
    remove_folder(tileset.folder)
    return kept


def _publish(request: MeshRequest, place: PublishedExport, staging: Path, manifest: Manifest) -> Manifest:
    """Publish the tileset of a staging folder, whole or not at all."""
    note_publication(request, manifest.run_id)
    lock = request.state_dir.publish_lock("mesh")
    published = place.publish(staging, manifest, keep=request.policy.keep, lock=lock)
    checkpoint_path(staging).unlink(missing_ok=True)
    remove_folder(staging)  # a folder has been moved from there; an object store has got copies
    return published


def _content_file(tileset: FetchedTileset, content: ExportContent) -> tuple[ManifestFile, ...]:
    """The report beside the tiles; none where a tile has its name."""
    is_taken = any(tile.name.casefold() == CONTENT_NAME for tile in tileset.tiles)
    return () if is_taken else (write_content(tileset.folder, content),)
