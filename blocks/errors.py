"""The exception hierarchy of the application, grouped by what the caller does next.

ExportError                       exit code, is_transient, next step
├── InputError                    2  correct the input
│   ├── ConfigurationError        2  correct a setting, a block or the disk
│   ├── RequestRefusedError       2  the platform rejects the request as invalid (400, 413, 422)
│   └── NotFoundError             2  it does not exist, or is not visible to this caller (404)
├── NotAuthorizedError            3  get access (401, 403)
│   ├── SignInRequiredError       3  sign in again
│   └── ConsentRequiredError      3  open the consent link
├── TransientError                1  try again: the same request may succeed later (5xx, no response, bad body)
│   ├── RateLimitedError          1  try again after the pause the platform asked for (429)
│   ├── ForeignDataError          1  what another system sent cannot be read: it is invalid or beyond a bound
│   └── ConflictError             1  read the state again: a concurrent request succeeded first (409)
├── RunFailedError                1  read the exporter's message, then correct the iModel or the options
│   ├── PartialSuccessError       1  accept the partial result, or correct what was left out
│   ├── RunSkippedError           1  the platform skipped the run
│   ├── RunCanceledError          1  the run was canceled
│   └── RunTimedOutError          1  the run exceeded the platform's time limit
├── ActiveRunError                1  another run of the iModel is active: wait for it or adopt it
├── ReportedError                 1  read the report
│   ├── RejectedError             5  look at the export in rejected/, then correct the iModel or the acceptance rules
│   │   └── UndecidedError        1  a rule could not be measured: the message says why
│   └── BatchFailedError          1  the report lists the reason for each failed export
│       └── BatchRejectedError    5  the same, and every one of them was rejected by the acceptance rules
├── ExportTimeoutError            4  our deadline passed: run the same command again to reconnect to the run
└── TransferError                 1  a download failed
    ├── InterruptedTransferError  1  transient: finished parts are kept, the next attempt resumes
    ├── LinkExpiredError          1  transient: request a new link
    │   └── LinkRefusedError      1  a new link cannot help: correct the link, the account or the container
    ├── ContentError              1  complete, but the content is wrong
    └── DiskError                 1  free some space, or choose another folder

Messages state what was requested, what was received and what to do. They never contain a query string, token or SAS.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from blocks.known_secrets import without_known_secrets
from blocks.shown_text import without_controls

_QUERY = re.compile(r"""(https?://[^\s"'<>?]*)\?[^\s"'<>]*""", re.IGNORECASE)
_NAMES = "client_secret|access_token|refresh_token|id_token|AccountKey|SharedAccessSignature|Key-Pair-Id"
_SIGNATURE = re.compile(
    rf"""\b({_NAMES}|sig|signature|code|policy)(=|%3D)[^&\s"'<>]+""",
    re.IGNORECASE,
)
_MEMBER = re.compile(rf"""(\\?["'](?:{_NAMES}|sig|signature|password)\\?["']\s*:\s*\\?["'])[^"']+""", re.IGNORECASE)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """The text with query strings, signatures, tokens and every known secret redacted, without control characters."""
    text = without_known_secrets(text)
    text = _QUERY.sub(r"\1?…", text)
    text = _SIGNATURE.sub(r"\1\2…", text)
    text = _MEMBER.sub(r"\1…", text)
    return without_controls(_BEARER.sub(r"\1 …", text))


def read_more(message: str, articles: Iterable[str]) -> str:
    """A message for a person, with the articles that it does not name because a message has no query string."""
    return " ".join((message, *(f"Read more: {article}" for article in articles if article not in message)))


def is_public_link(address: str) -> bool:
    """True if an address contains no signature, token or known secret, so that it may be shown with its query."""
    return without_known_secrets(address) == address and not _SIGNATURE.search(address) and "@" not in address


class ExportError(Exception):
    """Base class of all errors of the application.

    Attributes:
        is_transient: Whether repeating the same operation may succeed; the only rule for retries of tasks.
        is_retried: Whether a retry policy has repeated the operation up to its bound; no task repeats it again.
        exit_code: Exit code of the command line.
    """

    is_transient: ClassVar[bool] = False
    is_retried: bool = False
    exit_code: ClassVar[int] = 1

    @property
    def articles(self) -> tuple[str, ...]:
        """Whole addresses of the platform's articles about it, each once."""
        return ()


class InputError(ExportError):
    """The input is invalid, or names something that does not exist."""

    exit_code = 2


class ConfigurationError(InputError):
    """A setting, a block or the local disk is missing or invalid."""


class RequestRefusedError(InputError):
    """The platform rejects the request as invalid (400, 413 or 422)."""


class NotFoundError(InputError):
    """The requested object does not exist, or the caller may not see it."""


class NotAuthorizedError(ExportError):
    """The caller is not allowed to do this."""

    exit_code = 3


class SignInRequiredError(NotAuthorizedError):
    """The credentials are rejected; the user has to sign in again or correct them."""


class ConsentRequiredError(NotAuthorizedError):
    """The user has not consented to the platform exporting on their behalf.

    Attributes:
        url: The platform's consent page; empty if it named none.
    """

    def __init__(self, message: str, url: str = "") -> None:
        super().__init__(message, url)
        self.message = message
        self.url = url

    def __str__(self) -> str:
        return self.message


class TransientError(ExportError):
    """The same request may succeed later."""

    is_transient = True


class RateLimitedError(TransientError):
    """The platform keeps answering 429, or asks for a longer pause than one request waits."""


class ForeignDataError(TransientError):
    """What another system sent cannot be read: it is invalid or beyond a bound; the message only says how."""


class ConflictError(TransientError):
    """A concurrent request succeeded first (409); read the state again."""


@dataclass(frozen=True)
class FailedTask:
    """A failed task of an export run, in the platform's words; `can_user_fix` is None where it does not say."""

    id: str
    result: str
    phase: str = ""
    code: str = ""
    description: str = ""
    can_user_fix: bool | None = None
    kb_article_link: str = ""


class RunFailedError(ExportError):
    """The export run ended without a usable file.

    Attributes:
        failed_tasks: The tasks of the run that failed; empty where the platform names none.
        summary: The message without what is said of the tasks.
    """

    def __init__(self, message: str, failed_tasks: tuple[FailedTask, ...] = (), summary: str = "") -> None:
        super().__init__(message, failed_tasks, summary)
        self.message = message
        self.failed_tasks = failed_tasks
        self.summary = summary or message

    def __str__(self) -> str:
        return self.message

    @property
    def articles(self) -> tuple[str, ...]:
        """Those that the failed tasks name."""
        return tuple(dict.fromkeys(task.kb_article_link for task in self.failed_tasks if task.kb_article_link))


class PartialSuccessError(RunFailedError):
    """The run ended as PartialSuccess and the caller does not accept partial results."""


class RunSkippedError(RunFailedError):
    """The platform skipped the run."""


class RunCanceledError(RunFailedError):
    """The run was canceled on the platform."""


class RunTimedOutError(RunFailedError):
    """The run exceeded the platform's time limit (result TimedOut)."""


class ActiveRunError(ExportError):
    """Another run of the iModel is active and the caller asked not to wait."""


class ReportedError(ExportError):
    """A failure of which there is a report.

    Attributes:
        report: The report of the export or batch; None if there is none.
    """

    def __init__(self, message: str, report: object = None) -> None:
        super().__init__(message, report)
        self.message = message
        self.report = report

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.message!r})"


class RejectedError(ReportedError):
    """The export is complete, and the acceptance rules reject it."""

    exit_code = 5


class UndecidedError(RejectedError):
    """The export is complete, and whether it is accepted cannot be decided: a rule could not be measured."""

    exit_code = 1


class BatchFailedError(ReportedError):
    """Too many exports of a batch failed; the report has the result of each."""


class BatchRejectedError(BatchFailedError):
    """No export of a batch failed, and the acceptance rules rejected some."""

    exit_code = 5


class ExportTimeoutError(ExportError):
    """The caller's deadline passed; the remote run may still be active."""

    exit_code = 4


class TransferError(ExportError):
    """A download failed."""


class InterruptedTransferError(TransferError):
    """The transfer was interrupted; finished parts are kept and the next attempt resumes."""

    is_transient = True


class LinkExpiredError(TransferError):
    """The link is no longer accepted; a new one is needed."""

    is_transient = True


class LinkRefusedError(LinkExpiredError):
    """The link is rejected and there is no new one, or the new one is rejected too; retrying cannot help."""

    is_transient = False


class ContentError(TransferError):
    """The file is complete, but its content is not what was requested."""


class DiskError(TransferError):
    """The local disk cannot store the data: it is full, read-only or missing."""
