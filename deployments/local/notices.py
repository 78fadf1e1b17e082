"""`python -m deployments.local.notices`: takes the notices of automations on loopback and shows them.

Every user of the machine can connect to loopback, so the address holds a random key, and a request without it gets 404.
"""

import json
import sys
from collections import deque
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import uvicorn
from cyclopts import App
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from blocks.disk import open_private
from blocks.errors import ForeignDataError
from blocks.foreign_data import read_json_object
from blocks.shown_text import shown
from deployments.output_streams import keep_streams_open

LARGEST_BODY = 64 * 1024
MOST_SHOWN = 200
LONGEST_LINE = 2000
cli = App(name="deployments.local.notices", help_format="plaintext", result_action="return_value")


class Notices:
    """The notices that have arrived, the newest first; each is also a line of a file that only its owner can read."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._newest = deque[dict[str, str]](maxlen=MOST_SHOWN)

    def app(self, key: str) -> Starlette:
        """`POST /<key>/notices` takes one, `GET /<key>/` shows them."""
        routes = [Route(f"/{key}/notices", self.take, methods=["POST"]), Route(f"/{key}/", self.show), _HEALTH]
        return Starlette(routes=routes)

    async def take(self, request: Request) -> JSONResponse:
        """One notice, as JSON with `subject` and `body`."""
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST_BODY:
                return JSONResponse({"error": f"the body is larger than {LARGEST_BODY} bytes"}, 413)
        try:
            notice = _read(read_json_object(bytes(content)))
        except ForeignDataError as error:
            return JSONResponse({"error": str(error)}, 400)
        self._keep(notice)
        return JSONResponse({"status": "taken"})

    def _keep(self, notice: dict[str, str]) -> None:
        self._newest.appendleft(notice)
        with open(self._file, "a", encoding="utf-8", opener=open_private) as file:
            file.write(json.dumps(notice, ensure_ascii=False) + "\n")

    async def show(self, _request: Request) -> HTMLResponse:
        """A page with the newest ones; it loads itself again every five seconds."""
        parts = [
            f"<h2>{escape(one['subject'])}</h2><p>{escape(one['at'])}</p><pre>{escape(one['body'])}</pre>"
            for one in self._newest
        ]
        refresh, style = '<meta http-equiv="refresh" content="5">', "<style>pre{white-space:pre-wrap}</style>"
        return HTMLResponse(
            f"<!doctype html><meta charset=utf-8>{refresh}{style}<title>Notices</title>"
            f"{''.join(parts) or '<p>No notice has arrived yet.</p>'}",
            headers={"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )


async def _health(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


_HEALTH = Route("/health", _health)


def _read(members: dict[str, Any]) -> dict[str, str]:
    lines = str(members.get("body") or "").splitlines()
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "subject": shown(str(members.get("subject") or ""), LONGEST_LINE),
        "body": "\n".join(shown(line, LONGEST_LINE) for line in lines),
    }


@cli.default
def receive(*, port: int, key_file: Path, file: Path) -> int:
    """Take notices until the process is ended.

    Args:
        port: On loopback.
        key_file: File with the key in the address.
        file: Where each notice is written down.
    """
    app = Notices(file).app(key_file.read_text().strip())
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, ws="none")
    return 0


if __name__ == "__main__":
    keep_streams_open()
    sys.exit(cli(sys.argv[1:]))
