"""Whose token it is. In development we sign our own; in production only the configured issuer's count (rule 21)."""

import asyncio
import json
import os
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from time import time
from typing import Any, Final

import httpx2
import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from app.refusal import Refused
from app.settings import Settings
from domain import ids
from domain.access import ANONYMOUS, Role, Viewer

ALGORITHMS: Final = ["Ed25519", "EdDSA", "RS256", "ES256"]
KNOWN_MAX: Final = 10_000
KEYS_FRESH_SECONDS: Final = 600
KEYS_RETRY_SECONDS: Final = 10
SUBJECT_MAX: Final = 255
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999
DAY: Final = 86_400
log = structlog.get_logger()


class TokenRefused(Exception):
    """The token is malformed, forged, expired or not for us. `expired`: the same client may come again with a new one."""

    def __init__(self, message: str, *, expired: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.expired = expired


class Tokens:
    """Reads tokens. What was verified once is known until it expires."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._known: OrderedDict[str, tuple[Viewer, float]] = OrderedDict()
        self._keys: KeySet | None = None
        self._keys_at = 0.0

    async def viewer(self, authorization: str | None) -> Viewer:
        """The viewer of an `Authorization` header; anonymous without one. Raises TokenRefused. No leeway on the end."""
        if authorization is None:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused("An Authorization header reads: Bearer TOKEN.")
        known = self._known.get(token)
        if known is None:
            known = await self._read(token)
            self._known[token] = known
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        viewer, expires = known
        if expires <= time():
            self._known.pop(token, None)
            raise TokenRefused("The token has expired.", expired=True)
        return viewer

    def expires_at(self, authorization: str) -> float:
        """When a verified token ends, in seconds since 1970."""
        return self._known[authorization.partition(" ")[2].strip()][1]

    async def _read(self, token: str) -> tuple[Viewer, float]:
        claims = self._verified(token, await self._keyset(KEYS_FRESH_SECONDS))
        if claims is None and self._settings.auth_jwks is not None:
            # The issuer may have changed its keys since we read them.
            claims = self._verified(token, await self._keyset(KEYS_RETRY_SECONDS))
        if claims is None:
            raise TokenRefused("The token can't be verified.")
        return _viewer(claims), self._end(claims)

    @staticmethod
    def _verified(token: str, keys: KeySet) -> dict[str, Any] | None:
        try:
            return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError, KeyError):
            return None

    def _end(self, claims: dict[str, Any]) -> float:
        """When it ends, in seconds since 1970; raises TokenRefused where it does not count now or here."""
        now = time()
        expires, not_before = claims.get("exp"), claims.get("nbf", 0)
        if not isinstance(expires, int | float) or not isinstance(not_before, int | float):
            raise TokenRefused("The token names no end.")
        # Python's JSON takes NaN and infinity for numbers; no comparison with NaN is true.
        if not expires <= _LAST_SECOND or not not_before <= _LAST_SECOND:
            raise TokenRefused("The token names no end.")
        if expires <= now:
            raise TokenRefused("The token has expired.", expired=True)
        if not_before > now:
            raise TokenRefused("The token is not valid yet.")
        if self._settings.production:
            audience = claims.get("aud")
            audiences = audience if isinstance(audience, list) else [audience]
            if claims.get("iss") != self._settings.auth_issuer or self._settings.auth_audience not in audiences:
                raise TokenRefused("The token is not for this service.")
        return float(expires)

    async def _keyset(self, fresh_seconds: float) -> KeySet:
        if self._settings.auth_jwks is None:
            if self._settings.production:
                raise TokenRefused("No tokens are taken here.")
            if self._keys is None:
                self._keys = KeySet([development_key(self._settings)])
            return self._keys
        if self._keys is None or time() - self._keys_at > fresh_seconds:
            self._keys_at = time()
            self._keys = await asyncio.to_thread(_fetched, self._settings.auth_jwks, self._keys)
        return self._keys


def _fetched(where: str, before: KeySet | None) -> KeySet:
    try:
        if where.startswith(("http://", "https://")):
            text = httpx2.get(where, timeout=3).raise_for_status().text
        else:
            text = Path(where).read_text()
        return KeySet.import_key_set(json.loads(text))
    except (httpx2.HTTPError, OSError, ValueError, JoseError) as error:
        log.warning("keys could not be read", error=type(error).__name__)
        if before is not None:
            return before
        raise TokenRefused("Tokens can't be verified just now.") from None


def _viewer(claims: dict[str, Any]) -> Viewer:
    subject, role = claims.get("sub"), claims.get("role")
    if not isinstance(subject, str) or not 1 <= len(subject) <= SUBJECT_MAX or not subject.isprintable():
        raise TokenRefused("The token names no subject.")
    if role == "patient":
        key = ids.key(str(claims.get("patient", "")), ids.PATIENT)
        if key is None:
            raise TokenRefused("The token names no patient.")
        return Viewer(Role.PATIENT, subject, patient_key=key)
    if role == "admin":
        return Viewer(Role.ADMIN, subject, clinic_keys=None)
    if role == "staff":
        return Viewer(Role.STAFF, subject, clinic_keys=_clinics(claims.get("clinics")))
    raise TokenRefused("The token names no role that is known here.")


def _clinics(named: Any) -> frozenset[int] | None:
    """Absent: none; "*": all."""
    if named == "*":
        return None
    if named is None:
        return frozenset()
    if not isinstance(named, list):
        raise TokenRefused("The token's clinics can't be read.")
    keys = [ids.key(str(one), ids.CLINIC) for one in named]
    return frozenset(key for key in keys if key is not None)


def development_key(settings: Settings) -> OKPKey:
    """The key that signs development tokens, made on first use. Raises Refused in production."""
    if settings.production:
        raise Refused("Development tokens are not made in production: tokens come from AUTH_ISSUER.")
    path = settings.data_dir / "development-key.json"
    try:
        return OKPKey.import_key(json.loads(path.read_text()))
    except FileNotFoundError:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    key = OKPKey.generate_key("Ed25519")
    partial = path.with_suffix(f".{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(key.as_dict(private=True)))
    try:
        os.link(partial, path)  # The first of several processes decides; the others read its key.
    except FileExistsError:
        return development_key(settings)
    finally:
        partial.unlink()
    return key


def development_token(
    settings: Settings,
    *,
    role: str,
    patient: str | None = None,
    clinics: Sequence[str] | None = None,
    subject: str | None = None,
    expires_seconds: int = 7 * DAY,
) -> str:
    """A token as rule 45 says: `sub` is the patient's id, or the subject; staff without clinics get all."""
    key = development_key(settings)
    claims: dict[str, Any] = {"role": role, "iat": int(time()), "exp": int(time()) + expires_seconds}
    if role == "patient":
        claims |= {"sub": subject or patient, "patient": patient}
    else:
        claims |= {"sub": subject or f"demo-{role}"}
    if role == "staff":
        claims["clinics"] = list(clinics) if clinics else "*"
    return jwt.encode({"alg": "Ed25519"}, claims, key, algorithms=ALGORITHMS)
