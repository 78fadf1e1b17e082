"""What a look found, whatever it raised."""

from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass

from blocks.errors import ExportError, without_secrets


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `says` holds the next step where it is not in order."""

    what: str
    is_ok: bool
    says: str


async def look(what: str, found: Awaitable[str]) -> Finding:
    """The finding of one look: what it returns, or what it raises."""
    try:
        return Finding(what, is_ok=True, says=await found)
    except Exception as error:  # noqa: BLE001  an error nobody foresaw is a finding too, and the next look goes on
        return failed(what, error)


async def look_at_all(what: str, findings: AsyncIterator[Finding]) -> list[Finding]:
    """The findings of several looks, and one more where they ended early."""
    found: list[Finding] = []
    try:
        async for finding in findings:
            found.append(finding)  # noqa: PERF401  what was found before an error is kept
    except Exception as error:  # noqa: BLE001  as above
        found.append(failed(what, error))
    return found


def failed(what: str, error: Exception) -> Finding:
    """An error as a finding: our own sentence, or the kind of error and what it says."""
    said = str(error) if isinstance(error, ExportError) else without_secrets(f"{type(error).__name__}: {error}")
    return Finding(what, is_ok=False, says=said)
