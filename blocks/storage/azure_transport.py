"""HTTP transport for azure-identity and the synchronous storage client, with proxy and TLS of `blocks.network`."""

import math
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport

from blocks.bounds import ANSWER_SECONDS
from blocks.errors import without_secrets
from blocks.network import causes_of, certificate_fault, proxy_for, refused_by_proxy, untrusted
from blocks.storage.bounded_adapter import BoundedAdapter
from blocks.urls import host_of

_NOT_TRIED = re.compile(
    r"unavailable|not (?:fully )?configured|not installed|not found on path|no accounts", re.IGNORECASE
)
_MAX_REASON_LENGTH = 600


class RoutedRequestsTransport(RequestsTransport):
    """A transport of the Azure SDK that ignores the environment's proxy and TLS variables; its answers are bounded.

    Args:
        seconds: For all requests through it together, with those that the SDK repeats.
        seconds_each: For each of them.

    Raises:
        ConfigurationError: The trusted certificates cannot be read.
    """

    def __init__(self, seconds: float = ANSWER_SECONDS, seconds_each: float = math.inf) -> None:
        session = requests.Session()
        session.trust_env = False
        adapter = BoundedAdapter(seconds, seconds_each)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        base: Any = super()
        base.__init__(session=session)

    def send(self, request: Any, **options: Any) -> Any:
        """Send one request, for the Azure SDK.

        Raises:
            ConfigurationError: The certificate is not trusted, or the proxy cannot be used.
        """
        url = str(request.url)
        proxy = proxy_for(url)
        options["proxies"] = {urlsplit(url).scheme: proxy} if proxy else {}
        base: Any = super()
        try:
            return base.send(request, **options)
        except AzureError as fault:
            if (reason := certificate_fault(fault)) is not None:
                raise untrusted(host_of(url), reason) from None
            if (status := _proxy_status(fault)) and status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise refused_by_proxy(url, status) from None
            raise


def _proxy_status(fault: AzureError) -> int:
    """The proxy's status for CONNECT, parsed from http.client's message; 0 for other errors."""
    said = (re.match(r"Tunnel connection failed: (\d{3})", str(cause)) for cause in causes_of(fault))
    return next((int(match[1]) for match in said if match), 0)


def azure_reason(error: Exception) -> str:
    """The useful part of an Azure error's message, on one line and without secrets.

    The message of `DefaultAzureCredential` has one line per credential; credentials that were not tried are omitted.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    tried = [line for line in lines if re.match(r"\w+Credential: ", line) and not _NOT_TRIED.search(line)]
    codes = [line for line in lines if "AADSTS" in line]
    useful = list(dict.fromkeys([*tried, *codes])) or lines[:1] or [type(error).__name__]
    return without_secrets(" · ".join(useful))[:_MAX_REASON_LENGTH]
