"""Settings read from the environment."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError
from blocks.itwin.credentials import ItwinCredentials
from blocks.settings import Settings, _say_once, read_settings  # pyright: ignore[reportPrivateUsage]
from blocks.storage.user_blob_storage import UserBlobStorage


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
        "release_after_seconds": 120,
        "output_dir": "exports",
        "ids_memory_mb": 4096,
        "ids_seconds": 900,
        "preview": "auto",
        "requests_per_minute": 450,
        "share_requests": False,
        "shard_silence_seconds": 90,
        "task_runs_per_second": 20,
        "tile_sha256": False,
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


@pytest.mark.parametrize("written", [" s3cret-of-a-client\r\n", "'s3cret-of-a-client'", '" s3cret-of-a-client "'])
def test_what_nobody_means_is_left_out(
    written: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Blanks, line ends and quotes around a value are left out; a sentence names the variable, never the value."""
    monkeypatch.setenv("ITWIN_CLIENT_SECRET", written)
    monkeypatch.setenv("ITWIN_API_URL", ' "https://qa-api.bentley.com/" ')
    monkeypatch.setenv("ITWIN_BLOB_OUTPUT_SAS_URL", "'https://a.blob.core.windows.net/c/b?sig=secret'\n")
    _say_once.cache_clear()
    settings = read_settings()
    read_settings()
    assert settings.client_secret is not None
    assert settings.client_secret.get_secret_value() == "s3cret-of-a-client"
    assert settings.api_url == "https://qa-api.bentley.com"
    assert settings.blob_output_sas_url is not None
    assert settings.blob_output_sas_url.get_secret_value().endswith("sig=secret")
    assert len(caplog.messages) == 3
    assert "ITWIN_CLIENT_SECRET has blanks" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://cdn.example", "cdn.example"),
        ("https://CDN.example:443/tiles?x=1", "cdn.example"),
        ("cdn.example:8443", "cdn.example:8443"),
        ("*.cdn.example", "*.cdn.example"),
        (".cdn.example", "*.cdn.example"),
        ("'cdn.example'", "cdn.example"),
        ("[fd00::1]", "fd00::1"),
    ],
)
def test_allowed_hosts_as_people_write_them(written: str, meant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address, a port, a star, quotes: an entry means the hosts it names."""
    monkeypatch.setenv("ITWIN_ALLOWED_HOSTS", f"a.example,{written}")
    assert read_settings().allowed_hosts == ("a.example", meant)


@pytest.mark.parametrize(
    "written", ["http://cdn.example", "*", "*.example", "a b.example", "me@cdn.example", "cdn.*.example"]
)
def test_a_host_that_can_never_match_is_refused(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no link can match is refused with the ways an entry is written."""
    monkeypatch.setenv("ITWIN_ALLOWED_HOSTS", written)
    with pytest.raises(ConfigurationError, match=r"ITWIN_ALLOWED_HOSTS.*HOST:PORT"):
        read_settings()


@pytest.mark.parametrize("name", ["API_URL", "ISSUER_URL"])
def test_plain_http_is_for_loopback(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets never go over plain HTTP beyond this machine."""
    monkeypatch.setenv(f"ITWIN_{name}", "http://127.0.0.1:8000")
    read_settings()
    monkeypatch.setenv(f"ITWIN_{name}", "http://platform.intern")
    with pytest.raises(ConfigurationError, match=f"ITWIN_{name}.*loopback only"):
        read_settings()
    field = {name.lower(): "http://platform.intern"}
    with pytest.raises(ValueError, match="loopback only"):
        ItwinCredentials(client_id="c", client_secret=SecretStr("s"), **field)  # pyright: ignore[reportArgumentType]


def test_blocks_leave_out_the_same() -> None:
    """What is pasted into a block is read like a variable."""
    block = ItwinCredentials(
        client_id=" c\n", client_secret=SecretStr("'quoted-secret'\n"), allowed_hosts=["https://a.b/"]
    )
    assert block.client_secret is not None
    assert (block.client_id, block.client_secret.get_secret_value()) == ("c", "quoted-secret")
    assert block.allowed_hosts == ["a.b"]
    storage = UserBlobStorage(output_sas_url=SecretStr('"https://a.blob.core.windows.net/c/b?sig=s"'))
    assert storage.output_sas_url is not None
    assert storage.output_sas_url.get_secret_value() == "https://a.blob.core.windows.net/c/b?sig=s"


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
        ("POLL_MAX_SECONDS", "inf"),
        ("SCOPE", "a\udcff"),
        ("CLIENT_SECRET", "a\udcff"),
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
