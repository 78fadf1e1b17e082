"""What the platform delivers, and how to tell that it was the platform.

Vendor page: https://developer.bentley.com/apis/webhooks-v2/overview/
"""

import hmac
import re
from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from blocks.errors import ForeignDataError
from blocks.foreign_data import read_json_object

CHANGES_READY = "iModels.changesReady.v1"
FOLLOWED = frozenset({CHANGES_READY, "iModels.namedVersionCreated.v1"})
"""The events that mean new data in an iModel."""

_CHANGESET_ID = re.compile(r"[^\s]{1,100}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Change(BaseModel):
    """New data in an iModel; the message id is the same when a delivery is repeated."""

    model_config = ConfigDict(frozen=True)

    message_id: str
    event_type: str
    imodel_id: str
    changeset_id: str | None
    version_id: str | None = None

    @property
    def subject(self) -> str:
        """What of the iModel is to be exported: a named version, or its changeset; empty for the latest changeset."""
        return "" if self.event_type == CHANGES_READY else self.version_id or self.changeset_id or ""


class _Envelope(BaseModel):
    """Of the members, only what we act on is required: some are documented with a question mark."""

    model_config = ConfigDict(alias_generator=to_camel)

    event_type: str = Field(max_length=200)
    message_id: str = Field(min_length=1, max_length=200)
    content: object = None


class MalformedError(Exception):
    """The body is not what the platform documents; the text never quotes it."""


def is_signed(body: bytes, signature: str, secret: SecretStr) -> bool:
    """True if the signature is that of the raw body; takes as long for a wrong one as for a right one."""
    digest = hmac.new(secret.get_secret_value().encode(), body, "sha256").hexdigest()
    return hmac.compare_digest(f"sha256={digest}".encode(), signature.strip().lower().encode())


def read_change(body: bytes) -> Change | None:
    """The change that a delivery reports; none if it reports something else.

    Raises:
        MalformedError: It cannot be read.
    """
    try:
        envelope = _Envelope.model_validate(read_json_object(body))
    except ForeignDataError as error:
        raise MalformedError(f"unusable: the whole ({error})") from None
    except ValidationError as error:
        fields = sorted({".".join(str(part) for part in fault["loc"]) or "the whole" for fault in error.errors()})
        raise MalformedError(f"unusable: {', '.join(fields)}") from None
    if envelope.event_type not in FOLLOWED:
        return None
    found = envelope.content
    content = cast("Mapping[str, object]", found if isinstance(found, dict) else {})
    imodel_id = str(content.get("imodelId", "")).lower()
    if not _GUID.fullmatch(imodel_id):
        raise MalformedError("unusable: content.imodelId")
    return Change(
        message_id=envelope.message_id,
        event_type=envelope.event_type,
        imodel_id=imodel_id,
        changeset_id=_text(content, "changesetId", _CHANGESET_ID),
        version_id=_text(content, "versionId", _GUID),
    )


def _text(content: Mapping[str, object], member: str, form: re.Pattern[str]) -> str | None:
    """The member in lower case; None where it is not of this form, as for a baseline or where it is left out."""
    value = str(content.get(member) or "").lower()
    return value if form.fullmatch(value) else None
