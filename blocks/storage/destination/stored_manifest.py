"""What the manifest of an export in an object store says about its objects."""

import dataclasses

from pydantic import ValidationError

from blocks.storage.destination.object_store import ListedObject
from blocks.storage.file_names import find_unstorable
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.tileset.references import ROOT


def parsed_manifest(content: bytes) -> Manifest | None:
    """A manifest that others may have written; None if it is invalid or names what cannot be a file of an export."""
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError:
        return None
    return manifest if find_unstorable(file.path for file in manifest.files) is None else None


def in_folder_form(manifest: Manifest) -> Manifest:
    """The manifest as if the export lay in a folder: without the name of the generation, and without its small root."""
    prefix = f"{manifest.generation}/"
    if not manifest.generation:
        return manifest
    files = tuple(
        dataclasses.replace(file, path=path, role="tileset" if path == ROOT else file.role)
        for file in manifest.files
        if file.role != "tileset"
        for path in [file.path.removeprefix(prefix)]
    )
    return manifest.model_copy(update={"files": files, "generation": "", "published_etags": {}})


def is_in_generation(file: ManifestFile, manifest: Manifest) -> bool:
    """True for a file of a generation, which viewers may go on reading."""
    return bool(manifest.generation) and file.path.startswith(f"{manifest.generation}/")


def identity_of(manifest: Manifest) -> tuple[object, ...]:
    """What two manifests of the same files of the same run have in common."""
    files = {(file.path, file.digest) for file in in_folder_form(manifest).files}
    return manifest.run_id, manifest.changeset_id, manifest.options, files


def is_as_published(path: str, manifest: Manifest, present: ListedObject | None) -> bool:
    """True if the object that a listing has for a path is the one that the manifest says."""
    return present is not None and present.etag == manifest.published_etags.get(path)


def fault_of(file: ManifestFile, manifest: Manifest, present: ListedObject | None) -> str | None:
    """What is wrong with the object that a listing has for a file; None if it is the one that was published."""
    if present is None:
        return "is missing"
    if present.size == file.size and is_as_published(file.path, manifest, present):
        return None
    return "is not the object that was published"
