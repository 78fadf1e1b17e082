"""Texts of other systems as they are shown."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.bounds import LONGEST_NAME, LONGEST_TEXT
from blocks.errors import ConfigurationError, without_secrets
from blocks.foreign_data import web_address
from blocks.itwin.models import AuthorizationInformation, IModel
from blocks.itwin.transport import error_from
from blocks.shown_text import in_markdown, in_terminal, shown, without_controls
from tests.blocks.itwin.platform import API, HOSTS

CLEAR_SCREEN = "\x1b[2J"


@given(st.text(st.characters()))
def test_any_text_is_one_printable_line(text: str) -> None:
    """Whatever the text, what is shown can be encoded, has one line and nothing that a terminal acts upon."""
    line = shown(text, 50)
    assert len(line) <= 50
    assert not set(line) & {chr(code) for code in (*range(32), *range(127, 160), 0x202E, 0x2066, 0xD800)}
    line.encode()


def test_control_characters_are_written_out() -> None:
    """Escape codes and turned writing are legible, and line ends of a message stay unless one line is wanted."""
    text = f"a{CLEAR_SCREEN}\u202eb\ud800\r\nc"
    assert without_controls(text) == "a\\x1b[2J\\u202eb\\ud800\\x0d\nc"
    assert shown(text) == "a\\x1b[2J\\u202eb\\ud800  c"
    assert without_secrets(CLEAR_SCREEN) == "\\x1b[2J"


def test_ten_megabytes_are_shortened() -> None:
    """A name and an error message of ten megabytes are cut."""
    text = "x" * 10_000_000
    assert len(IModel(id="i", display_name=text).display_name) == LONGEST_TEXT
    answer = httpx.Response(400, json={"error": {"code": "c", "message": text[:900_000]}})
    assert len(str(error_from(answer, "Ask"))) < LONGEST_TEXT + 200
    assert len(in_markdown(text)) == LONGEST_NAME


def test_the_end_of_a_sentence_is_kept() -> None:
    """A sentence that repeats a hundred kilobytes of input stays on one short line, and still says what to do."""
    for text in ("x" * 100_000, "a\n" * 50_000, CLEAR_SCREEN * 10_000):
        line = in_terminal(f"“{text}” is nothing. Do this.")
        assert line.startswith("“")
        assert line.endswith(" is nothing. Do this.")
        assert len(line) < 1.5 * LONGEST_TEXT
        assert line.isprintable()


def test_names_are_no_markdown() -> None:
    """A name with a link, a picture or a tag is shown as it is spelled."""
    assert in_markdown("![a](https://b) <c> `d`") == "!\\[a\\](https://b) \\<c\\> \\`d\\`"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "file:///etc/passwd", "//[::1", "data:text/html,a", "", 7])
def test_a_consent_page_is_a_web_page(link: object) -> None:
    """A link that no browser should open is none."""
    answer = {"_links": {"authorizationUrl": {"href": link}}}
    assert AuthorizationInformation.model_validate(answer).authorization_url == ""
    assert not AuthorizationInformation.model_validate({"_links": {"authorizationUrl": link}}).authorization_url


def test_links_are_encoded() -> None:
    """A link with a line end or letters outside ASCII can be sent and shown."""
    assert web_address("/ä\nb?c= \x1b", "https://h") == "https://h/%C3%A4b?c=%20%1B"
    with pytest.raises(ConfigurationError, match="nowhere"):
        HOSTS.resolve("https://api.bentley.com/" + "a" * 50_000, base=API)
