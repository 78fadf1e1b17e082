"""The parameters of the export flows: the form in the Prefect UI, the options of the command, and what they mean.

Each function checks the parameters of one flow and returns the request that the flow serves. Nothing here imports
Prefect, so the command line can show its help, and refuse bad input, without it.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar

from tasks.batch.options import BatchRequest, FailWhen
from tasks.form_fields import OptionalText, titled
from tasks.ifc.options import IfcOptions, IfcRequest, IfcVersion, OnActiveRun, OnPartialSuccess, OutputLocation
from tasks.mesh.options import MeshOptions, MeshRequest, MeshType, Start
from tasks.options import Consent
from tasks.reports import ExportFormat

Parameters = ParamSpec("Parameters")
Request = TypeVar("Request")
Report = TypeVar("Report")


def with_signature(
    check: Callable[Parameters, Request],
) -> Callable[[Callable[[Request], Awaitable[Report]]], Callable[Parameters, Coroutine[Any, Any, Report]]]:
    """Give a flow the parameters and the description of `check`; the flow gets what `check` returns."""

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
    changeset_id: Annotated[OptionalText, titled("Changeset")] = None,
    saved_view_id: Annotated[OptionalText, titled("Saved view")] = None,
    model_ids: Annotated[list[str] | None, titled("Models")] = None,
    mapping_file_id: Annotated[OptionalText, titled("Mapping file")] = None,
    output_location: Annotated[OutputLocation, titled("Output location")] = "STORAGE",
    folder_id: Annotated[OptionalText, titled("Storage folder")] = None,
    replace_older_file: Annotated[bool, titled("Replace the older file")] = True,
    save_logs: Annotated[bool, titled("Keep the log")] = True,
    output_dir: Annotated[OptionalText, titled("Local folder")] = None,
    connection_id: Annotated[OptionalText, titled("Export connection")] = None,
    credentials: Annotated[str, titled("Credentials")] = "default",
    blob_storage: Annotated[str, titled("Your own container")] = "default",
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    on_active_run: Annotated[OnActiveRun, titled("When another run is active")] = "wait",
    on_partial_success: Annotated[OnPartialSuccess, titled("When something was left out")] = "accept",
    consent: Annotated[Consent, titled("When consent is missing")] = "fail",
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
) -> IfcRequest:
    """Export an iModel as an IFC file, fetch it and verify it.

    Args:
        imodel_id: Id of the iModel (a GUID); it stands in the iModel's address in the browser.
        ifc_version: Version of the IFC schema.
        changeset_id: Changeset to export: its id (40 hex digits) or index; empty for the latest.
        saved_view_id: Export only what this saved view shows.
        model_ids: Export only these models of the iModel.
        mapping_file_id: Storage id of a custom mapping of classes and properties.
        output_location: Where the platform puts the file: the iTwin's Storage or your own Azure container.
        folder_id: Storage folder for the file; empty for the iTwin's root folder.
        replace_older_file: Overwrite the iModel's earlier file in Storage.
        save_logs: Keep and fetch the exporter's log.
        output_dir: Local folder for the fetched files; empty for the configured one.
        connection_id: Use this existing export connection instead of our own.
        credentials: Name of an iTwin Credentials block.
        blob_storage: Name of a User Blob Storage block, for your own Azure container.
        timeout_minutes: Longest time the export may run at the platform, counted from its start.
        on_active_run: When another run holds the iModel: wait for its end and start ours, adopt it, or fail.
        on_partial_success: Accept an export that left something out, with a warning, or fail.
        consent: When a user's consent is missing: fail with the link, wait for it, or suspend the run.
        force: Export even when an identical, verified export is already there.
        verify: Read published files whole before trusting them, not only their size and time stamp.
    """
    return IfcRequest.check(
        imodel_id=imodel_id,
        ifc_version=ifc_version,
        changeset_id=changeset_id,
        saved_view_id=saved_view_id,
        model_ids=model_ids,
        mapping_file_id=mapping_file_id,
        output_location=output_location,
        folder_id=folder_id,
        replace_older_file=replace_older_file,
        save_logs=save_logs,
        output_dir=output_dir,
        connection_id=connection_id,
        credentials=credentials,
        blob_storage=blob_storage,
        timeout_minutes=timeout_minutes,
        on_active_run=on_active_run,
        on_partial_success=on_partial_success,
        consent=consent,
        force=force,
        verify=verify,
    )


def mesh_request(
    imodel_id: Annotated[str, titled("iModel")],
    changeset_id: Annotated[OptionalText, titled("Changeset")] = None,
    export_type: Annotated[MeshType, titled("Kind of tiles")] = "3DTiles",
    start: Annotated[Start, titled("When tiles are asked for")] = "if-missing",
    output_dir: Annotated[OptionalText, titled("Local folder")] = None,
    credentials: Annotated[str, titled("Credentials")] = "default",
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
) -> MeshRequest:
    """Export an iModel as a 3D Tiles tileset, fetch it whole and verify it.

    Args:
        imodel_id: Id of the iModel (a GUID); it stands in the iModel's address in the browser.
        changeset_id: Changeset to export: its id (40 hex digits) or index; empty for the latest.
        export_type: Kind of tiles; 3DTiles suits every viewer of 3D Tiles.
        start: The platform makes tiles by itself: ask for them if none turn up, never, or always anew.
        output_dir: Local folder for the fetched files; empty for the configured one.
        credentials: Name of an iTwin Credentials block.
        timeout_minutes: Longest time to wait until the platform has made the tiles.
        force: Export even when an identical, verified export is already there.
        verify: Read published files whole before trusting them, not only their size and time stamp.
    """
    return MeshRequest.check(
        imodel_id=imodel_id,
        changeset_id=changeset_id,
        export_type=export_type,
        start=start,
        output_dir=output_dir,
        credentials=credentials,
        timeout_minutes=timeout_minutes,
        force=force,
        verify=verify,
    )


def batch_request(
    itwin_id: Annotated[str, titled("iTwin")],
    formats: Annotated[list[ExportFormat], titled("Formats")] = ["ifc"],  # noqa: B006  the form shows it; nobody changes it
    imodel_ids: Annotated[list[str] | None, titled("iModels")] = None,
    name_contains: Annotated[OptionalText, titled("Name contains")] = None,
    allow_empty: Annotated[bool, titled("Accept an empty choice")] = False,
    max_active: Annotated[int, titled("Exports at the platform at once")] = 25,
    shards: Annotated[int, titled("Shards")] = 1,
    fail_when: Annotated[FailWhen, titled("When the run counts as failed")] = "any",
    ifc_version: Annotated[IfcVersion, titled("IFC version")] = "IFC4.3",
    saved_view_id: Annotated[OptionalText, titled("Saved view")] = None,
    model_ids: Annotated[list[str] | None, titled("Models")] = None,
    mapping_file_id: Annotated[OptionalText, titled("Mapping file")] = None,
    output_location: Annotated[OutputLocation, titled("Output location")] = "STORAGE",
    folder_id: Annotated[OptionalText, titled("Storage folder")] = None,
    replace_older_file: Annotated[bool, titled("Replace the older file")] = True,
    save_logs: Annotated[bool, titled("Keep the log")] = True,
    export_type: Annotated[MeshType, titled("Kind of tiles")] = "3DTiles",
    start: Annotated[Start, titled("When tiles are asked for")] = "if-missing",
    output_dir: Annotated[OptionalText, titled("Local folder")] = None,
    credentials: Annotated[str, titled("Credentials")] = "default",
    blob_storage: Annotated[str, titled("Your own container")] = "default",
    timeout_minutes: Annotated[float, titled("Time limit in minutes")] = 240,
    on_active_run: Annotated[OnActiveRun, titled("When another run is active")] = "wait",
    on_partial_success: Annotated[OnPartialSuccess, titled("When something was left out")] = "accept",
    consent: Annotated[Consent, titled("When consent is missing")] = "fail",
    force: Annotated[bool, titled("Export again")] = False,
    verify: Annotated[bool, titled("Read what is there")] = False,
) -> BatchRequest:
    """Export every iModel of an iTwin; what has not changed since the last time is skipped.

    Args:
        itwin_id: Id of the iTwin (a GUID); it stands in the iTwin's address in the browser.
        formats: What to export of each iModel: ifc, mesh, or both.
        imodel_ids: Export only these iModels of the iTwin.
        name_contains: Export only iModels whose name contains this.
        allow_empty: Succeed where there is no iModel to export; otherwise that is an error.
        max_active: How many exports the platform may carry out at once; half as many more are prepared or fetched.
        shards: Spread the iModels over so many flow runs of export-itwin/shard; 1 keeps them in this one.
        fail_when: Whether the run counts as failed when any export failed, when all failed, or never.
        ifc_version: Version of the IFC schema.
        saved_view_id: Export only what this saved view shows.
        model_ids: Export only these models of the iModels.
        mapping_file_id: Storage id of a custom mapping of classes and properties.
        output_location: Where the platform puts IFC files: the iTwin's Storage or your own Azure container.
        folder_id: Storage folder for IFC files; empty for the iTwin's root folder.
        replace_older_file: Overwrite an iModel's earlier IFC file in Storage.
        save_logs: Keep and fetch the exporter's logs.
        export_type: Kind of tiles; 3DTiles suits every viewer of 3D Tiles.
        start: The platform makes tiles by itself: ask for them if none turn up, never, or always anew.
        output_dir: Local folder for the fetched files; empty for the configured one.
        credentials: Name of an iTwin Credentials block.
        blob_storage: Name of a User Blob Storage block, for your own Azure container.
        timeout_minutes: Longest time one export may run at the platform, counted from its start.
        on_active_run: When another run holds an iModel: wait for its end and start ours, adopt it, or fail.
        on_partial_success: Accept an export that left something out, with a warning, or fail.
        consent: When a user's consent is missing: fail with the link, wait for it, or suspend the run.
        force: Export even what is already there.
        verify: Read published files whole before trusting them, not only their size and time stamp.
    """
    return BatchRequest.check(
        (IfcOptions, MeshOptions),
        itwin_id=itwin_id,
        formats=formats,
        imodel_ids=imodel_ids,
        name_contains=name_contains,
        allow_empty=allow_empty,
        max_active=max_active,
        shards=shards,
        fail_when=fail_when,
        ifc_version=ifc_version,
        saved_view_id=saved_view_id,
        model_ids=model_ids,
        mapping_file_id=mapping_file_id,
        output_location=output_location,
        folder_id=folder_id,
        replace_older_file=replace_older_file,
        save_logs=save_logs,
        export_type=export_type,
        start=start,
        output_dir=output_dir,
        credentials=credentials,
        blob_storage=blob_storage,
        timeout_minutes=timeout_minutes,
        on_active_run=on_active_run,
        on_partial_success=on_partial_success,
        consent=consent,
        force=force,
        verify=verify,
    )
