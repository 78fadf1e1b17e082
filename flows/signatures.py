"""Parameters of the export flows, for the form in the Prefect UI and for the options of the command line.

Each function validates the parameters of one flow and returns them as a request. This module does not import Prefect,
so that the command line shows help and rejects invalid input without the time that importing Prefect takes.

Parameters are in the order in which a person decides: what, which version, where to, what is checked, what happens when
things go wrong; then how the work is done, which few people change.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from tasks.batch.options import BatchRequest, FailWhen
from tasks.form_fields import OptionalList, OptionalText, titled
from tasks.ifc.options import IfcOptions, IfcRequest, IfcVersion, OnActiveRun, OnPartialSuccess, OutputLocation
from tasks.mesh.options import MeshOptions, MeshRequest, MeshType, Start
from tasks.options import Consent, WhileWaiting
from tasks.reports import ExportFormat

Parameters = ParamSpec("Parameters")
Request = TypeVar("Request")
Report = TypeVar("Report")


def with_signature(
    check: Callable[Parameters, Request],
) -> Callable[[Callable[[Request], Awaitable[Report]]], Callable[Parameters, Coroutine[Any, Any, Report]]]:
    """Give a flow function the signature and docstring of `check`, and call it with the result of `check`."""

    def decorate(serve: Callable[[Request], Awaitable[Report]]) -> Callable[Parameters, Coroutine[Any, Any, Report]]:
        @wraps(serve)
        async def flow(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Report:
            return await serve(check(*args, **kwargs))

        returned = inspect.signature(serve).return_annotation
        flow.__signature__ = inspect.signature(check).replace(return_annotation=returned)  # type: ignore[attr-defined]
        flow.__annotations__ = {**check.__annotations__, "return": returned}
        flow.__doc__ = check.__doc__
        return flow

    return decorate


def ifc_request(
    imodel_id: Annotated[str, titled("iModel")],
    ifc_version: Annotated[IfcVersion, titled("IFC version")] = "IFC4.3",
    saved_view_id: Annotated[OptionalText, titled("Saved view")] = None,
    model_ids: Annotated[OptionalList, titled("Models")] = None,
    mapping_file: Annotated[OptionalText, titled("Mapping file")] = None,
    mapping_file_id: Annotated[OptionalText, titled("Mapping file in Storage")] = None,
    named_version: Annotated[OptionalText, titled("Named version")] = None,
    changeset_id: Annotated[OptionalText, titled("Changeset")] = None,
    output_dir: Annotated[OptionalText, titled("Output folder or address")] = None,
    destination: Annotated[str, titled("Destination")] = "default",
    file_name: Annotated[OptionalText, titled("File name")] = None,
    keep: Annotated[int, titled("Earlier exports to keep")] = 0,
    acceptance: Annotated[OptionalText, titled("Acceptance rules")] = None,
    output_location: Annotated[OutputLocation, titled("Output location")] = "STORAGE",
    blob_storage: Annotated[str, titled("Your own container")] = "default",
    folder_id: Annotated[OptionalText, titled("Storage folder")] = None,
    replace_older_file: Annotated[bool, titled("Replace the older file")] = True,
    save_logs: Annotated[bool, titled("Keep the log")] = True,
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
    on_active_run: Annotated[OnActiveRun, titled("When another run is active")] = "wait",
    on_partial_success: Annotated[OnPartialSuccess, titled("When only a part was exported")] = "accept",
    consent: Annotated[Consent, titled("When consent is missing")] = "fail",
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    while_waiting: Annotated[WhileWaiting, titled("While the platform works")] = "hold",
    credentials: Annotated[str, titled("Credentials")] = "default",
    connection_id: Annotated[OptionalText, titled("Export connection")] = None,
) -> IfcRequest:
    """Export an iModel as an IFC file, fetch it and verify it.

    Args:
        imodel_id: The iModel: its id, its name with that of its iTwin (Campus/Plant A), or its address in the browser.
        ifc_version: Version of the IFC schema.
        saved_view_id: Id of a saved view; only what it shows is exported. Empty for everything.
        model_ids: Ids of models in the iModel, as 0x20000000012; only these are exported. Empty for all.
        mapping_file: File that maps classes and properties to IFC: its path on this machine, or a blob of your own
            container; it is checked and uploaded.
        mapping_file_id: The same by its id in Storage; empty for the default mapping.
        named_version: Named version to export instead of a changeset: its name, as “For review”, its id, or “latest”.
        changeset_id: Changeset to export: its id (40 hex digits) or index, as 42; empty for the latest.
        output_dir: Folder or object store for the files, as /data/exports, az://container/prefix, s3://bucket/prefix or
            gs://bucket/prefix; empty for that of the destination, else ITWIN_OUTPUT_DIR.
        destination: Name of a saved Export Destination block, with what its object store needs.
        file_name: Name of the published file, from {imodel} {imodel_id} {itwin} {named_version} {changeset_index}
            {changeset_id} {ifc_version} {date}, as “{imodel} {date}” for “Plant A 2026-01-31”; empty for the
            platform's.
        keep: So many earlier exports stay below history/, and with them every one of a named version; 0 keeps none.
        acceptance: What must hold of the export: name of a saved Acceptance Rules block, or path of a TOML file.
        output_location: Where the platform writes the file: STORAGE of the iTwin, or your own Azure container.
        blob_storage: Name of a saved User Blob Storage block, for USER_BLOB_STORAGE.
        folder_id: Storage folder for the file; empty for the iTwin's root folder.
        replace_older_file: Overwrite the earlier IFC file of this iModel in Storage.
        save_logs: Have the platform save the log of the export, and download it.
        force: Export even if an identical, verified export is already published.
        verify: Check published files by reading them completely; otherwise by size and modification time.
        on_active_run: If another export run of the iModel is active: wait and start a new one, use its result, or fail.
        on_partial_success: If the platform could export only a part: accept it with a warning, or fail.
        consent: If the user has not consented to exports: fail with the link to consent, wait, or suspend the run.
        timeout_minutes: Longest time the export may run at the platform, counted from its start.
        while_waiting: Hold the worker while the platform works, or release it until the export has ended there
            (deployments only).
        credentials: Name of a saved iTwin Credentials block.
        connection_id: Id of an existing export connection to use; empty to find or create one.
    """
    return IfcRequest.check(
        imodel_id=imodel_id,
        ifc_version=ifc_version,
        saved_view_id=saved_view_id,
        model_ids=model_ids,
        mapping_file=mapping_file,
        mapping_file_id=mapping_file_id,
        named_version=named_version,
        changeset_id=changeset_id,
        output_dir=output_dir,
        destination=destination,
        file_name=file_name,
        keep=keep,
        acceptance=acceptance,
        output_location=output_location,
        blob_storage=blob_storage,
        folder_id=folder_id,
        replace_older_file=replace_older_file,
        save_logs=save_logs,
        force=force,
        verify=verify,
        on_active_run=on_active_run,
        on_partial_success=on_partial_success,
        consent=consent,
        timeout_minutes=timeout_minutes,
        while_waiting=while_waiting,
        credentials=credentials,
        connection_id=connection_id,
    )


def mesh_request(
    imodel_id: Annotated[str, titled("iModel")],
    export_type: Annotated[MeshType, titled("Kind of tiles")] = "3DTiles",
    tile_version: Annotated[OptionalText, titled("Version of IMODEL tiles")] = None,
    named_version: Annotated[OptionalText, titled("Named version")] = None,
    changeset_id: Annotated[OptionalText, titled("Changeset")] = None,
    output_dir: Annotated[OptionalText, titled("Output folder or address")] = None,
    destination: Annotated[str, titled("Destination")] = "default",
    keep: Annotated[int, titled("Earlier exports to keep")] = 0,
    acceptance: Annotated[OptionalText, titled("Acceptance rules")] = None,
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
    start: Annotated[Start, titled("When to request tiles")] = "if-missing",
    cdn: Annotated[bool, titled("From a content delivery network")] = False,
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    while_waiting: Annotated[WhileWaiting, titled("While the platform works")] = "hold",
    credentials: Annotated[str, titled("Credentials")] = "default",
) -> MeshRequest:
    """Export an iModel as a 3D Tiles tileset, fetch it whole and verify it.

    Args:
        imodel_id: The iModel: its id, its name with that of its iTwin (Campus/Plant A), or its address in the browser.
        export_type: Format of the tiles; every viewer of 3D Tiles can show 3DTiles.
        tile_version: Only tiles of export_type IMODEL that are compatible with this version of their format.
        named_version: Named version to export instead of a changeset: its name, as “For review”, its id, or “latest”.
        changeset_id: Changeset to export: its id (40 hex digits) or index, as 42; empty for the latest.
        output_dir: Folder or object store for the files, as /data/exports, az://container/prefix, s3://bucket/prefix or
            gs://bucket/prefix; empty for that of the destination, else ITWIN_OUTPUT_DIR.
        destination: Name of a saved Export Destination block, with what its object store needs.
        keep: So many earlier exports stay below history/, and with them every one of a named version; 0 keeps none.
        acceptance: What must hold of the export: name of a saved Acceptance Rules block, or path of a TOML file.
        force: Export even if an identical, verified export is already published.
        verify: Check published files by reading them completely; otherwise by size and modification time.
        start: When to request tiles, which the platform also creates by itself: if missing, never, or always new ones.
        cdn: Download the tiles from a content delivery network; its host must be in ITWIN_ALLOWED_HOSTS.
        timeout_minutes: Longest wait for the tiles, counted from the start of the flow run.
        while_waiting: Hold the worker while the platform works, or release it until the export has ended there
            (deployments only).
        credentials: Name of a saved iTwin Credentials block.
    """
    return MeshRequest.check(
        imodel_id=imodel_id,
        export_type=export_type,
        tile_version=tile_version,
        named_version=named_version,
        changeset_id=changeset_id,
        output_dir=output_dir,
        destination=destination,
        keep=keep,
        acceptance=acceptance,
        force=force,
        verify=verify,
        start=start,
        cdn=cdn,
        timeout_minutes=timeout_minutes,
        while_waiting=while_waiting,
        credentials=credentials,
    )


def batch_request(
    itwin_id: Annotated[str, titled("iTwin")],
    formats: Annotated[list[ExportFormat], titled("Formats")] = ["ifc"],  # noqa: B006  the form shows it; nobody changes it
    imodel_ids: Annotated[OptionalList, titled("iModels")] = None,
    name_contains: Annotated[OptionalText, titled("Name contains")] = None,
    allow_empty: Annotated[bool, titled("Accept an empty selection")] = False,
    ifc_version: Annotated[IfcVersion, titled("IFC version")] = "IFC4.3",
    export_type: Annotated[MeshType, titled("Kind of tiles")] = "3DTiles",
    tile_version: Annotated[OptionalText, titled("Version of IMODEL tiles")] = None,
    saved_view_id: Annotated[OptionalText, titled("Saved view")] = None,
    model_ids: Annotated[OptionalList, titled("Models")] = None,
    mapping_file: Annotated[OptionalText, titled("Mapping file")] = None,
    mapping_file_id: Annotated[OptionalText, titled("Mapping file in Storage")] = None,
    named_version: Annotated[OptionalText, titled("Named version")] = None,
    output_dir: Annotated[OptionalText, titled("Output folder or address")] = None,
    destination: Annotated[str, titled("Destination")] = "default",
    file_name: Annotated[OptionalText, titled("File name")] = None,
    keep: Annotated[int, titled("Earlier exports to keep")] = 0,
    acceptance: Annotated[OptionalText, titled("Acceptance rules")] = None,
    output_location: Annotated[OutputLocation, titled("Output location")] = "STORAGE",
    blob_storage: Annotated[str, titled("Your own container")] = "default",
    folder_id: Annotated[OptionalText, titled("Storage folder")] = None,
    replace_older_file: Annotated[bool, titled("Replace the older file")] = True,
    save_logs: Annotated[bool, titled("Keep the log")] = True,
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
    start: Annotated[Start, titled("When to request tiles")] = "if-missing",
    cdn: Annotated[bool, titled("From a content delivery network")] = False,
    federate: Annotated[bool, titled("One tileset for all")] = False,
    placements: Annotated[OptionalText, titled("Placements")] = None,
    fail_when: Annotated[FailWhen, titled("When the run counts as failed")] = "any",
    on_active_run: Annotated[OnActiveRun, titled("When another run is active")] = "wait",
    on_partial_success: Annotated[OnPartialSuccess, titled("When only a part was exported")] = "accept",
    consent: Annotated[Consent, titled("When consent is missing")] = "fail",
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    max_active: Annotated[int, titled("Exports at the platform at once")] = 25,
    shards: Annotated[int, titled("Shards")] = 1,
    credentials: Annotated[str, titled("Credentials")] = "default",
) -> BatchRequest:
    """Export every iModel of an iTwin; iModels that have not changed since their last export are skipped.

    Args:
        itwin_id: The iTwin: its id, its name, as Campus, or its address in the browser.
        formats: What to export of each iModel: ifc, mesh, or both.
        imodel_ids: iModels of this iTwin by id, name or address; only these are exported. Empty for all.
        name_contains: Export only iModels whose name contains this text; upper and lower case are the same.
        allow_empty: Succeed even if no iModel is selected; otherwise that is an error.
        ifc_version: Version of the IFC schema.
        export_type: Format of the tiles; every viewer of 3D Tiles can show 3DTiles.
        tile_version: Only tiles of export_type IMODEL that are compatible with this version of their format.
        saved_view_id: Id of a saved view; only what it shows is exported. Empty for everything.
        model_ids: Ids of models, as 0x20000000012; only these are exported. Empty for all.
        mapping_file: File that maps classes and properties to IFC: its path on this machine, or a blob of your own
            container; it is checked and uploaded.
        mapping_file_id: The same by its id in Storage; empty for the default mapping.
        named_version: Named version to export of each iModel: its name, as “For review”, or “latest”; empty for the
            latest changeset.
        output_dir: Folder or object store for the files, as /data/exports, az://container/prefix, s3://bucket/prefix or
            gs://bucket/prefix; empty for that of the destination, else ITWIN_OUTPUT_DIR.
        destination: Name of a saved Export Destination block, with what its object store needs.
        file_name: Name of the published file, from {imodel} {imodel_id} {itwin} {named_version} {changeset_index}
            {changeset_id} {ifc_version} {date}, as “{imodel} {date}” for “Plant A 2026-01-31”; empty for the
            platform's.
        keep: So many earlier exports stay below history/, and with them every one of a named version; 0 keeps none.
        acceptance: What must hold of the export: name of a saved Acceptance Rules block, or path of a TOML file.
        output_location: Where the platform writes IFC files: STORAGE of the iTwin, or your own Azure container.
        blob_storage: Name of a saved User Blob Storage block, for USER_BLOB_STORAGE.
        folder_id: Storage folder for IFC files; empty for the iTwin's root folder.
        replace_older_file: Overwrite an iModel's earlier IFC file in Storage.
        save_logs: Have the platform save the log of each export, and download it.
        force: Export even if an identical, verified export is already published.
        verify: Check published files by reading them completely; otherwise by size and modification time.
        start: When to request tiles, which the platform also creates by itself: if missing, never, or always new ones.
        cdn: Download the tiles from a content delivery network; its host must be in ITWIN_ALLOWED_HOSTS.
        federate: Publish one tileset for the whole iTwin, which refers to those of its iModels; needs the format mesh.
        placements: Table (CSV or TOML) with id, longitude, latitude, height, heading of iModels that do not say where
            on the Earth they stand, for federate: its path on this machine.
        fail_when: When this flow run fails: if any export failed, if all failed, or never.
        on_active_run: If another export run of an iModel is active: wait and start a new one, use its result, or fail.
        on_partial_success: If the platform could export only a part: accept it with a warning, or fail.
        consent: If the user has not consented to exports: fail with the link to consent, wait, or suspend the run.
        timeout_minutes: Longest time one export may run at the platform, counted from its start.
        max_active: Highest number of exports at the platform at once; half as many more are prepared or downloaded.
        shards: Number of flow runs of export-itwin/shard that share the iModels; 1 exports them in this flow run.
        credentials: Name of a saved iTwin Credentials block.
    """
    return BatchRequest.check(
        (IfcOptions, MeshOptions),
        itwin_id=itwin_id,
        formats=formats,
        imodel_ids=imodel_ids,
        name_contains=name_contains,
        allow_empty=allow_empty,
        ifc_version=ifc_version,
        export_type=export_type,
        tile_version=tile_version,
        saved_view_id=saved_view_id,
        model_ids=model_ids,
        mapping_file=mapping_file,
        mapping_file_id=mapping_file_id,
        named_version=named_version,
        output_dir=output_dir,
        destination=destination,
        file_name=file_name,
        keep=keep,
        acceptance=acceptance,
        output_location=output_location,
        blob_storage=blob_storage,
        folder_id=folder_id,
        replace_older_file=replace_older_file,
        save_logs=save_logs,
        force=force,
        verify=verify,
        start=start,
        cdn=cdn,
        federate=federate,
        placements=placements,
        fail_when=fail_when,
        on_active_run=on_active_run,
        on_partial_success=on_partial_success,
        consent=consent,
        timeout_minutes=timeout_minutes,
        max_active=max_active,
        shards=shards,
        credentials=credentials,
    )
