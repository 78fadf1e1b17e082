"""Mapping of Prefect API failures to `ExportError`."""

from collections.abc import Generator
from contextlib import contextmanager

import httpx
from prefect.exceptions import ObjectNotFound

from blocks.errors import ConfigurationError, TransientError, without_secrets


@contextmanager
def prefect_errors(what: str) -> Generator[None]:
    """Map failures of the Prefect API to `ExportError`.

    Args:
        what: What is requested, for messages.

    Raises:
        ConfigurationError: The object does not exist, or access is denied (401, 403, 404).
        TransientError: The API cannot be reached, or answers another error status.
    """
    try:
        yield
    except ObjectNotFound:
        raise ConfigurationError(f"{what}: it does not exist on the Prefect server.") from None
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in {401, 403, 404}:
            raise ConfigurationError(
                f"{what}: the Prefect API answered {status}. Check PREFECT_API_URL and PREFECT_API_KEY."
            ) from None
        raise TransientError(f"{what}: the Prefect API answered {status}. Try again later.") from None
    except httpx.HTTPError as error:
        reason = without_secrets(str(error)) or type(error).__name__
        raise TransientError(
            f"{what}: the Prefect API cannot be reached ({reason}). Check PREFECT_API_URL, then try again."
        ) from None
