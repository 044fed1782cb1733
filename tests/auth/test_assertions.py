"""Signed JWTs, attacked: what is not exactly right is refused, with a sentence and never a crash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from hypothesis import given
from hypothesis import strategies as st

from gstack.auth import keyfiles
from gstack.auth.assertions import (
    LONGEST,
    BadAssertion,
    Claims,
    check_assertion,
    check_bearer,
    verified_claims,
)

NOW = 1_790_000_000
ISSUER = "ci@acme.iam.gserviceaccount.com"
PAIR, STRANGER = keyfiles.new_key_pair(), keyfiles.new_key_pair()


def find_keys(issuer: str) -> dict[str, str]:
    return {PAIR.id: PAIR.public_key} if issuer == ISSUER else {}


def encode(part: Any, pad: bool = False) -> str:
    data = part if isinstance(part, bytes) else json.dumps(part).encode()
    text = base64.urlsafe_b64encode(data).decode()
    return text if pad else text.rstrip("=")


def make(header: Any, claims: Any, pair: keyfiles.KeyPair = PAIR, pad: bool = False) -> str:
    signed = f"{encode(header, pad)}.{encode(claims, pad)}"
    key: Any = serialization.load_pem_private_key(pair.private_key.encode(), None)
    return f"{signed}.{encode(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()), pad)}"


def claims(**changes: Any) -> dict[str, Any]:
    full = {"iss": ISSUER, "iat": NOW, "exp": NOW + 3600, "aud": "https://oauth2.googleapis.com/token"} | changes
    return {name: value for name, value in full.items() if value != "absent"}


HEADER = {"alg": "RS256", "typ": "JWT", "kid": PAIR.id}


GOOD = make(HEADER, claims())


def read(text: str, now: int = NOW) -> Claims:
    return verified_claims(text, find_keys, now)


@pytest.mark.parametrize("text", ["\ud800", "a\0b"])
@pytest.mark.parametrize("name", ["iss", "scope", "anything"])
def test_text_that_no_store_takes_is_refused_before_anybody_is_looked_up(name: str, text: str) -> None:
    token = f"{encode(HEADER)}.{encode(json.dumps(claims(**{name: text})).encode())}.AA"
    with pytest.raises(BadAssertion):
        verified_claims(token, lambda _: pytest.fail("was looked up"), NOW)


@pytest.mark.parametrize(
    ("header", "changes"),
    [
        (HEADER, {}),
        ({"alg": "RS256"}, {}),
        (HEADER, {"sub": ISSUER}),
        (HEADER, {"iat": NOW + 59, "exp": NOW + 3659}),
        (HEADER, {"iat": NOW - 3659, "exp": NOW - 59}),
        (HEADER, {"iat": float(NOW), "exp": NOW + 0.5}),
        (HEADER, {"nbf": NOW + 59}),
        (HEADER, {"aud": "absent"}),
        (HEADER, {"exp": NOW + 3660}),
    ],
)
def test_what_real_clients_send_is_read(header: dict[str, Any], changes: dict[str, Any]) -> None:
    assert read(make(header, claims(**changes))).issuer == ISSUER


def test_segments_with_their_padding_are_read() -> None:
    for length in range(3):
        text = make({"alg": "RS256", "typ": "x" * length}, claims(scope="y" * length), pad=True)
        assert read(text).key_id == PAIR.id


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"exp": NOW - 60, "iat": NOW - 3600}, "expired"),
        ({"iat": NOW + 61}, "future"),
        ({"exp": NOW + 3661}, "hour"),
        ({"iat": NOW - 3600, "exp": NOW + 3600}, "hour"),
        ({"exp": NOW + 10, "iat": NOW + 20}, "hour"),
        ({"nbf": NOW + 61}, "not valid yet"),
        ({"exp": "absent"}, "exp"),
        ({"iat": "absent"}, "iat"),
        ({"exp": str(NOW + 60)}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": None}, "exp"),
        ({"exp": [NOW]}, "exp"),
        ({"exp": 10**400}, "exp"),
        ({"iat": -(10**400)}, "iat"),
        ({"nbf": "soon"}, "nbf"),
        ({"sub": "somebody@else"}, "sub"),
        ({"sub": ""}, "sub"),
        ({"sub": ["x"]}, "sub"),
        ({"iss": "absent"}, "iss"),
        ({"iss": ""}, "iss"),
        ({"iss": [ISSUER]}, "iss"),
        ({"iss": 7}, "iss"),
        ({"iss": "ci@other.iam.gserviceaccount.com"}, "issuer is unknown"),
        ({"iss": ISSUER.upper()}, "issuer is unknown"),
        ({"aud": ["https://oauth2.googleapis.com/token"]}, "aud"),
        ({"aud": 1}, "aud"),
        ({"scope": {"a": 1}}, "scope"),
        ({"target_audience": ["x"]}, "target_audience"),
    ],
)
def test_a_wrong_claim_is_refused_by_name(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(BadAssertion, match=word):
        read(make(HEADER, claims(**changes)))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("name", ["exp", "iat", "nbf"])
def test_times_that_are_no_numbers_do_not_pass_for_valid(name: str, value: str) -> None:
    text = json.dumps(claims(**{name: "PLACE"})).replace('"PLACE"', value)
    with pytest.raises(BadAssertion):
        read(make(HEADER, text.encode()))


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"7", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 10_000, b'{"iss":"a","iss":"b"}'],
)
def test_a_payload_that_is_no_plain_object_is_refused(payload: bytes) -> None:
    with pytest.raises(BadAssertion):
        read(make(HEADER, payload))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_a_payload_that_is_no_plain_utf_8_is_refused(encoding: str) -> None:
    with pytest.raises(BadAssertion):
        read(make(HEADER, json.dumps(claims()).encode(encoding)))


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "None"},
        {"alg": "HS256"},
        {"alg": "RS512"},
        {"alg": "PS256"},
        {"alg": ["RS256"]},
        {"alg": None},
        {},
        {"alg": "RS256", "kid": "another"},
        {"alg": "RS256", "kid": ["x"]},
        {"alg": "RS256", "kid": ""},
        {"alg": "RS256", "crit": ["exp"]},
        {"alg": "RS256", "crit": []},
        {"alg": "RS256", "crit": None},
        {"alg": "RS256", "b64": False, "crit": ["b64"]},
        [],
        "RS256",
        None,
    ],
)
def test_a_header_that_is_not_plain_rs256_is_refused(header: Any) -> None:
    with pytest.raises(BadAssertion):
        read(make(header, claims()))


def test_an_unsigned_token_is_refused() -> None:
    with pytest.raises(BadAssertion):
        read(f"{encode({'alg': 'none'})}.{encode(claims())}.")


def test_the_public_key_is_no_shared_secret() -> None:
    body = f"{encode({'alg': 'HS256', 'kid': PAIR.id})}.{encode(claims())}"
    forged = hmac.new(PAIR.public_key.encode(), body.encode(), hashlib.sha256).digest()
    with pytest.raises(BadAssertion, match="RS256"):
        read(f"{body}.{encode(forged)}")


def test_a_strangers_signature_is_refused_in_the_words_used_for_an_unknown_issuer() -> None:
    with pytest.raises(BadAssertion) as wrong_key:
        read(make(HEADER, claims(), STRANGER))
    with pytest.raises(BadAssertion) as unknown:
        read(make(HEADER, claims(iss="nobody@acme.iam.gserviceaccount.com")))
    assert str(wrong_key.value) == str(unknown.value)


def test_a_key_inside_the_header_is_not_believed() -> None:
    from joserfc.jwk import RSAKey

    own_key = RSAKey.import_key(STRANGER.public_key).as_dict(private=False)
    with pytest.raises(BadAssertion):
        read(make(HEADER | {"jwk": own_key, "jku": "https://evil/"}, claims(), STRANGER))


@given(st.integers(min_value=0, max_value=2000), st.integers(min_value=1, max_value=255))
def test_no_altered_token_is_accepted(position: int, change: int) -> None:
    text = GOOD
    position %= len(text)
    altered = text[:position] + chr((ord(text[position]) ^ change) & 0xFF) + text[position + 1 :]
    if altered == text:
        return
    with pytest.raises(BadAssertion):
        read(altered)


@given(st.text(max_size=300))
def test_any_text_is_refused_without_a_crash(text: str) -> None:
    with pytest.raises(BadAssertion):
        read(text)


def test_a_token_that_is_too_long_is_not_even_looked_at() -> None:
    text = make(HEADER, claims(scope="x" * LONGEST))
    with pytest.raises(BadAssertion, match="16 kB"):
        verified_claims(text, lambda issuer: pytest.fail("was looked at"), NOW)


def of(audience: str | None, target: str | None = None) -> Claims:
    return Claims(ISSUER, PAIR.id, audience, NOW + 60, "", target)


TOKEN_URIS = frozenset({"https://gw.test:5000/token"})
HOSTS = frozenset({"gw.test:5000", "gw.test"})
FOR_THE_TOKEN_ENDPOINT = [
    "https://oauth2.googleapis.com/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://accounts.google.com/o/oauth2/token",
    "https://accounts.google.com/o/oauth2/auth",
    "https://gw.test:5000/token",
]
FOR_THE_API = [
    "https://compute.googleapis.com/",
    "https://www.googleapis.com/",
    "https://gw.test/",
    "https://gw.test:5000/",
    "https://gw.test:5000",
]
FOR_OTHERS = [
    "https://storage.googleapis.com/",
    "https://evil.test/token",
    "https://oauth2.googleapis.com/token/",
    "https://gw.test:5000/compute/v1/",
    "https://gw.test.evil/",
    "gw.test",
    "*",
]


@pytest.mark.parametrize("audience", FOR_THE_TOKEN_ENDPOINT)
def test_an_assertion_for_a_token_endpoint_is_no_bearer(audience: str) -> None:
    check_assertion(of(audience), TOKEN_URIS)
    with pytest.raises(BadAssertion, match="aud"):
        check_bearer(of(audience), HOSTS)


@pytest.mark.parametrize("audience", FOR_THE_API)
def test_a_bearer_for_the_api_is_no_assertion(audience: str) -> None:
    check_bearer(of(audience), HOSTS)
    with pytest.raises(BadAssertion, match="aud"):
        check_assertion(of(audience), TOKEN_URIS)


@pytest.mark.parametrize("audience", [None, ""])
def test_only_a_bearer_may_come_without_an_audience(audience: str | None) -> None:
    check_bearer(of(audience), HOSTS)
    with pytest.raises(BadAssertion, match="aud"):
        check_assertion(of(audience), TOKEN_URIS)


@pytest.mark.parametrize("audience", FOR_OTHERS)
def test_an_audience_of_others_is_refused_both_ways(audience: str) -> None:
    with pytest.raises(BadAssertion, match="aud"):
        check_bearer(of(audience), HOSTS)
    with pytest.raises(BadAssertion, match="aud"):
        check_assertion(of(audience), TOKEN_URIS)


def test_a_request_for_an_id_token_is_no_bearer() -> None:
    with pytest.raises(BadAssertion, match="id_token"):
        check_bearer(of(None, target="somebody"), HOSTS)
