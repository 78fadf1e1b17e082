"""Bodies of the platform's answers, read to a bound: httpx by itself would decompress and keep any amount."""

from collections.abc import AsyncGenerator
from typing import cast

import httpx

from blocks.bounds import LONGEST_ANSWER, LONGEST_ERROR_BODY
from blocks.content_encoding import DecodeError, Decoder, encoding_of, is_decodable
from blocks.errors import ForeignDataError

ACCEPT_ENCODING = "gzip, deflate"
_FRAMING = ("Content-Encoding", "Content-Length", "Transfer-Encoding")


async def read_answer(response: httpx.Response) -> httpx.Response:
    """A streamed response with its body, decoded; of the body of an error only the first megabyte.

    Raises:
        ForeignDataError: The body is longer than an answer may be, or is not encoded as the response says.
    """
    longest = LONGEST_ERROR_BODY if response.is_error else LONGEST_ANSWER
    body = bytearray()
    try:
        async for piece in _decoded(response):
            body += piece[: longest - len(body) + 1]
            if len(body) > longest:
                break
    finally:
        await response.aclose()
    if len(body) > longest and not response.is_error:
        raise ForeignDataError(f"it has more than {longest} bytes")
    headers = [(name, value) for name, value in response.headers.multi_items() if name.title() not in _FRAMING]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


async def _decoded(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The pieces of the body, each of a megabyte at most."""
    encoding = encoding_of(response.headers)
    if encoding and not is_decodable(encoding):
        raise ForeignDataError(f"its Content-Encoding is {encoding[:40]!r}")
    decoder = Decoder(encoding) if encoding else None
    try:
        async for piece in cast("httpx.AsyncByteStream", response.stream):
            if decoder is None:
                yield piece
            else:
                for decoded in decoder.decode(piece):
                    yield decoded
    except DecodeError as error:
        raise ForeignDataError(f"it does not follow its Content-Encoding: {error}") from None
