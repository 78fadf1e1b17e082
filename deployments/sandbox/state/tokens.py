"""Authorization codes, access tokens, refresh tokens, id tokens and share keys of the issuer."""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from deployments.sandbox.clock import Clock

CODE_SECONDS = 300
MAX_SHARE_SECONDS = 90 * 24 * 3600
MAX_SHARES = 10
JSON = dict[str, Any]


@dataclass(frozen=True)
class Grant:
    """Subject, application and scope of a token; a share key is limited to one iTwin."""

    client_id: str
    subject: str
    scope: tuple[str, ...]
    itwin_id: str | None = None
    signed_in_at: float | None = None


@dataclass(frozen=True)
class PendingCode:
    """An authorization code that waits to be exchanged."""

    grant: Grant
    redirect_uri: str
    challenge: str | None
    nonce: str | None
    expires: float


class Tokens:
    """Issues and checks tokens: access tokens and share keys by signature, the rest by look-up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._revoked: set[str] = set()
        self._not_before = 0.0
        self._serial = 0
        self._families: dict[str, str] = {}
        self._issued_at: dict[str, float] = {}
        self._shares: list[float] = []
        self.codes: dict[str, PendingCode] = {}
        self.refresh_tokens: dict[str, Grant] = {}

    def mint_access_token(self, issuer: str, grant: Grant, lifetime: int) -> str:
        """Three base64url parts; `exp` is a number and `scope` an array, as clients expect."""
        claims = {
            "iss": issuer,
            "sub": grant.subject,
            "client_id": grant.client_id,
            "scope": list(grant.scope),
        }
        return self._sign_claims(claims, lifetime)

    def read_access_token(self, token: str) -> Grant | None:
        """The grant of an access token; none when it is forged, expired or revoked."""
        claims = self.read_claims(token)
        if claims is None or "client_id" not in claims:
            return None
        return Grant(claims["client_id"], claims["sub"], tuple(claims["scope"]))

    def read_claims(self, token: str) -> JSON | None:
        """The claims of an access token or share key; none when it is forged, expired or revoked."""
        body, _, signature = token.rpartition(".")
        if not body or not hmac.compare_digest(self._sign(body).encode(), signature.encode()):
            return None
        claims: JSON = json.loads(_decode(body.partition(".")[2]))
        if self._now() >= claims["exp"] or claims["issued"] < self._not_before or claims["jti"] in self._revoked:
            return None
        return claims

    def mint_share_key(self, itwin_id: str, seconds: float = 3600) -> str:
        """A key that opens one iTwin to readers, for at most 90 days; at most ten are active at once.

        https://developer.bentley.com/apis/access-control-v2/operations/create-itwin-share/

        Raises:
            ValueError: The lifetime is too long, or ten keys are active.
        """
        now = self._now()
        self._shares = [end for end in self._shares if end > now]
        if not 0 < seconds <= MAX_SHARE_SECONDS or len(self._shares) >= MAX_SHARES:
            raise ValueError(
                f"a share key is valid for up to {MAX_SHARE_SECONDS} s, and up to {MAX_SHARES} can be active"
            )
        self._shares.append(now + seconds)
        return self._sign_claims({"iTwinId": itwin_id}, int(seconds))

    def read_share_key(self, key: str) -> str | None:
        """The iTwin it opens; none when it is forged, expired or no share key."""
        claims = self.read_claims(key)
        return claims.get("iTwinId") if claims else None

    def mint_refresh_token(self, grant: Grant, predecessor: str | None = None) -> str:
        """An opaque token; tokens that follow one another form a family."""
        token = secrets.token_urlsafe(32)
        self.refresh_tokens[token] = grant
        self._families[token] = self._families.get(predecessor or "", token)
        self._issued_at[token] = self._now()
        return token

    def is_idle(self, token: str, limit: float | None) -> bool:
        """True when a refresh token was not used for longer than the limit."""
        return limit is not None and self._now() - self._issued_at.setdefault(token, self._now()) > limit

    def use_refresh_token(self, token: str) -> None:
        """Invalidate a token that was used."""
        del self.refresh_tokens[token]
        self._families.setdefault(token, token)

    def revoke_family(self, token: str) -> None:
        """Invalidate every successor of a token."""
        family = self._families.get(token)
        if family is not None:
            for relative in [t for t in self.refresh_tokens if self._families.get(t) == family]:
                del self.refresh_tokens[relative]

    def mint_id_token(self, issuer: str, grant: Grant, access_token: str, claims: JSON, lifetime: int) -> str:
        """A JWT signed with the key that `jwks` publishes (OpenID Connect Core 1.0, section 2)."""
        now = int(self._now())
        half_of_hash = hashlib.sha256(access_token.encode()).digest()[:16]
        times = {"iat": now, "exp": now + lifetime, "auth_time": int(grant.signed_in_at or now)}
        own = {"iss": issuer, "sub": grant.subject, "aud": grant.client_id, "at_hash": _base64url(half_of_hash)}
        key = self._identity_key
        return jwt.encode({"alg": "RS256", "kid": key.kid}, {**own, **times, **claims}, key)

    def read_id_token(self, token: str) -> JSON | None:
        """The claims of an id token of this issuer, expired or not; none when it is forged."""
        try:
            return dict(jwt.decode(token, self._identity_key, algorithms=["RS256"]).claims)
        except (JoseError, ValueError):
            return None

    def public_keys(self) -> JSON:
        """The key set that id tokens are checked with."""
        return {"keys": [{**self._identity_key.as_dict(private=False), "use": "sig", "alg": "RS256"}]}

    def mint_code(self, grant: Grant, redirect_uri: str, challenge: str | None, nonce: str | None = None) -> str:
        """An authorization code."""
        code = secrets.token_urlsafe(24)
        self.codes[code] = PendingCode(grant, redirect_uri, challenge, nonce, self._now() + CODE_SECONDS)
        return code

    def use_code(self, code: str) -> PendingCode | None:
        """Redeem a code, which works once and for a few minutes."""
        pending = self.codes.pop(code, None)
        return pending if pending and pending.expires > self._now() else None

    def revoke(self, token: str) -> None:
        """Invalidate one access or refresh token."""
        self.refresh_tokens.pop(token, None)
        if claims := self.read_claims(token):
            self._revoked.add(claims["jti"])

    def revoke_user(self, subject: str) -> None:
        """Invalidate every refresh token of a user."""
        for token in [t for t, grant in self.refresh_tokens.items() if grant.subject == subject]:
            del self.refresh_tokens[token]

    def revoke_access_tokens(self) -> None:
        """Invalidate every access token issued so far, as a change of the signing key does."""
        self._not_before = self._now()

    @cached_property
    def _identity_key(self) -> RSAKey:
        """Generated when it is first needed, because that takes half a second."""
        return RSAKey.generate_key(2048, {"kid": "sandbox"})

    def _sign_claims(self, claims: JSON, lifetime: int) -> str:
        now = self._now()
        self._serial += 1
        times = {"iat": int(now), "nbf": int(now), "exp": int(now) + lifetime, "issued": now, "jti": str(self._serial)}
        body = f"{_encode({'alg': 'HS256', 'typ': 'JWT'})}.{_encode({**claims, **times})}"
        return f"{body}.{self._sign(body)}"

    def _sign(self, body: str) -> str:
        return _base64url(hmac.digest(self._key, body.encode(), hashlib.sha256))

    def _now(self) -> float:
        return self._clock.now().timestamp()


def challenge_of(verifier: str) -> str:
    """The PKCE S256 challenge of a verifier."""
    return _base64url(hashlib.sha256(verifier.encode()).digest())


def _encode(value: JSON) -> str:
    return _base64url(json.dumps(value).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
