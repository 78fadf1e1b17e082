"""Check of a ready-made SAS link's own parameters, without a request.

Parameters of a SAS: https://learn.microsoft.com/rest/api/storageservices/create-service-sas
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from blocks.errors import ConfigurationError
from blocks.signed_url import SignedUrl
from blocks.storage.blob_address import BlobAddress, parse_blob_address
from blocks.timestamps import parse_timestamp

START_TOLERANCE = timedelta(minutes=5)
"""Allowance for a new link whose start time was set by a clock ahead of ours."""
_FROZEN = {"bs": "a snapshot", "bv": "a version"}


@dataclass(frozen=True)
class SasLink:
    """A ready-made SAS link and its role in an export.

    Attributes:
        role: `output`, `log` or `mapping file`, for messages.
        is_read: The link is used to download the file.
        is_written: The platform writes the file with it.
    """

    role: str
    url: SignedUrl
    is_read: bool
    is_written: bool = True

    @property
    def address(self) -> BlobAddress:
        """Host, container and blob of the link, without its signature."""
        return parse_blob_address(self.url)

    @property
    def can_read(self) -> bool:
        """True if its permissions (`sp`) include read."""
        return "r" in self.url.parameter("sp")

    @property
    def may_only_create(self) -> bool:
        """True if it may create a blob but not overwrite one."""
        permissions = self.url.parameter("sp")
        return "c" in permissions and "w" not in permissions

    def check(self, until: datetime) -> None:
        """Check that the link is valid from now until the deadline.

        Raises:
            ConfigurationError: Target, times or permissions are wrong; the message has the problem and what to do.
        """
        if not self.url.parameter("sig"):
            raise ConfigurationError(f"The {self.role} SAS link has no signature (sig): it is no SAS link. Make one.")
        self._check_target()
        self._check_times(until)
        self._check_permissions()

    def _check_target(self) -> None:
        kind, address = self.url.parameter("sr"), self.address
        if kind in _FROZEN:
            raise ConfigurationError(
                f"The {self.role} SAS link is for {_FROZEN[kind]} of a blob (sr={kind}), which cannot be written to. "
                f"Make one for the blob itself (sr=b)."
            )
        if (types := self.url.parameter("srt")) and "o" not in types:
            raise ConfigurationError(
                f"The {self.role} SAS link is for the account (srt={types}) and not for its objects. Make one with "
                f"srt=o, or one for a blob (sr=b)."
            )
        if not address.blob.strip("/"):
            container = f"“{address.container}” " if address.container else ""
            raise ConfigurationError(
                f"The {self.role} SAS link names the container {container}on {address.host} and no blob in it"
                f"{f' (sr={kind})' if kind else ''}. Put the name of the file to write after the container, as in "
                f"…/container/model.ifc?…, or give the account's connection string and the container instead."
            )
        if address.blob.endswith("/"):
            raise ConfigurationError(
                f"The {self.role} SAS link names the blob “{address.blob}”, which ends with a slash: that is a folder. "
                f"Put the name of the file to write behind it."
            )

    def _check_times(self, until: datetime) -> None:
        start, expiry = parse_timestamp(self.url.parameter("st")), self.url.expiry
        if isinstance(start, datetime) and start > datetime.now(UTC) + START_TOLERANCE:
            raise ConfigurationError(
                f"The {self.role} SAS link is not valid before {start:%Y-%m-%d %H:%M:%S} UTC (st). Start the export "
                f"after that, or make a link that is valid now."
            )
        if expiry is not None and expiry < until:
            raise ConfigurationError(
                f"The {self.role} SAS link expires at {expiry:%Y-%m-%d %H:%M:%S} UTC, before the deadline of this "
                f"export ({until:%Y-%m-%d %H:%M:%S} UTC). Make one that is valid longer, or lower timeout_minutes."
            )

    def _check_permissions(self) -> None:
        """Check `sp`, which is missing in a link that names a stored access policy (`si`)."""
        permissions = self.url.parameter("sp")
        may_read = self.can_read or not self.is_read
        may_write = bool(set("wc") & set(permissions)) or not self.is_written
        if permissions and not (may_read and may_write):
            wanted = " and ".join(["reading"] * self.is_read + ["writing"] * self.is_written)
            raise ConfigurationError(f"The {self.role} SAS link allows “{permissions}”; it must allow {wanted}.")


def check_distinct(output: SasLink, log: SasLink) -> None:
    """Check that output and log links name different blobs: otherwise the log would overwrite the model.

    Raises:
        ConfigurationError: Both links name the same blob.
    """
    if output.address == log.address:
        raise ConfigurationError(
            f"The output and the log SAS link name the same blob, “{log.address.blob}” in {log.address.place}. "
            f"Make the log's link for a blob of its own."
        )
