"""What can be turned while a sandbox runs; where the documents leave a choice, both are here."""

from dataclasses import dataclass
from typing import Literal


@dataclass
class Options:
    """Durations in seconds; the defaults follow the best documented variant."""

    run_seconds: float = 3.0
    """From create-run to Completed."""
    mesh_seconds: float = 3.0
    """From the request for tiles to Complete."""
    token_seconds: int = 3600
    """Life of an access token."""
    download_link_seconds: float = 900
    """Life of a Storage download link."""
    mesh_link_seconds: float = 3600
    """Life of the container link of a mesh export."""
    run_location: Literal["absolute", "relative"] = "absolute"
    """`Location` of create-run."""
    download_location: Literal["absolute", "relative"] = "absolute"
    """`Location` of a Storage download."""
    output_file_id: Literal["storage-id", "guid", "absent"] = "storage-id"
    """What a finished export task carries as `exportOutputFileId`."""
    invalid_client_status: Literal[400, 401] = 401
    """How the token endpoint refuses an unknown client."""
    missing_consent: Literal["run-error", "forbidden"] = "run-error"
    """A User run without consent: 202 and a failed run, or 403 at once."""
    paging_links: Literal["as-documented", "correct"] = "as-documented"
    """The documented samples of Export lack a `?` or the `imodelId`."""
    runs_order: Literal["newest-first", "oldest-first"] = "newest-first"
    """Order of the run list."""
    canceled_spelling: Literal["Canceled", "Cancelled"] = "Canceled"
    """How a script's `Canceled` is written."""
    rotate_refresh_tokens: bool = True
    """A refresh token works once; its successor comes with the answer."""
    auto_sign_in: bool = False
    """/connect/authorize signs the user in without a page."""
    auto_consent: bool = False
    """The export consent page agrees without a click."""
    requests_per_minute: int | None = None
    """Rate limit per client; none by default."""
    mesh_export_type: str = "3DTiles"
    """How `request.exportType` is spelled in answers."""
    mesh_generation: Literal["automatic", "manual"] = "automatic"
    """Whether a changeset push or the first listing starts tiles."""
    warm_up_listings: int = 0
    """How many first listings of an iModel's tiles answer 202 without a list."""
    webhook_attempts: int = 3
    """How often a delivery is tried that is not answered with success in time."""
    webhook_retry_seconds: float = 1.0
    """Pause before the next attempt."""
    webhook_patience_seconds: float = 5.0
    """How long an answer may take."""
