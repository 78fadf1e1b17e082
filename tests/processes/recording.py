"""A sandbox that remembers every token it ever gave out, to look for them where none may be."""

import os
from pathlib import Path

from deployments.sandbox.state.options import Options
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import seeded_state
from deployments.sandbox.state.tokens import Grant, Tokens


class RecordingTokens(Tokens):
    """Mints like the sandbox and keeps a list."""

    def __init__(self, state: SandboxState) -> None:
        super().__init__(state.clock)
        self.refresh_tokens.update(state.tokens.refresh_tokens)
        self.given_out = list(self.refresh_tokens)
        self.minted = 0

    def mint_access_token(self, issuer: str, grant: Grant, lifetime: int) -> str:
        """An access token, written down and counted."""
        self.minted += 1
        self.given_out.append(super().mint_access_token(issuer, grant, lifetime))
        return self.given_out[-1]

    def mint_refresh_token(self, grant: Grant, predecessor: str | None = None) -> str:
        """A refresh token, written down."""
        self.given_out.append(super().mint_refresh_token(grant, predecessor))
        return self.given_out[-1]


def recording_world(options: Options) -> tuple[SandboxState, RecordingTokens]:
    """The seeded world, and the list of its tokens."""
    state = seeded_state(options=options)
    state.tokens = tokens = RecordingTokens(state)
    return state, tokens


def files_with(secrets: list[str], folder: Path) -> list[Path]:
    """Files below the folder that hold one of the secrets; processes may be changing the folder."""
    wanted = [secret.encode() for secret in secrets]
    files = [Path(parent, name) for parent, _, names in os.walk(folder) for name in names]
    return [path for path in files if any(secret in content for content in [_content(path)] for secret in wanted)]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # a file of the moment, such as a database's journal
        return b""
