"""Errors of object stores, mapped to the errors of the application; no message repeats what a store or client wrote."""

import re
from collections.abc import Generator
from contextlib import contextmanager

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from blocks.errors import ConfigurationError, DiskError, ExportError, InterruptedTransferError

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
NO_CONTAINER = re.compile(r"NoSuchBucket|ContainerNotFound|ContainerBeingDeleted|specified bucket does not exist")
_NAMED: tuple[tuple[re.Pattern[str], type[ExportError], str], ...] = (
    (
        NO_CONTAINER,
        ConfigurationError,
        "The container or bucket of {url} does not exist. Create it, or correct the name.",
    ),
    (
        re.compile(r"PermanentRedirect|AuthorizationHeaderMalformed|status code: 301|without LOCATION"),
        ConfigurationError,
        "The bucket of {url} is in another region{said}. Correct the setting region.",
    ),
    (
        re.compile(r"QuotaExceeded|InsufficientStorage|status code: 507|AccountQuota"),
        DiskError,
        "{url} has reached its quota{said}: {what} did not work. Free some space there.",
    ),
    (
        re.compile(r"ExpiredToken|ExpiredAuthenticationToken|TokenRefreshRequired"),
        ConfigurationError,
        "The credentials of {url} have expired{said}: {what} did not work. Renew them and run the same command again.",
    ),
    (
        re.compile(r"RequestTimeTooSkewed|RequestExpired"),
        ConfigurationError,
        "{url} finds the clock of this machine wrong{said}. Set it, and run the same command again.",
    ),
)
"""What stores name by a code of their own, and what is said of it."""
_DENIED = re.compile(r"status code: 40[13]\b")
"""How the client reports a listing that is denied; for other requests it has classes of errors."""
_SIGNATURE = re.compile(r"AuthenticationFailed|AuthorizationFailure")
_UNCONFIGURED = re.compile(r"Missing|token request|credential|metadata|IMDS|InvalidAccessKeyId|decode", re.IGNORECASE)


class ChangedMeanwhileError(ExportError):
    """The object is not the version that the write was meant for: another process has written it."""


@contextmanager
def store_errors(url: str, what: str) -> Generator[None]:
    """Map the errors of the client of an object store.

    Args:
        url: The destination, without secrets.
        what: What was tried, as “read manifest.json”.

    Raises:
        ConfigurationError: The container is missing, the region is wrong, or access is denied.
        DiskError: The store has no room for the object.
        InterruptedTransferError: The store could not be reached, or failed.
    """
    try:
        yield
    except (BaseError, OSError, ValueError, TypeError) as error:
        raise _mapped(error, url, what) from None


@contextmanager
def other_writers() -> Generator[None]:
    """Pass over the refusal of an upload because of another one: Azure discards the blocks of whoever commits later."""
    try:
        yield
    except (AlreadyExistsError, PreconditionError):
        pass
    except (BaseError, OSError) as error:
        if "InvalidBlockList" not in str(error):
            raise


def _mapped(error: Exception, url: str, what: str) -> ExportError:
    text = str(error)
    said = _reason(text)
    for pattern, kind, sentence in _NAMED:
        if pattern.search(text):
            return kind(sentence.format(url=url, what=what, said=said))
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _DENIED.search(text):
        times = " A SAS may have expired, or begin later than now." if _SIGNATURE.search(text) else ""
        return ConfigurationError(
            f"{url} does not permit to {what}{said}. Check the key, the SAS or the role of the identity: it has to "
            f"read, list, write and delete there.{times}"
        )
    if not said and _UNCONFIGURED.search(text):
        return ConfigurationError(
            f"{url} cannot be accessed: there are no usable credentials or addresses for it. Save an Export "
            f"Destination block, or set what the cloud's own tools read (AZURE_…, AWS_…, GOOGLE_…)."
        )
    return InterruptedTransferError(f"{url} did not {what}{said or ': no answer'}. Run the same command again.")


def _reason(text: str) -> str:
    status, code = _STATUS.search(text), _CODE.search(text)
    facts = [found[1] for found in (status, code) if found]
    return f" ({' '.join(facts)})" if facts else ""
