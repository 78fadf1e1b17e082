"""Mapping files: their version, and how their content gets to the platform.

An export with another version of the mapping file counts as an export with other options.
"""

from datetime import UTC, datetime, timedelta

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE

from blocks.errors import ConfigurationError, InputError, NotAuthorizedError, NotFoundError, RequestRefusedError
from blocks.itwin.credentials import ItwinCredentials
from blocks.signed_url import SignedUrl
from blocks.storage.blob_request import read_blob, write_blob
from blocks.storage.user_blob_storage import UserBlobStorage
from tasks.ifc.mapping_json import LARGEST_MAPPING, check_mapping
from tasks.ifc.options import IfcRequest
from tasks.ifc.run_spec import RunSpec, mapping_blob_name
from tasks.local_file import local_path, read_local
from tasks.retry import once_per_flow_run, retries_after

LINK_LIFE = timedelta(minutes=15)


async def with_mapping(
    credentials: ItwinCredentials, request: IfcRequest, storage: UserBlobStorage | None
) -> IfcRequest:
    """Add the version of the mapping file to a request that names one, or whose container has a link to one.

    Raises:
        InputError: The mapping file does not exist, or it is invalid.
        ConfigurationError: The container has ready-made links only, and none is for the mapping file.
    """
    versioned = await _with_version(credentials, request, storage)
    for warning in versioned.mapping_warnings:
        get_run_logger().warning(warning)
    return versioned


async def _with_version(
    credentials: ItwinCredentials, request: IfcRequest, storage: UserBlobStorage | None
) -> IfcRequest:
    if request.mapping_file_id is not None:
        version = await read_mapping_version(credentials, request.mapping_file_id)
        return request.model_copy(update={"mapping_version": version})
    if storage is None:
        return request
    if request.mapping_file is None and storage.mapping_file_sas_url is None:
        return request
    if request.mapping_file is not None and not storage.has_account:
        raise ConfigurationError(
            "mapping_file is put into your container, for which its connection string is needed, and the User Blob "
            "Storage has ready-made links only. Put the file there, and its link into the block (mapping_file_sas_url)."
        )
    return request if request.mapping_version else await read_mapping(storage, request)


@task(
    **retries_after(2, 5),
    cache_policy=NO_CACHE,  # the current content is needed
    persist_result=False,
)
async def read_mapping(storage: UserBlobStorage, request: IfcRequest) -> IfcRequest:
    """Add the version of a mapping file in the user's container to a request.

    Raises:
        InputError: It does not exist, or it is invalid.
    """
    name = request.mapping_file or "of the User Blob Storage"
    return request.with_mapping(await _content(storage, request), name)


async def upload_mapping_file(credentials: ItwinCredentials, storage: UserBlobStorage | None, spec: RunSpec) -> RunSpec:
    """Upload the content of the mapping file, if there is one, to where the platform can read it."""
    if not spec.request.hands_over_content or (storage is not None and not storage.has_account):
        return spec
    return await upload_mapping(credentials, storage, spec)


@task(
    **retries_after(2, 5, 15),
    cache_policy=NO_CACHE,  # what is there already is found
    persist_result=False,
)
async def upload_mapping(credentials: ItwinCredentials, storage: UserBlobStorage | None, spec: RunSpec) -> RunSpec:
    """Upload the content of the mapping file, beside the output in the user's container, or into the iTwin's Storage.

    Raises:
        InputError: The file has changed since it was checked, or it does not exist any more.
    """
    request = spec.request
    content = await _checked_content(storage, request)
    if storage is not None:
        target = storage.output_for(mapping_blob_name(request), until=datetime.now(UTC) + LINK_LIFE, save_logs=False)
        await write_blob(target.output, content)
        return spec
    async with credentials.get_client() as itwin:
        description = f"Mapping file {local_path(str(request.mapping_file)).name}"
        owner, version = request.names.itwin_id, request.mapping_version
        file_id = await itwin.mapping_files.upload(owner, version, content, description)
    get_run_logger().info("The mapping file is Storage file %s.", file_id)
    return spec.model_copy(update={"uploaded_mapping_id": file_id})


async def _checked_content(storage: UserBlobStorage | None, request: IfcRequest) -> bytes:
    name = str(request.mapping_file)
    checked = check_mapping(await _content(storage, request), name, request.ifc_version)
    if checked.version != request.mapping_version:
        raise InputError(f"The mapping file {name} has changed since this export began. Run the same command again.")
    return checked.content


async def _content(storage: UserBlobStorage | None, request: IfcRequest) -> bytes:
    """The content of the mapping file: on this machine, else in the user's container."""
    name = request.mapping_file
    local = None if name is None else read_local(local_path(name), "mapping file", LARGEST_MAPPING)
    if local is not None:
        return local
    link = None if storage is None else _link_to_source(storage, name)
    if link is None:
        raise InputError(f"There is no mapping file {local_path(str(name))} any more. Restore it, or correct its path.")
    try:
        return await read_blob(link, LARGEST_MAPPING + 1)
    except NotFoundError as error:
        if name is None:
            raise
        raise NotFoundError(f"{error} On this machine there is no file {local_path(name)} either.") from None


def _link_to_source(storage: UserBlobStorage, name: str | None) -> SignedUrl | None:
    if name is None:
        return storage.ready_made_mapping
    return storage.link_to(name, until=datetime.now(UTC) + LINK_LIFE)


@task(
    **once_per_flow_run(1, 3, 8),  # one version for all exports and retries of a flow run
)
async def read_mapping_version(credentials: ItwinCredentials, mapping_file_id: str) -> str:
    """Size and modification time of a file in Storage; empty if the caller may not read it.

    The platform's exporter may be able to read the file nevertheless (undocumented).
    """
    async with credentials.get_client() as itwin:
        try:
            file = await itwin.storage.get_file(mapping_file_id)
        except (NotFoundError, NotAuthorizedError, RequestRefusedError) as error:
            get_run_logger().warning("Changes of the mapping file cannot be detected. %s", error)
            return ""
    changed = file.last_modified_date_time or file.created_date_time
    return f"{file.size} bytes, {changed.isoformat() if changed else 'unknown time'}"
