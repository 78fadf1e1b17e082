"""Whether web pages may read from an object store, as CesiumJS does: with a GET that names the page's origin (CORS)."""

import secrets
from datetime import timedelta
from urllib.error import URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from blocks.errors import ExportError
from blocks.network import proxy_for, tls_context
from blocks.signed_url import SignedUrl
from blocks.storage.destination.object_store import ObjectStore

_ORIGIN = "https://viewer.example"
_SECONDS = 20
_MINUTE = timedelta(minutes=1)
_ADVICE = (
    "set a CORS rule with the origin of your page (or *), the methods GET and HEAD, and the exposed headers ETag and "
    "Content-Length"
)


def describe_web_access(store: ObjectStore) -> str:
    """A sentence on whether a web page may load what is published, and what to set if it may not.

    Raises:
        ExportError: The store refuses the small object that is read.
    """
    key = f".itwin-export/probe-{secrets.token_hex(8)}.json"
    store.write(key, b"{}")
    try:
        allowed = _allowed_origin(store.signed_url(key, _MINUTE))
    except (ExportError, OSError, ValueError):
        return f"Whether web pages may read there could not be tried. If they shall, {_ADVICE}."
    finally:
        store.delete([key])
    if allowed in {"*", _ORIGIN}:
        return "Web pages of any origin may read there (CORS)."
    return f"Web pages of any origin may not read there (CORS). If yours shall, {_ADVICE}."


def _allowed_origin(link: SignedUrl) -> str:
    url = link.reveal()
    scheme, proxy = url.partition(":")[0], proxy_for(url)
    opener = build_opener(ProxyHandler({scheme: proxy} if proxy else {}), HTTPSHandler(context=tls_context()))
    try:
        with opener.open(Request(url, headers={"Origin": _ORIGIN}), timeout=_SECONDS) as answer:  # noqa: S310  signed by us
            return str(answer.headers.get("Access-Control-Allow-Origin", ""))
    except URLError:
        raise OSError("no answer") from None
