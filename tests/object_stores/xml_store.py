"""A small object store on loopback with the XML interface of S3 or of Google Cloud, and the faults that real ones have.

It holds conditions exactly: If-Match and If-None-Match of S3, x-goog-if-generation-match of Google Cloud. Checked
against https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html and
https://cloud.google.com/storage/docs/xml-api/put-object.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import ClassVar, Literal
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape

Dialect = Literal["s3", "gs"]


@dataclass(frozen=True)
class Held:
    """One object."""

    content: bytes
    headers: Mapping[str, str]
    generation: int
    modified: datetime

    @property
    def etag(self) -> str:
        """In quotes; another one for each write, as Azure and composite objects have it."""
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}-{self.generation}"'


@dataclass(frozen=True)
class Answer:
    """A fault: the status, and the code that a store names in the body; `is_done` if it did what was asked first."""

    status: int
    code: str = ""
    is_done: bool = False


Fault = Callable[[str, str], Answer | None]
"""For method and key, the answer in place of the real one."""


@dataclass
class XmlStore:
    """The objects of one bucket by key, the requests so far, and the faults to come.

    Attributes:
        listing_lag: An object is listed so long after it was written.
    """

    dialect: Dialect
    url: str = ""
    ignores_conditions: bool = False
    listing_lag: timedelta = timedelta()
    allowed_origin: str = ""
    fault: Fault | None = None
    objects: dict[str, Held] = field(default_factory=dict[str, Held])
    requests: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    written: list[str] = field(default_factory=list[str])
    copies: list[str] = field(default_factory=list[str])
    parts: dict[str, dict[int, bytes]] = field(default_factory=dict[str, dict[int, bytes]])
    lock: threading.Lock = field(default_factory=threading.Lock)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def put(self, key: str, content: bytes, headers: Mapping[str, str]) -> Held | None:
        """Store an object if the conditions in the headers hold."""
        with self.lock:
            if not self.ignores_conditions and not self._permits(headers, self.objects.get(key)):
                return None
            kept = {name: headers[name] for name in ("content-type", "cache-control") if name in headers}
            self.written.append(key)
            self.objects[key] = held = Held(content, kept, next(self.numbers), datetime.now(UTC))
            return held

    def age(self, age: timedelta) -> None:
        """Let everything have been written so much earlier."""
        with self.lock:
            aged = {key: replace(held, modified=held.modified - age) for key, held in self.objects.items()}
            self.objects.update(aged)

    def _permits(self, headers: Mapping[str, str], present: Held | None) -> bool:
        if self.dialect == "gs":
            wanted = headers.get("x-goog-if-generation-match")
            return wanted is None or int(wanted) == (present.generation if present else 0)
        if headers.get("if-none-match") == "*":
            return present is None
        return "if-match" not in headers or (present is not None and present.etag == headers["if-match"])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: ClassVar[XmlStore]

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        store, parts = self.store, urlsplit(self.path)
        key, query = (
            unquote(parts.path).removeprefix("/exports").removeprefix("/"),
            parse_qs(parts.query, keep_blank_values=True),
        )
        store.requests.append((self.command, key or "?" + parts.query))
        fault = store.fault(self.command, key) if store.fault else None
        if fault and not fault.is_done:
            return self._refuse(fault.status, fault.code)
        self._silent = bool(fault)
        {"GET": self._get, "HEAD": self._get, "PUT": self._put, "POST": self._post, "DELETE": self._delete}[
            self.command
        ](key, query, body)
        if fault:
            self._silent = False
            self._refuse(fault.status, fault.code)
        return None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request  # noqa: N815  names of http.server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  name of http.server
        """Log nothing."""

    def _get(self, key: str, query: dict[str, list[str]], _: bytes) -> None:
        if not key:
            return self._list(query)
        held = self.store.objects.get(key)
        if held is None:
            return self._refuse(404, "NoSuchKey")
        return self._answer(200, held.content, {**held.headers, **_about(held)})

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        contents, folders = list[str](), set[str]()
        youngest = datetime.now(UTC) - self.store.listing_lag
        for key, held in sorted(self.store.objects.items()):
            if held.modified > youngest:
                continue
            rest = key.removeprefix(prefix)
            if key.startswith(prefix) and delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            elif key.startswith(prefix):
                contents.append(_entry(key, held))
        common = "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders))
        self._xml(f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(contents)}{common}</ListBucketResult>")

    def _put(self, key: str, query: dict[str, list[str]], body: bytes) -> None:
        store, headers = self.store, {name.lower(): value for name, value in self.headers.items()}
        if "uploadId" in query:
            if query["uploadId"][0] not in store.parts:
                return self._refuse(404, "NoSuchUpload")
            store.parts[query["uploadId"][0]][int(query["partNumber"][0])] = body
            return self._answer(200, b"", {"ETag": f'"{len(body)}"'})
        source = headers.get("x-amz-copy-source") or headers.get("x-goog-copy-source")
        if source is None:
            return self._stored(store.put(key, body, headers))
        store.copies.append(key)
        held = store.objects.get(unquote(source).removeprefix("/").removeprefix("exports/"))
        if held is None:
            return self._refuse(404, "NoSuchKey")
        copied = store.put(key, held.content, {**headers, **held.headers})
        return self._xml(f"<CopyObjectResult><ETag>{copied.etag if copied else ''}</ETag></CopyObjectResult>")

    def _stored(self, held: Held | None) -> None:
        if held is None:
            return self._refuse(412, "PreconditionFailed")
        return self._answer(200, b"", _about(held))

    def _post(self, key: str, query: dict[str, list[str]], body: bytes) -> None:
        store = self.store
        if "delete" in query:
            keys = [unescape(found) for found in re.findall(r"<Key>(.*?)</Key>", body.decode())]
            for one in keys:
                store.objects.pop(one, None)
            deleted = "".join(f"<Deleted><Key>{escape(one)}</Key></Deleted>" for one in keys)
            return self._xml(f"<DeleteResult>{deleted}</DeleteResult>")
        if "uploads" in query:
            upload = f"upload-{next(store.numbers)}"
            store.parts[upload] = {}
            begun = f"<UploadId>{upload}</UploadId>"
            return self._xml(f"<InitiateMultipartUploadResult>{begun}</InitiateMultipartUploadResult>")
        parts = store.parts.pop(query["uploadId"][0])
        held = store.put(key, b"".join(parts[number] for number in sorted(parts)), {})
        return self._xml(
            f"<CompleteMultipartUploadResult><ETag>{escape(held.etag) if held else ''}</ETag>"
            f"</CompleteMultipartUploadResult>",
            _about(held) if held else {},
        )

    def _delete(self, key: str, query: dict[str, list[str]], _: bytes) -> None:
        if "uploadId" in query:
            self.store.parts.pop(query["uploadId"][0], None)
        elif self.store.objects.pop(key, None) is None and self.store.dialect == "gs":
            return self._refuse(404, "NoSuchKey")
        return self._answer(204, b"", {})

    def _xml(self, text: str, headers: Mapping[str, str] | None = None) -> None:
        self._answer(200, f'<?xml version="1.0" encoding="UTF-8"?>{text}'.encode(), headers or {})

    def _refuse(self, status: int, code: str) -> None:
        self._answer(status, f"<Error><Code>{code}</Code><Message>secret-echo</Message></Error>".encode(), {})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        if self._silent:
            return
        self.send_response(status, HTTPStatus(status).phrase)
        if self.store.allowed_origin and "origin" in self.headers:
            self.send_header("Access-Control-Allow-Origin", self.store.allowed_origin)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != HTTPStatus.NO_CONTENT:
            self.wfile.write(body)

    _silent = False


def _about(held: Held) -> dict[str, str]:
    return {
        "ETag": held.etag,
        "Last-Modified": formatdate(usegmt=True),
        "x-goog-generation": str(held.generation),
    }


def _entry(key: str, held: Held) -> str:
    return (
        f"<Contents><Key>{escape(key)}</Key><LastModified>{held.modified:%Y-%m-%dT%H:%M:%S.000Z}</LastModified>"
        f"<ETag>{escape(held.etag)}</ETag><Size>{len(held.content)}</Size></Contents>"
    )


@contextmanager
def running_xml_store(dialect: Dialect) -> Generator[XmlStore]:
    """Serve one bucket called `exports` for as long as the block lasts."""
    store = XmlStore(dialect)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store}))
    server.daemon_threads = True
    store.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
