"""Signed JWTs: assertions for the token endpoint, and self-signed bearers for the API. One reader for both.

Apart because it is pure: keys come in through a function and time as a number. Only RS256 exists here,
whatever a header says. The surprising things: libcloud leaves ``=`` padding on the segments, and the
signature is over what was sent, padding included; and JSON may hold ``NaN``, which is neither expired nor
not, so times must be finite.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import CompactSignature, extract_compact, validate_compact

LONGEST = 16 * 1024
LIFE_SECONDS = 3600
SKEW_SECONDS = 60
ALGORITHM = "RS256"

# What clients put into an assertion's aud whatever their key file says (measured with nine of them).
GOOGLE_TOKEN_URIS = frozenset(
    {
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://accounts.google.com/o/oauth2/token",
        "https://accounts.google.com/o/oauth2/auth",
    }
)
# What they put into a self-signed bearer's.
GOOGLE_API_URIS = frozenset({"https://compute.googleapis.com/", "https://www.googleapis.com/"})

_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)={0,2}\.([A-Za-z0-9_-]+)={0,2}\.([A-Za-z0-9_-]+)={0,2}")
_UNKNOWN = "Invalid JWT: its issuer is unknown here, or none of the issuer's keys signed it."

FindKeys = Callable[[str], Mapping[str, str]]


class BadAssertion(Exception):
    """A JWT that is not accepted; the text is a sentence for the client."""


@dataclass(frozen=True)
class Claims:
    """What a JWT says once its signature, its times and its subject have been checked. ``audience`` is None
    where it has none; times are seconds since 1970."""

    issuer: str
    key_id: str
    audience: str | None
    expires_at: int
    scope: str
    target_audience: str | None


def looks_like_jwt(text: str) -> bool:
    """Whether a bearer is to be read as a JWT at all."""
    return text.count(".") == 2


def verified_claims(text: str, find_keys: FindKeys, now: int) -> Claims:
    """The claims of a JWT signed by one of its issuer's keys (``find_keys(issuer)``: key id to public PEM).
    Raises :class:`BadAssertion`; for an unknown issuer and a wrong signature with the same words."""
    signature, claims = _parse(text)
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise BadAssertion("Invalid JWT: iss must be the service account's e-mail address.")
    key_id = _signer(signature, find_keys(issuer))
    issued_at, expires_at = _times(claims, now)
    if claims.get("sub") not in (None, issuer):
        raise BadAssertion("Invalid JWT: sub must be absent or equal to iss; delegation is not supported.")
    return Claims(
        issuer=issuer,
        key_id=key_id,
        audience=_text(claims, "aud"),
        expires_at=min(expires_at, issued_at + LIFE_SECONDS + SKEW_SECONDS),
        scope=_text(claims, "scope") or "",
        target_audience=_text(claims, "target_audience"),
    )


def check_assertion(claims: Claims, own_token_uris: frozenset[str]) -> None:
    """An assertion must be meant for a token endpoint: ours, or one of Google's, which many clients always
    name."""
    if claims.audience is None or claims.audience not in GOOGLE_TOKEN_URIS | own_token_uris:
        raise BadAssertion("Invalid JWT: aud must be the token endpoint's address.")


def check_bearer(claims: Claims, own_hosts: frozenset[str]) -> None:
    """A bearer must be meant for the API (or say nothing); one made for a token endpoint is no bearer."""
    if claims.target_audience is not None:
        raise BadAssertion("Invalid JWT: a request for an id_token is no bearer token.")
    if not claims.audience:
        return
    own = {f"{scheme}://{host}/" for host in own_hosts for scheme in ("https", "http")}
    if claims.audience.rstrip("/") + "/" not in GOOGLE_API_URIS | own:
        raise BadAssertion("Invalid JWT: aud must be absent or the API's address.")


def issuer_of(text: str) -> str:
    """The issuer that a JWT names, before anything is believed. Raises :class:`BadAssertion`."""
    issuer = _parse(text)[1].get("iss")
    return issuer if isinstance(issuer, str) else ""


def outside_claims(
    text: str, is_signed: Callable[[CompactSignature], bool], audiences: tuple[str, ...], now: int
) -> dict[str, Any]:
    """The claims of another issuer's token (OpenID Connect Core, section 3.1.3.7): signed by it, meant for one of
    ``audiences``, and valid now. Raises :class:`BadAssertion`."""
    signature, claims = _parse(text)
    if not is_signed(signature):
        raise BadAssertion(_UNKNOWN)
    if _seconds(claims, "exp") <= now - SKEW_SECONDS:
        raise BadAssertion("Invalid JWT: it has expired. Check the clock.")
    for name in ("iat", "nbf"):
        if name in claims and _seconds(claims, name) > now + SKEW_SECONDS:
            raise BadAssertion("Invalid JWT: it is not valid yet. Check the clock.")
    meant = claims.get("aud")
    named = [meant] if isinstance(meant, str) else meant if isinstance(meant, list) else []
    if not any(each in audiences for each in named):
        raise BadAssertion("Invalid JWT: aud is none that this gateway answers to.")
    return claims


def _parse(text: str) -> tuple[CompactSignature, dict[str, Any]]:
    match = _SEGMENTS.fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        raise BadAssertion("Invalid JWT: it must be three base64url segments of 16 kB at most.")
    try:
        signature = extract_compact(".".join(match.groups()).encode())
        claims = json.loads(signature.payload.decode(), object_pairs_hook=_object, parse_constant=_no_constant)
        if b"\\u0000" in json.dumps(claims, ensure_ascii=False).encode():  # ValueError for halves of characters
            raise ValueError("no store takes this")
    except (JoseError, ValueError, TypeError, RecursionError):
        raise BadAssertion("Invalid JWT: header and claims must be JSON objects.") from None
    if not isinstance(claims, dict) or not isinstance(signature.headers(), dict):
        raise BadAssertion("Invalid JWT: header and claims must be JSON objects.")
    if "crit" in signature.headers():  # RFC 7515, section 4.1.11: what it names must be understood, and none is
        raise BadAssertion("Invalid JWT: crit is not supported.")
    signed_header, signed_payload, _ = text.encode().split(b".")
    signature.segments |= {"header": signed_header, "payload": signed_payload}
    return signature, claims


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member is there twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _signer(signature: CompactSignature, keys: Mapping[str, str]) -> str:
    header = signature.headers()
    if header.get("alg") != ALGORITHM:
        raise BadAssertion("Invalid JWT: alg must be RS256.")
    wanted = header.get("kid")
    for key_id, pem in keys.items():
        if wanted in (None, key_id) and _signed_by(signature, pem):
            return key_id
    raise BadAssertion(_UNKNOWN)


def _signed_by(signature: CompactSignature, pem: str) -> bool:
    try:
        return validate_compact(signature, RSAKey.import_key(pem), algorithms=[ALGORITHM])
    except (JoseError, ValueError, TypeError):
        return False


def _times(claims: dict[str, Any], now: int) -> tuple[int, int]:
    issued_at, expires_at = _seconds(claims, "iat"), _seconds(claims, "exp")
    if expires_at <= now - SKEW_SECONDS:
        raise BadAssertion("Invalid JWT: it has expired. Check the clock.")
    if issued_at > now + SKEW_SECONDS:
        raise BadAssertion("Invalid JWT: it was issued in the future. Check the clock.")
    if not 0 <= expires_at - issued_at <= LIFE_SECONDS + SKEW_SECONDS:
        raise BadAssertion("Invalid JWT: it must live an hour at most.")
    if "nbf" in claims and _seconds(claims, "nbf") > now + SKEW_SECONDS:
        raise BadAssertion("Invalid JWT: it is not valid yet. Check the clock.")
    return issued_at, expires_at


def _seconds(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -(2**53) < value < 2**53:
        raise BadAssertion(f"Invalid JWT: {name} must be a time in seconds since 1970.")
    return int(value)


def _text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, str):
        raise BadAssertion(f"Invalid JWT: {name} must be a string.")
    return value
