"""What a hostile platform answers, and the commands that ask it."""

from collections.abc import Iterator

from deployments.sandbox.state.seed import SEEDED
from tests.hostile.case import SECRET, Case

ANSWERS: dict[str, bytes] = {
    "page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>",
    "nothing": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "null": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    "list": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "object": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "number": b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"9" * 5000,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "elsewhere": b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/?sig="
    + SECRET.encode()
    + b"\r\nContent-Length: 0\r\n\r\n",
    "itself": b"HTTP/1.1 307 Again\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
    "418": b"HTTP/1.1 418 \x1b[2J\r\nContent-Length: 5\r\n\r\n\x1b[2J\xff",
    "401": b"HTTP/1.1 401 No\r\nWWW-Authenticate: \x1b[2J\r\nContent-Length: 2\r\n\r\n{}",
    "403": b"HTTP/1.1 403 No\r\nContent-Length: 46\r\n\r\n" + b'{"error":{"code":"\\ud800","message":"[/red]"}}',
    "404": b"HTTP/1.1 404 No\r\nContent-Length: 18\r\n\r\n" + b'{"error":[1,2,[]]}',
    "422": b"HTTP/1.1 422 No\r\nContent-Length: 30\r\n\r\n" + b'{"error":{"details":[null,{}]}}'[:30],
    "not HTTP": b"\x1b[2J\0\xff",
    "0.9": b"<html>",
    "999": b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    "wrong length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
    "broken gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\xff",
    "strange": b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"
    + (
        b'{"imodels":null,"iModels":[[],3,{"id":[]}],"iTwins":[null],"webhooks":[{"id":{}}],"changesets":"x","_links":[]}'
    ).ljust(300),
}
"""What a hostile platform says to everything; in “strange”, things are of other types."""
ASKED = (
    ("list", "itwins"),
    ("list", "imodels", SEEDED.itwin),
    ("list", "versions", SEEDED.plant),
    ("list", "runs", SEEDED.plant),
    ("list", "changesets", SEEDED.plant, "--json"),
)
"""Asked of each answer; the commands with a flow only of some, for each takes seconds."""
ASKED_WITH_PREFECT = (
    ("ifc", SEEDED.plant),
    ("mesh", SEEDED.plant),
    ("itwin", SEEDED.itwin),
    ("webhooks", "list"),
    ("doctor",),
)


def answers() -> Iterator[Case]:
    """Every answer to every command that only reads, from the sign-in too; some to commands with a flow."""
    for name in ANSWERS:
        platform = {"ITWIN_API_URL": f"{{host}}/{name}"}
        for arguments in ASKED:
            yield Case(arguments, environment=platform)
        yield Case(("list", "itwins"), environment={"ITWIN_ISSUER_URL": f"{{host}}/{name}"})
    for name in ("page", "null", "elsewhere", "404", "strange"):
        for arguments in ASKED_WITH_PREFECT:
            yield Case(arguments, environment={"ITWIN_API_URL": f"{{host}}/{name}"})
