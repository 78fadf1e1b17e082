"""Settings that can be changed while a sandbox runs; where the documents leave a choice, every variant is here."""

from dataclasses import dataclass
from typing import Literal


@dataclass
class Options:
    """Durations are in seconds; the defaults follow the best documented variant."""

    run_seconds: float = 3.0
    """From create-run to Completed."""
    start_seconds: float = 0.02
    """How long create-run takes; another one for the same iModel that arrives meanwhile gets 409."""
    mesh_seconds: float = 3.0
    """From the request for tiles to Complete."""
    token_seconds: int = 3600
    """Lifetime of an access token."""
    refresh_idle_seconds: float | None = None
    """Lifetime of a refresh token that is not used; undocumented, none by default."""
    refresh_reuse: Literal["refused", "revokes-family"] = "refused"
    """What a used refresh token does when it comes again: nothing, or revoke all its successors."""
    download_link_seconds: float = 900
    """Lifetime of a Storage download link."""
    upload_link_seconds: float = 3600
    """Lifetime of a Storage upload link."""
    mesh_link_seconds: float = 3600
    """Lifetime of the container link of a mesh export."""
    cors_on_errors: bool = True
    """Whether errors carry CORS headers; no page says so."""
    content_type: Literal["application/json", "vendor"] = "application/json"
    """`Content-Type` of JSON answers: the plain one, or the media type of the `Accept` header."""
    accept: Literal["ignored", "required"] = "ignored"
    """Whether an API request without the vendor's media type in `Accept` gets 406."""
    run_location: Literal["absolute", "relative"] = "absolute"
    """`Location` of create-run."""
    download_location: Literal["absolute", "relative"] = "absolute"
    """`Location` of a Storage download."""
    output_file_id: Literal["storage-id", "guid", "readable-guid", "absent"] = "storage-id"
    """`exportOutputFileId` of a finished task: the Storage id, a GUID that Storage does not know or knows, or none."""
    file_names: Literal["numbered", "same"] = "numbered"
    """Name of a further file of an iModel: `Plant A (1).ifc`, or the same name again."""
    default_ifc_version: Literal["IFC4.3", "IFC2x3", "IFC2x3 CV 2.0", "IFC4 RV 1.2"] = "IFC4.3"
    """Version of a run that names none."""
    pdf_ifc_version: Literal["ignored", "refused"] = "ignored"
    """What `ifcVersion` does in a PDF run: nothing, or 422."""
    mapping_file: Literal["ignored", "refused", "run-error"] = "run-error"
    """A mapping file that is unknown or cannot be read: no effect, 422 (of an id only), or a run that ends in Error."""
    two_mapping_files: Literal["accepted", "refused"] = "accepted"
    """`mappingFileId` and `mappingfileBlobUrl` together: fine, or 422."""
    young_run_jobs: Literal["empty", "absent"] = "empty"
    """`jobs` of a run that has not begun to execute."""
    connections_visible: Literal["all", "own"] = "all"
    """Whether a caller sees the connections that others created."""
    service_authorization: Literal["answered", "forbidden"] = "answered"
    """authorizationinformation with the token of a service application."""
    invalid_client_status: Literal[400, 401] = 401
    """Status of the token endpoint for an unknown client."""
    missing_consent: Literal["run-error", "forbidden"] = "run-error"
    """A User run without consent: 202 and a failed run, or 403 at once."""
    paging_links: Literal["as-documented", "correct"] = "as-documented"
    """The documented samples of Export lack a `?` or the `imodelId`."""
    runs_order: Literal["newest-first", "oldest-first"] = "newest-first"
    """Order of the run list."""
    canceled_spelling: Literal["Canceled", "Cancelled"] = "Canceled"
    """Spelling of a scripted `Canceled`."""
    storage_page: int = 100
    """Page size of Storage without `$top`."""
    storage_denied: Literal["not-found", "forbidden"] = "not-found"
    """Storage items the caller may not see: 404 or 403."""
    storage_search: Literal["recursive", "folder"] = "recursive"
    """Whether a search looks into sub-folders."""
    itwins_page: int = 100
    """Page size of the iTwins list without `$top`."""
    named_version_state: Literal["filters", "ignored"] = "filters"
    """The parameter `state` of the list of named versions, which only the vendor's library sends."""
    rotate_refresh_tokens: bool = True
    """A refresh token works once; its successor comes with the answer."""
    auto_sign_in: bool = False
    """/connect/authorize signs the user in without a page."""
    auto_consent: bool = False
    """The export consent page agrees without a click."""
    requests_per_minute: int | None = None
    """Rate limit per client; none by default."""
    mesh_export_type: str | None = None
    """Spelling of `request.exportType`; by default the one of the caller, else `3DTiles`."""
    mesh_dates: Literal["seconds", "milliseconds"] = "seconds"
    """Precision of `lastModified` of a mesh export."""
    mesh_itwin_member: Literal["iTwinId", "contextId"] = "iTwinId"
    """Name of the iTwin in `request` of a mesh export."""
    empty_changeset_filter: Literal["no-filter", "baseline"] = "no-filter"
    """What `changesetId=` without a value selects."""
    export_type_filter: Literal["exact", "ignored"] = "exact"
    """Whether a list filtered by `exportType` holds other types too."""
    cdn_listing: bool = False
    """Whether a link asked for with `cdn=1` can be listed."""
    mesh_generation: Literal["automatic", "manual"] = "automatic"
    """Whether a changeset push or the first listing starts tiles."""
    warm_up_listings: int = 0
    """How many first listings of an iModel's tiles answer 202 without a list."""
    long_hashed_range: Literal["refused", "unhashed"] = "refused"
    """`x-ms-range-get-content-md5` for more than 4 MiB: 400, or an answer without the hash (as Azurite does)."""
    changes_ready_content: Literal["full", "imodel-only"] = "full"
    """Members of the event iModels.changesReady.v1."""
    webhook_attempts: int = 3
    """How often a delivery is tried that is not answered with success in time."""
    webhook_retry_seconds: float = 1.0
    """Pause before the next attempt."""
    webhook_patience_seconds: float = 5.0
    """How long an answer may take."""
