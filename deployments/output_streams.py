"""Standard output and error that no result depends on: whatever the console can show, and whoever stops reading."""

import io
import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class LastingStream(io.RawIOBase):
    """Bytes for a reader that may be gone: what cannot be written is dropped.

    Args:
        raw: Where the bytes go; it is not closed.

    Attributes:
        fault: Why bytes were dropped; a reader that has gone is none, for it has read what it wanted.
    """

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self._is_gone = False
        self.fault: OSError | None = None

    def writable(self) -> bool:
        """Always true."""
        return True

    def isatty(self) -> bool:
        """Whether a person reads."""
        return self._raw.isatty()

    def fileno(self) -> int:
        """The descriptor of the stream below."""
        return self._raw.fileno()

    def write(self, data: "ReadableBuffer", /) -> int:
        """Write what can be written, and take the rest for written."""
        rest = memoryview(data).cast("B")
        size = rest.nbytes
        try:
            while rest and not self._is_gone:
                rest = rest[self._raw.write(rest) or 0 :]
        except OSError as error:
            self._is_gone = True
            is_reader_gone = isinstance(error, BrokenPipeError) or os.name == "nt"  # Windows says EINVAL then
            self.fault = None if is_reader_gone else error
        return size


def keep_streams_open() -> LastingStream | None:
    """Let this process write to standard output and error without ever failing at it.

    Characters that the console's code page lacks are replaced. Where a stream was closed (`>&-`), nothing is written.

    Returns:
        What standard output writes to; none where there is no such stream.
    """
    sys.stdout, stream = _lasting(sys.stdout, "replace") if sys.stdout else (_nowhere(), None)
    sys.stderr, _ = _lasting(sys.stderr, "backslashreplace") if sys.stderr else (_nowhere(), None)
    return stream


def write_json(document: str) -> None:
    """Write one JSON document to standard output, in UTF-8 whatever the console's code page."""
    sys.stdout.flush()
    sys.stdout.buffer.write(document.encode() + b"\n")
    sys.stdout.buffer.flush()


def output_fault(stream: LastingStream | None) -> str:
    """Why standard output could not be written, as a sentence; empty if it could."""
    sys.stdout.flush()
    if stream is None or stream.fault is None:
        return ""
    return (
        f"Standard output cannot be written to ({stream.fault.strerror}). What was asked for is done; run it again "
        f"with its output elsewhere to read the report."
    )


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123  for as long as the process lasts


def _lasting(stream: TextIO, errors: str) -> tuple[TextIO, LastingStream | None]:
    """The same stream, lasting, and what its bytes go through; streams without bytes below stay as they are."""
    buffer: object = getattr(stream, "buffer", None)
    raw: object = getattr(buffer, "raw", buffer)  # python -u has no buffer
    if not isinstance(raw, io.RawIOBase):
        return stream, None
    lasting = LastingStream(raw)
    whole = cast("io.TextIOWrapper[Any]", stream)
    target = cast("BinaryIO", lasting) if raw is buffer else io.BufferedWriter(lasting)
    text = io.TextIOWrapper(
        target, whole.encoding, errors, line_buffering=whole.line_buffering, write_through=whole.write_through
    )
    return text, lasting
