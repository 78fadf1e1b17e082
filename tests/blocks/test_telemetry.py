"""Spans of OpenTelemetry: where an exporter is named, and nothing otherwise."""

import logging
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry import trace

from blocks.errors import TransientError
from blocks.itwin.rate_limit import RequestLimiter
from blocks.itwin.transport import Transport
from blocks.telemetry import is_configured, start_telemetry

REPOSITORY = Path(__file__).parents[2]
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Spans(trace.NonRecordingSpan):
    """A tracer that keeps the spans it was asked for."""

    def __init__(self) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.kept: list[dict[str, Any]] = []

    @contextmanager
    def start_as_current_span(self, name: str, attributes: dict[str, Any], **_: Any) -> Generator[trace.Span]:
        self.kept.append({"name": name, **attributes})
        yield self

    def set_attributes(self, attributes: Any) -> None:
        self.kept[-1] |= attributes


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    for name in ("OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    start_telemetry.cache_clear()
    yield
    start_telemetry.cache_clear()


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """The spans of a process that has a provider."""
    kept = Spans()

    def tracer(_: str) -> Spans:
        return kept

    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setattr(trace, "get_tracer_provider", object)
    monkeypatch.setattr(trace, "get_tracer", tracer)
    return kept


@pytest.mark.parametrize(
    ("variables", "is_so"),
    [
        ({}, False),
        ({ENDPOINT: "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({ENDPOINT: "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], is_so: bool) -> None:
    """Spans are sent where an endpoint is named and nothing switches them off."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_configured() is is_so


def test_nothing_is_imported_without_an_exporter() -> None:
    """Where no exporter is named, a span imports nothing of OpenTelemetry."""
    code = (
        "import sys; from blocks.telemetry import span\n"
        "with span('GET') as added: added['a'] = 1\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_a_missing_package_is_named_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """If what sends spans is not installed, one warning says what to install, and the export goes on."""
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setattr(trace, "get_tracer_provider", trace.ProxyTracerProvider)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with caplog.at_level(logging.WARNING, logger="prefect.itwin"):
        assert [start_telemetry() for _ in range(2)] == [False, False]
    assert [record.message.count("pip install opentelemetry-sdk") for record in caplog.records] == [1]


def transport(answer: int | Exception) -> Transport:
    def respond(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, json={})

    return Transport(RequestLimiter(60_000), http_transport=httpx.MockTransport(respond))


async def test_a_request_is_a_span_without_its_query(spans: Spans) -> None:
    """A request to the platform is a span with method, host, path and status, and nothing of its query."""
    request = httpx.Request("GET", "https://api.example/imodels?$search=secret")
    await transport(200).send(request, what="List")
    assert spans.kept == [
        {
            "name": "GET",
            "http.request.method": "GET",
            "server.address": "api.example",
            "url.path": "/imodels",
            "http.response.status_code": 200,
        }
    ]


async def test_a_failed_request_tells_its_kind_only(spans: Spans) -> None:
    """A request that fails has the kind of the error and not its text, which may hold an address."""
    broken = httpx.ConnectError("https://api.example/?sig=secret")
    with pytest.raises(TransientError):
        await transport(broken).send(httpx.Request("GET", "https://api.example/imodels"), what="List")
    assert spans.kept[0]["error.type"] == "ConnectError"
    assert "secret" not in str(spans.kept)
