"""What this process knows to be secret is in no message, however the other side echoes it."""

import json
from urllib.parse import quote, quote_plus

import pytest

from blocks.errors import without_secrets
from blocks.known_secrets import LONGEST_TEXT, remember_secret

SECRET = "pA7/kd+Q0m=Zx8Lw2e~yTn4"
TOKEN = "Qm9yZGVyIGNvbGxpZSBhbmQgYSB0b2tlbiB3aXRoIDQ4IGNoYXJz-8fK2"
LINK = "https://cdn.example/t/tile.glb?Policy=eyJTdGF0ZW1lbnQi8&Key-Pair-Id=K3ABCDEFGH&Signature=a~Bc9-dEfGh1"


@pytest.fixture(autouse=True)
def _remembered() -> None:
    for secret in (SECRET, TOKEN, LINK, f"AccountName=acc;AccountKey={SECRET[::-1]};EndpointSuffix=core.windows.net"):
        remember_secret(secret)


@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        f"client {SECRET} is unknown",
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower().replace("%2f", "%2f"),
        f"client_secret%3D{quote_plus(SECRET)}%26x",
        json.dumps({"echo": f'"{SECRET}"'}),
        json.dumps({"echo": SECRET}).replace("/", r"\/"),
        f"key {SECRET[::-1]} refused",
    ],
)
def test_echoed_secret(echo: str) -> None:
    """In prose, in JSON and percent-encoded, a known secret is left out whole."""
    said = without_secrets(f"refused: {echo}.")
    assert said.startswith("refused")
    assert not any(piece in said for piece in (SECRET[:6], SECRET[-6:], SECRET[::-1][:6]))


@pytest.mark.parametrize("fragment", [TOKEN[-12:], TOKEN[:16], TOKEN[20:36], f"…{TOKEN[-8:]}"])
def test_fragment_of_a_token(fragment: str) -> None:
    """The head, the tail and the middle of a token are left out too."""
    assert without_secrets(f"the token ending in {fragment} is spent") in {
        "the token ending in … is spent",
        "the token ending in …… is spent",
    }


@pytest.mark.parametrize("name", ["Policy", "Key-Pair-Id", "Signature"])
def test_parameters_of_cdn_links(name: str) -> None:
    """The parameters of a CDN link are left out with their names and without."""
    value = LINK.partition(f"{name}=")[2].partition("&")[0]
    assert value not in without_secrets(f"cookie {name}={value}; denied {value}")
    assert "unknown-value-1" not in without_secrets(f"cookie {name}=unknown-value-1; denied")


@pytest.mark.parametrize("name", ["client_secret", "access_token", "refresh_token", "sig"])
def test_members_of_json(name: str) -> None:
    """A secret that is not known is left out where JSON names it."""
    assert "unknown-value-1" not in without_secrets(json.dumps({name: "unknown-value-1", "code": "X"}))


def test_plain_sentences_stay() -> None:
    """A message keeps its words, also those that a secret is made of."""
    remember_secret("the webhook secret of our department number 7")
    sentence = "The webhook secret is missing: set ITWIN_WEBHOOK_SECRET. Code: NotFound, iModel 5e19bee0."
    assert without_secrets(sentence) == sentence


def test_long_text_is_cut() -> None:
    """However much another side says, a message stays readable."""
    assert len(without_secrets("a " * 5_000_000)) <= LONGEST_TEXT + 1
