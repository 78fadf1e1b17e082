"""A container of tiles behind TLS on loopback: nginx serves, as fast as a machine can, and lists what it has."""

import base64
import hashlib
import json
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

PAGE = 5000
PLAIN = "plain"
"""The same container once more, whose listing has no MD5."""
MODULE = Path("/usr/lib/nginx/modules/ngx_http_headers_more_filter_module.so")
_PIECES = [random.Random(number).randbytes(1000) for number in range(64)]

_CONFIGURATION = """
load_module {module};
{user}
worker_processes 2;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    server {{
        listen 127.0.0.1:{port} ssl backlog=1024;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_session_cache shared:s:1m;
        root {folder}/www;
        more_set_input_headers "Range: $http_x_ms_range";  # how the Azure SDK asks for ranges
        default_type application/octet-stream;
        location = /account/container {{ rewrite ^ /lists/md5-$arg_marker.xml break; }}
        location = /account/{plain} {{ rewrite ^ /lists/plain-$arg_marker.xml break; }}
        location /account/{plain}/ {{ alias {folder}/www/account/container/; }}
    }}
}}
"""


@dataclass(frozen=True)
class BlobHost:
    """Where the tiles are; the signature is made up, nobody checks it."""

    url: str
    folder: Path
    certificate: Path
    count: int
    total_bytes: int


@contextmanager
def serving(folder: Path, count: int, sizes: tuple[int, int]) -> Generator[BlobHost]:
    """Serve a tileset of so many tiles, sizes in bytes evenly spread."""
    www = folder / "www" / "account" / "container"
    total = _write_tileset(www, count, sizes)
    _write_lists(folder / "www" / "lists", www)
    certify(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(_CONFIGURATION.format(module=MODULE, folder=folder, port=port, user=_user(), plain=PLAIN))
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert nginx, "nginx is missing: apt-get install nginx libnginx-mod-http-headers-more-filter"
    server = subprocess.Popen([nginx, "-c", configuration, "-p", folder, "-e", folder / "error.log"])
    try:
        _await_port(port)
        signature = "sv=2024-08-04&sr=c&sp=rl&se=2099-01-01T00%3A00%3A00Z&sig=made-up"
        link = f"https://127.0.0.1:{port}/account/container?{signature}"
        yield BlobHost(link, www, folder / "cert.pem", count + 1, total)
    finally:
        server.terminate()
        server.wait()


def _user() -> str:
    """Started by root, nginx would read the files as somebody who may not."""
    return "user root;" if os.geteuid() == 0 else ""


def _write_tileset(www: Path, count: int, sizes: tuple[int, int]) -> int:
    names = [f"tiles/{number // 500}/{number}.glb" for number in range(count)]
    for group in range(-(-count // 500)):
        (www / "tiles" / str(group)).mkdir(parents=True, exist_ok=True)
    dice = random.Random(7)
    total = sum((www / name).write_bytes(make_glb(dice, dice.randint(*sizes))) for name in names)
    leaf = {"geometricError": 0, "boundingVolume": {"sphere": [0, 0, 0, 1]}}
    root = {**leaf, "geometricError": 1, "children": [{**leaf, "content": {"uri": name}} for name in names]}
    document = {"asset": {"version": "1.1"}, "geometricError": 1, "root": root}
    return total + (www / "tileset.json").write_bytes(json.dumps(document).encode())


def make_glb(dice: random.Random, size: int) -> bytes:
    chunk = b'{"asset":{"version":"2.0"}}'.ljust(28)
    rest = max(0, size - 20 - len(chunk)) // 4 * 4
    body = b"".join(dice.choices(_PIECES, k=rest // 1000 + 1))[:rest]
    return (
        struct.pack("<4sII", b"glTF", 2, 20 + len(chunk) + rest)
        + struct.pack("<I4s", len(chunk), b"JSON")
        + chunk
        + body
    )


def _write_lists(lists: Path, www: Path) -> None:
    lists.mkdir(parents=True, exist_ok=True)
    paths = sorted(path for path in www.rglob("*") if path.is_file())
    for start in range(0, len(paths), PAGE):
        more = str(start + PAGE) if start + PAGE < len(paths) else ""
        items = "".join(_entry(path, www) for path in paths[start : start + PAGE])
        page = (
            f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="container">'
            f"<Blobs>{items}</Blobs><NextMarker>{more}</NextMarker></EnumerationResults>"
        )
        (lists / f"md5-{start or ''}.xml").write_text(page)
        (lists / f"plain-{start or ''}.xml").write_text(re.sub("<Content-MD5>.*?</Content-MD5>", "", page))


def _entry(path: Path, www: Path) -> str:
    """The ETag is how nginx makes it: time and length in hex digits."""
    content, state = path.read_bytes(), path.stat()
    properties = {
        "Last-Modified": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(state.st_mtime)),
        "Etag": f"{int(state.st_mtime):x}-{state.st_size:x}",
        "Content-Length": state.st_size,
        "Content-Type": "application/octet-stream",
        "Content-MD5": base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode(),
        "BlobType": "BlockBlob",
    }
    inner = "".join(f"<{key}>{value}</{key}>" for key, value in properties.items())
    name = escape(path.relative_to(www).as_posix())
    return f"<Blob><Name>{name}</Name><Properties>{inner}</Properties></Blob>"


def certify(folder: Path) -> None:
    """Make a certificate of this host and its key: `cert.pem` and `key.pem`."""
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subject += ["-addext", "basicConstraints=critical,CA:FALSE"]  # rustls takes no authority for a server
    keys = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subprocess.run(["openssl", "req", "-x509", *keys, *subject, *files], check=True, capture_output=True)


def _await_port(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f"nginx does not listen on port {port}")
