"""TLS hosts on loopback with a certificate of a test authority, and a real proxy in front of them."""

import json
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAMES = ("api.bentley.com", "account.blob.core.windows.net", "login.microsoftonline.com")
BODY = b"the content of a file"
AADSTS = "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the secret value."
PROXY = Path(__file__).with_name("connect_proxy.py")


@dataclass
class Hosts:
    """A server that answers for every host name and counts TLS handshakes.

    Attributes:
        authority: Its certificate, as a file.
        folder: The same, under the name that OpenSSL looks for.
    """

    port: int
    authority: Path
    folder: Path
    connections: list[bool] = field(default_factory=list[bool])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if "openid-configuration" in self.path:
            root = "https://login.microsoftonline.com/tenant/oauth2/v2.0"
            known = {"token_endpoint": f"{root}/token", "authorization_endpoint": f"{root}/authorize"}
            self._answer(200, json.dumps(known | {"issuer": "https://login.microsoftonline.com/tenant/v2.0"}).encode())
        elif "discovery/instance" in self.path:
            self._answer(200, b'{"metadata": []}')
        elif self.headers.get("Range") or self.headers.get("x-ms-range"):
            self._answer(206, BODY[:1], {"Content-Range": f"bytes 0-0/{len(BODY)}"})
        else:
            self._answer(200, BODY)

    def do_HEAD(self) -> None:
        self._answer(200, BODY)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        refusal = {"error": "invalid_client", "error_description": f"{AADSTS} Trace ID: 0000"}
        self._answer(401, json.dumps(refusal).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name in the library
        del format, args

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "ETag": '"1"', **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hosts: Hosts
    tls: ssl.SSLContext

    def finish_request(self, request: object, client_address: object) -> None:
        """The handshake takes place in the thread of the connection."""
        self.hosts.connections.append(True)
        try:
            with self.tls.wrap_socket(request, server_side=True) as secured:  # type: ignore[arg-type]
                super().finish_request(secured, client_address)  # type: ignore[arg-type]
        except OSError:
            return

    def handle_error(self, request: object, client_address: object) -> None:
        del request, client_address


@contextmanager
def serving_hosts(folder: Path) -> Generator[Hosts]:
    """Serve until the end of the block; the certificates are in the folder."""
    certify_names(folder)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.tls.load_cert_chain(folder / "host.pem", folder / "host.key")
    server.hosts = Hosts(server.server_address[1], folder / "authority.pem", folder / "trusted")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.hosts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certify_names(folder: Path) -> None:
    """Make an authority (`authority.pem`) and a certificate that it signs for all names and for loopback."""
    keys = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    own = ["-subj", "/CN=Authority of the tests", "-addext", "keyUsage=critical,keyCertSign"]
    own += ["-keyout", str(folder / "authority.key"), "-out", str(folder / "authority.pem")]
    names = ",".join([*(f"DNS:{name}" for name in NAMES), "IP:127.0.0.1"])
    signed = ["-CA", str(folder / "authority.pem"), "-CAkey", str(folder / "authority.key"), "-subj", "/CN=hosts"]
    signed += ["-addext", f"subjectAltName={names}", "-addext", "basicConstraints=critical,CA:FALSE"]
    signed += ["-keyout", str(folder / "host.key"), "-out", str(folder / "host.pem")]
    for arguments in (own, signed):
        subprocess.run(["openssl", "req", "-x509", *keys, *arguments], check=True, capture_output=True)
    trusted = folder / "trusted"
    trusted.mkdir()
    shutil.copy(folder / "authority.pem", trusted)
    subprocess.run(["openssl", "rehash", trusted], check=True)


@dataclass
class Proxy:
    """A proxy process; `asked` are the hosts it was asked to connect, with the password it was given."""

    address: str
    asked: list[str] = field(default_factory=list[str])


@contextmanager
def running_proxy(target_port: int, status: int = 200) -> Generator[Proxy]:
    """Run the proxy until the end of the block."""
    command = [sys.executable, str(PROXY), str(target_port), str(status)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        proxy = Proxy(f"127.0.0.1:{int(process.stdout.readline())}")
        reader = threading.Thread(target=lambda: proxy.asked.extend(line.strip() for line in process.stdout or ()))
        reader.start()
        try:
            yield proxy
        finally:
            process.terminate()
            reader.join()
