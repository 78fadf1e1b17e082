"""Everything that can go wrong, by what the caller does next.

ExportError                       exit code, is_transient, next step
├── InputError                    2  correct what was asked for
│   ├── ConfigurationError        2  correct a setting, a block or the disk
│   ├── RequestRefusedError       2  the platform refuses the request itself (400, 413, 422)
│   └── NotFoundError             2  it is not there, or not visible to this caller (404)
├── NotAuthorizedError            3  get access (401, 403)
│   ├── SignInRequiredError       3  sign in again
│   └── ConsentRequiredError      3  open the consent link
├── TransientError                1  try again: the same request may work in a moment (5xx, no answer, garbage)
│   ├── RateLimitedError          1  try again after the pause the platform asked for (429)
│   └── ConflictError             1  look again: another request got there first (409)
├── RunFailedError                1  read what the exporter says, then correct the iModel or the options
│   ├── PartialSuccessError       1  accept it, or correct what was left out
│   ├── RunSkippedError           1  the platform skipped the run
│   ├── RunCanceledError          1  somebody or something canceled the run
│   └── RunTimedOutError          1  the platform's own time limit
├── ActiveRunError                1  another run holds the iModel: wait for it or adopt it
├── BatchFailedError              1  read the table: each failed export says why
├── ExportTimeoutError            4  our deadline: run the same command again to pick the run up
└── TransferError                 1  bytes did not arrive as they should
    ├── InterruptedTransferError  1  transient: what has arrived is kept, go on from there
    ├── LinkExpiredError          1  transient: fetch a fresh link
    │   └── LinkRefusedError      1  no fresh link can help: correct the link, the account or the container
    ├── ContentError              1  complete, but not what was asked for
    └── DiskError                 1  make room, or choose another folder

Messages are for people: what was asked, what came back, what to do. They never hold a query string, a token or a SAS.
"""

import re
from typing import ClassVar

_QUERY = re.compile(r"""(https?://[^\s"'<>?]*)\?[^\s"'<>]*""", re.IGNORECASE)
_SIGNATURE = re.compile(
    r"""\b(sig|signature|code|access_token|refresh_token|client_secret|AccountKey|SharedAccessSignature)=[^&\s"'<>]+""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text without query strings, signatures and tokens, fit for messages, logs and artifacts."""
    text = _QUERY.sub(r"\1?…", text)
    text = _SIGNATURE.sub(r"\1=…", text)
    return _BEARER.sub(r"\1 …", text)


class ExportError(Exception):
    """The root: a sentence for a person, an exit code for a script."""

    is_transient: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1


class InputError(ExportError):
    """What was asked for cannot be done as asked."""

    exit_code = 2


class ConfigurationError(InputError):
    """A setting, a block or the local disk is not as it must be."""


class RequestRefusedError(InputError):
    """The platform understood the request and refuses it."""


class NotFoundError(InputError):
    """The thing asked for does not exist, or the caller may not see it."""


class NotAuthorizedError(ExportError):
    """The caller is not allowed to do this."""

    exit_code = 3


class SignInRequiredError(NotAuthorizedError):
    """The credentials are refused; a person has to sign in or correct them."""


class ConsentRequiredError(NotAuthorizedError):
    """The platform holds no consent to export on the user's behalf.

    Attributes:
        url: The page where the user gives it.
    """

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message, url)
        self.message = message
        self.url = url

    def __str__(self) -> str:
        return self.message


class TransientError(ExportError):
    """The same request may work in a moment."""

    is_transient = True


class RateLimitedError(TransientError):
    """The platform asks for a longer pause than one request may wait."""


class ConflictError(TransientError):
    """Another request got there first."""


class RunFailedError(ExportError):
    """The export run ended without a usable file."""


class PartialSuccessError(RunFailedError):
    """The run left something out and the caller does not accept that."""


class RunSkippedError(RunFailedError):
    """The platform skipped the run."""


class RunCanceledError(RunFailedError):
    """The run was canceled on the platform's side."""


class RunTimedOutError(RunFailedError):
    """The platform gave up on the run."""


class ActiveRunError(ExportError):
    """Another run holds the iModel and the caller asked not to wait."""


class BatchFailedError(ExportError):
    """Too many exports of a batch failed.

    Attributes:
        report: What came of each.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message, report)
        self.message = message
        self.report = report

    def __str__(self) -> str:
        return self.message


class ExportTimeoutError(ExportError):
    """The caller's deadline passed; the remote run may still be going on."""

    exit_code = 4


class TransferError(ExportError):
    """Bytes did not arrive as they should."""


class InterruptedTransferError(TransferError):
    """The transfer stopped midway; finished parts are kept and the next attempt goes on from there."""

    is_transient = True


class LinkExpiredError(TransferError):
    """The link is no longer accepted; a fresh one is needed."""

    is_transient = True


class LinkRefusedError(LinkExpiredError):
    """The link is refused and no other can be had, or a fresh one is refused too: trying again cannot help."""

    is_transient = False


class ContentError(TransferError):
    """The file arrived and is not what was asked for."""


class DiskError(TransferError):
    """The local disk refuses the data: full, read-only or gone."""
