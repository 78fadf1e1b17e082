"""OpenTelemetry spans, where the variables `OTEL_…` name an exporter; nothing of it is imported otherwise."""

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

log = logging.getLogger("prefect.itwin")

FLUSH_MILLISECONDS = 2000
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_configured() -> bool:
    """Whether the environment names where spans go, and does not switch them off.

    https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    """
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower()
    is_off = exporter == "none" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not is_off and any(os.environ.get(name) for name in _ENDPOINTS)


@cache
def start_telemetry() -> bool:
    """Send spans from now on, over OTLP and HTTP; returns whether that is so.

    Another provider that the process has already, as that of `opentelemetry-instrument`, is used as it is.
    """
    if not is_configured():
        return False
    from opentelemetry import trace  # noqa: PLC0415  only where spans are wanted

    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return True
    try:
        provider = _new_provider()
    except ImportError:
        log.warning(
            "OTEL_… names where spans go, but what sends them is not installed, so there are none. Install it: "
            "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        )
        return False
    trace.set_tracer_provider(provider)
    return True


def finish_telemetry() -> None:
    """Send what has gathered, within two seconds, for a process that ends without Python's own clearing up."""
    if start_telemetry.cache_info().currsize and start_telemetry():
        from opentelemetry import trace  # noqa: PLC0415  only where spans are wanted

        flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if flush is not None:
            flush(FLUSH_MILLISECONDS)


@contextmanager
def span(name: str, **attributes: str) -> Generator[dict[str, Any]]:
    """A span around a block; what the block adds to the yielded dictionary are attributes, too.

    Attributes must hold no secret and no query string. Without telemetry nothing happens.
    """
    added: dict[str, Any] = {}
    if not start_telemetry():
        yield added
        return
    from opentelemetry import trace  # noqa: PLC0415  only where spans are wanted

    # An exception may name addresses with their signatures, so that one happened is all that is told of it.
    with trace.get_tracer("itwin-export").start_as_current_span(
        name, kind=trace.SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield added
        except BaseException as error:
            current.set_status(trace.StatusCode.ERROR)
            added["error.type"] = type(error).__name__
            raise
        finally:
            current.set_attributes(added)


def _new_provider() -> Any:
    from importlib import import_module  # noqa: PLC0415  packages that need not be there

    sdk, export = import_module("opentelemetry.sdk.trace"), import_module("opentelemetry.sdk.trace.export")
    resources = import_module("opentelemetry.sdk.resources")
    otlp = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    own_name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "itwin-export"}
    provider = sdk.TracerProvider(resource=resources.Resource.create(own_name))
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter()))
    return provider
