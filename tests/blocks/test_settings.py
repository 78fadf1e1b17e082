"""Settings read from the environment."""

from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from blocks.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"ITWIN_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_defaults_are_the_promised_ones() -> None:
    """An empty environment means the vendor's production platform and its documented rate limit."""
    settings = read_settings()
    assert settings.model_dump(exclude_none=True) == {
        "api_url": "https://api.bentley.com",
        "issuer_url": "https://ims.bentley.com",
        "authentication_type": "Service",
        "scope": "itwin-platform",
        "redirect_url": "http://localhost:3113/callback",
        "allowed_hosts": (),
        "poll_seconds": 5,
        "poll_max_seconds": 60,
        "output_dir": Path("exports"),
        "requests_per_minute": 450,
        "share_requests": False,
        "shard_silence_seconds": 90,
        "task_runs_per_second": 20,
    }


def test_reads_the_environment_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """`.env` in the working directory is read; a variable of the environment wins; an empty one counts as not set."""
    Path(".env").write_text("ITWIN_CLIENT_ID=from-file\nITWIN_SCOPE=from-file\nOTHER=1\n")
    monkeypatch.setenv("ITWIN_CLIENT_ID", "from-environment")
    monkeypatch.setenv("ITWIN_REFRESH_TOKEN", "")
    settings = read_settings()
    assert (settings.client_id, settings.scope, settings.refresh_token) == ("from-environment", "from-file", None)


def test_allowed_hosts_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allowed hosts are separated by commas; blanks and empty entries are ignored."""
    monkeypatch.setenv("ITWIN_ALLOWED_HOSTS", " a.example ,, b.example,")
    assert read_settings().allowed_hosts == ("a.example", "b.example")


def test_a_trailing_slash_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trailing slash is removed from addresses."""
    monkeypatch.setenv("ITWIN_API_URL", "https://qa-api.bentley.com//")
    assert read_settings().api_url == "https://qa-api.bentley.com"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_URL", "api.bentley.com"),
        ("API_URL", "https://"),
        ("API_URL", "http://["),
        ("ISSUER_URL", "ftp://ims.bentley.com"),
        ("AUTHENTICATION_TYPE", "Robot"),
        ("POLL_SECONDS", "0"),
        ("POLL_MAX_SECONDS", "soon"),
        ("REQUESTS_PER_MINUTE", "-1"),
    ],
)
def test_a_value_that_cannot_be_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The error for an invalid variable names the variable."""
    monkeypatch.setenv(f"ITWIN_{name}", value)
    with pytest.raises(ConfigurationError, match=f"ITWIN_{name}: "):
        read_settings()


def test_no_message_and_no_repr_holds_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the error for an invalid variable nor the printed settings contain the values of secrets."""
    monkeypatch.setenv("ITWIN_CLIENT_SECRET", "s3cret")
    monkeypatch.setenv("ITWIN_BLOB_CONNECTION_STRING", "AccountKey=s3cret")
    assert "s3cret" not in f"{read_settings()!r} {read_settings().model_dump_json()}"
    monkeypatch.setenv("ITWIN_API_URL", "s3cret")
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named() -> None:
    """A `.env` that is not UTF-8 is a configuration error."""
    Path(".env").write_bytes(b"ITWIN_CLIENT_ID=\xff\xfe\n")
    with pytest.raises(ConfigurationError, match=r"\.env"):
        read_settings()
