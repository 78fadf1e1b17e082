"""The allow list of hosts for links that the platform returns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.errors import ConfigurationError
from blocks.itwin.allowed_hosts import AllowedHosts
from blocks.urls import host_of
from tests.blocks.itwin.platform import API, HOSTS, ISSUER

LOCAL = AllowedHosts("http://127.0.0.1:8000", "http://127.0.0.1:8000")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.bentley.com/export",
        "https://API.Bentley.com/export",
        "https://ims.bentley.com/connect/token",
        "https://qa-api.bentley.com:8443/x",
        "https://account.blob.core.windows.net/c/b?sig=s",
    ],
)
def test_allows_the_vendor(url: str) -> None:
    """The API, the issuer and the vendor's domains are allowed over HTTPS."""
    assert HOSTS.allows(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://evilbentley.com/",
        "https://bentley.com.evil.example/",
        "https://api.bentley.com@evil.example/",
        "https://api.bentley.com:x@evil.example/",
        "https://evil.example@api.bentley.com/",
        r"https://evil.example\.bentley.com/",
        r"https://api.bentley.com\@evil.example/",
        "https://evil.example/.bentley.com",
        "https://evil.example#.bentley.com",
        "https://evil.example?.bentley.com",
        "https://evil.example%2f.bentley.com/",
        "https://a b.bentley.com/",
        "https://api.bentley.com:99999/",
        "https://api.bentley.com./",
        "http://api.bentley.com/",
        "ftp://api.bentley.com/",
        "javascript:alert(1)",
        "https://[::1/",
        "https://",
        "",
    ],
)
def test_refuses_lookalikes(url: str) -> None:
    """Lookalike hosts, user names, backslashes, plain HTTP and invalid URLs are rejected."""
    assert not HOSTS.allows(url)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "[::1]:80", "app.localhost", "127.9.9.9"])
def test_loopback_needs_a_loopback_api(host: str) -> None:
    """Loopback links are followed only when the API itself is on loopback, even if listed as extra."""
    url = f"http://{host}/x"
    assert LOCAL.allows(url)
    assert not AllowedHosts(API, ISSUER, (host_of(url),)).allows(url)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.1", "10.0.0.1", "[::ffff:127.0.0.1]", "notlocalhost"])  # noqa: S104
def test_what_only_looks_like_loopback_is_refused(host: str) -> None:
    """Addresses that are not loopback are refused on a loopback API too."""
    assert not LOCAL.allows(f"http://{host}/")


def test_extra_hosts_are_exact_and_need_https() -> None:
    """An extra host is allowed over HTTPS, whatever its case; neither its subdomains nor plain HTTP are."""
    hosts = AllowedHosts(API, ISSUER, ("CDN.example",))
    assert hosts.allows("https://cdn.example/x")
    assert not hosts.allows("https://a.cdn.example/x")
    assert not hosts.allows("http://cdn.example/x")


def test_plain_http_is_for_loopback_only() -> None:
    """Links over plain HTTP are rejected unless the API is on loopback, also links to the API itself."""
    hosts = AllowedHosts("http://platform.intern", "https://login.intern")
    assert not hosts.allows("http://platform.intern/export")
    assert not hosts.allows("http://login.intern/connect/token")


@pytest.mark.parametrize(
    ("entry", "url", "is_allowed"),
    [
        ("*.cdn.example", "https://a.b.cdn.example/x", True),
        ("*.cdn.example", "https://cdn.example/x", False),
        ("*.cdn.example", "https://evilcdn.example/x", False),
        ("cdn.example:8443", "https://cdn.example:8443/x", True),
        ("cdn.example:8443", "https://cdn.example/x", False),
        ("cdn.example", "https://cdn.example:8443/x", True),
    ],
)
def test_extra_entries(entry: str, url: str, is_allowed: bool) -> None:
    """An extra entry may be a domain with a star for all below it, or name the one port."""
    assert AllowedHosts(API, ISSUER, (entry,)).allows(url) == is_allowed


@pytest.mark.parametrize(
    ("link", "extra", "is_sent"),
    [
        (f"{ISSUER}/connect/token", (), True),
        (f"{ISSUER}:443/connect/token", (), True),
        (f"{ISSUER}:8443/connect/token", (), False),
        ("https://api.bentley.com/token", (), False),
        ("https://other.bentley.com/token", (), False),
        ("https://thief.blob.core.windows.net/token", (), False),
        ("https://other.bentley.com/token", ("other.bentley.com",), True),
        ("https://other.bentley.com:8443/token", ("other.bentley.com",), False),
        ("https://other.bentley.com:8443/token", ("other.bentley.com:8443",), True),
    ],
)
def test_where_the_client_secret_may_go(link: str, extra: tuple[str, ...], is_sent: bool) -> None:
    """The secret goes to the issuer's own origin, or where the user says, on the default port or the one named."""
    hosts = AllowedHosts(API, ISSUER, extra)
    if is_sent:
        assert hosts.resolve_for_secret(link, base=ISSUER) == link
    else:
        with pytest.raises(ConfigurationError, match=r"wants the client's secret sent to.*ITWIN_ALLOWED_HOSTS"):
            hosts.resolve_for_secret(link, base=ISSUER)


@pytest.mark.parametrize(
    ("link", "resolved"),
    [
        ("/export/runs/1", f"{API}/export/runs/1"),
        ("runs/1", f"{API}/export/runs/1"),
        ("//qa-api.bentley.com/x", "https://qa-api.bentley.com/x"),
        ("https://a.blob.core.windows.net/c?sig=1", "https://a.blob.core.windows.net/c?sig=1"),
    ],
)
def test_relative_links_are_resolved(link: str, resolved: str) -> None:
    """A relative link is resolved against the URL of its response."""
    assert HOSTS.resolve(link, base=f"{API}/export/connections") == resolved


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("//evil.example/x?sig=abc", "https://evil.example"),
        ("http://[", "nowhere"),
        ("http://api.bentley.com", "http:"),
    ],
)
def test_the_refusal_names_the_host_and_nothing_secret(link: str, shown: str) -> None:
    """The message names the link's host and the setting to change, never the query string."""
    with pytest.raises(ConfigurationError) as caught:
        HOSTS.resolve(link, base=API)
    assert shown in str(caught.value)
    assert "ITWIN_ALLOWED_HOSTS" in str(caught.value)
    assert "abc" not in str(caught.value)


@given(st.text(max_size=40))
def test_no_text_gets_past_the_list(text: str) -> None:
    """Any text as a link is resolved to an allowed host or raises ConfigurationError."""
    try:
        url = HOSTS.resolve(text, base=f"{API}/export")
    except ConfigurationError:
        return
    assert host_of(url).endswith((".bentley.com", ".blob.core.windows.net"))
