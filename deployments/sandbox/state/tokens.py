"""What the issuer remembers: codes, access tokens and refresh tokens that work once."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any

from deployments.sandbox.clock import Clock

CODE_SECONDS = 300


@dataclass(frozen=True)
class Grant:
    """Who acts through which application, and for what."""

    client_id: str
    subject: str
    scope: tuple[str, ...]


@dataclass(frozen=True)
class PendingCode:
    """An authorization code that waits to be exchanged."""

    grant: Grant
    redirect_uri: str
    challenge: str | None
    expires: float


class Tokens:
    """Mints and checks; access tokens are signed, the rest is looked up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._revoked: set[str] = set()
        self._not_before = 0.0
        self._serial = 0
        self.codes: dict[str, PendingCode] = {}
        self.refresh_tokens: dict[str, Grant] = {}

    def mint_access_token(self, issuer: str, grant: Grant, lifetime: int) -> str:
        """Three base64url parts; `exp` is a number and `scope` an array, as clients expect."""
        now = self._clock.now().timestamp()
        self._serial += 1
        claims = {
            "iss": issuer,
            "sub": grant.subject,
            "client_id": grant.client_id,
            "scope": list(grant.scope),
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + lifetime,
            "jti": str(self._serial),
            "issued": now,
        }
        body = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode(claims)}"
        return f"{body}.{self._sign(body)}"

    def read_access_token(self, token: str) -> Grant | None:
        """Who the token speaks for; none when it is forged, expired or revoked."""
        body, _, signature = token.rpartition(".")
        if not body or not hmac.compare_digest(self._sign(body).encode(), signature.encode()):
            return None
        claims = json.loads(_decode(body.partition(".")[2]))
        if self._clock.now().timestamp() >= claims["exp"] or claims["issued"] < self._not_before:
            return None
        if claims["jti"] in self._revoked:
            return None
        return Grant(claims["client_id"], claims["sub"], tuple(claims["scope"]))

    def mint_refresh_token(self, grant: Grant) -> str:
        """An opaque token."""
        token = secrets.token_urlsafe(32)
        self.refresh_tokens[token] = grant
        return token

    def use_refresh_token(self, token: str) -> None:
        """Use a token up."""
        del self.refresh_tokens[token]

    def mint_code(self, grant: Grant, redirect_uri: str, challenge: str | None) -> str:
        """An authorization code."""
        code = secrets.token_urlsafe(24)
        expires = self._clock.now().timestamp() + CODE_SECONDS
        self.codes[code] = PendingCode(grant, redirect_uri, challenge, expires)
        return code

    def use_code(self, code: str) -> PendingCode | None:
        """What the code stands for; it works once and for a few minutes."""
        pending = self.codes.pop(code, None)
        return pending if pending and pending.expires > self._clock.now().timestamp() else None

    def revoke(self, token: str) -> None:
        """Make one token worthless, whatever kind it is."""
        self.refresh_tokens.pop(token, None)
        if self.read_access_token(token):
            self._revoked.add(json.loads(_decode(token.split(".")[1]))["jti"])

    def revoke_access_tokens(self) -> None:
        """Make every access token issued so far worthless, as after a change of the signing key."""
        self._not_before = self._clock.now().timestamp()

    def _sign(self, body: str) -> str:
        return _base64url(hmac.digest(self._key, body.encode(), hashlib.sha256))


def challenge_of(verifier: str) -> str:
    """PKCE S256."""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _encode(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
