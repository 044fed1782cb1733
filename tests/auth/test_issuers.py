"""Token exchange with identity providers the operator trusts, and with nobody else's."""

from __future__ import annotations

import base64
import hmac
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import responses
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from gstack.auth import credentials
from gstack.auth.issuers import Issuer, Issuers, read_issuers
from gstack.settings import Settings, SettingsError

from .conftest import HOST, NOW, Room, assertion

ISSUER = "https://ci.test"
AUDIENCE = f"https://{HOST}"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
EC = ECKey.generate_key("P-256", {"kid": "ec"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
KEYS: dict[str, Any] = {"ES256": EC, "RS256": RSA}


def public(*keys: Any) -> str:
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]})


def trust(room: Room, credential: str, *, where: str = "", claims: str = '{ sub = "repo:acme/shop:*" }') -> None:
    file = room.settings.folder / "jwks.json"
    file.write_text(public(EC, RSA))
    source = where or f'jwks_file = "{file}"'
    (room.settings.folder / "issuers.toml").write_text(
        f'[[issuer]]\nissuer = "{ISSUER}"\naudiences = ["{AUDIENCE}"]\n{source}\n'
        f'[[issuer.rule]]\nclaims = {claims}\ncredential = "{credential}"\n'
    )
    (room.settings.folder / "issuers.toml").chmod(0o600)


def outside(alg: str = "ES256", key: Any = None, header: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {"iss": ISSUER, "sub": "repo:acme/shop:main", "aud": AUDIENCE, "iat": NOW, "exp": NOW + 300} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    chosen = key or KEYS.get(alg, EC)
    algorithms = ["ES256", "RS256", "HS256", "none"]
    return jwt.encode({"alg": alg, "kid": chosen.kid} | (header or {}), claims, chosen, algorithms=algorithms)


def exchange(room: Room, subject: str) -> Any:
    return room.post(grant_type=EXCHANGE, subject_token=subject, subject_token_type=ID_TOKEN, audience="//any")


@pytest.mark.parametrize("alg", ["ES256", "RS256"])
def test_a_token_of_a_trusted_issuer_comes_in_as_the_credential_of_its_rule(room: Room, alg: str) -> None:
    made = room.service_account("other", name="ci")
    trust(room, made.email)
    answer = exchange(room, outside(alg))
    assert answer.status_code == 200, answer.json
    assert room.bearer(answer.json["access_token"]).identity.account == "other"


def test_an_audience_may_be_one_of_several(room: Room) -> None:
    trust(room, room.service_account(name="ci").credential_id)
    assert exchange(room, outside(aud=["x", AUDIENCE])).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.test"},
        {"iss": None},
        {"iss": ISSUER + "/"},
        {"aud": "https://elsewhere.test"},
        {"aud": None},
        {"aud": []},
        {"aud": [1]},
        {"aud": {}},
        {"sub": "repo:evil/shop:main"},
        {"sub": "xrepo:acme/shop:main"},
        {"sub": None},
        {"sub": ["repo:acme/shop:main"]},
        {"exp": NOW - 61},
        {"exp": None},
        {"exp": "9999999999"},
        {"iat": NOW + 61},
        {"nbf": NOW + 61},
    ],
)
def test_a_token_that_does_not_fit_is_refused(room: Room, changes: dict[str, Any]) -> None:
    trust(room, room.service_account(name="ci").email)
    answer = exchange(room, outside(**changes))
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")


def test_another_key_signs_nothing_even_under_the_same_name(room: Room) -> None:
    trust(room, room.service_account(name="ci").email)
    assert exchange(room, outside(key=ECKey.generate_key("P-256", {"kid": "ec"}))).status_code == 400


def test_a_published_key_is_no_shared_secret_and_no_signature_is_none(room: Room) -> None:
    trust(room, room.service_account(name="ci").email)
    head, body, _ = outside().split(".")
    forged = outside("HS256", OctKey.generate_key(256, {"kid": "ec"})).rpartition(".")[0]
    for secret in (EC.as_pem(private=False), json.dumps(EC.as_dict(private=False)).encode()):
        mark = base64.urlsafe_b64encode(hmac.digest(secret, forged.encode(), "sha256")).decode().rstrip("=")
        assert exchange(room, f"{forged}.{mark}").status_code == 400
    assert exchange(room, f"{head}.{body}.").status_code == 400
    assert exchange(room, f"{head}.{body}.AAAA").status_code == 400


OTHER_KINDS = {
    "an EC token under an RSA key": lambda: outside("ES256", EC, {"kid": "rsa"}),
    "an RSA token under an EC key": lambda: outside("RS256", RSA, {"kid": "ec"}),
    "a header that says RSA": lambda: relabelled(outside(), {"alg": "RS256", "kid": "ec"}),
    "a header that says EC": lambda: relabelled(outside("RS256"), {"alg": "ES256", "kid": "rsa"}),
    "a header that says PSS": lambda: relabelled(outside("RS256"), {"alg": "PS256", "kid": "rsa"}),
    "another curve": lambda: relabelled(outside(), {"alg": "ES384", "kid": "ec"}),
    "a list of algorithms": lambda: relabelled(outside(), {"alg": ["ES256"], "kid": "ec"}),
    "an algorithm that is an object": lambda: relabelled(outside(), {"alg": {}, "kid": "ec"}),
    "a name that is a list": lambda: relabelled(outside(), {"alg": "ES256", "kid": ["ec"]}),
    "nothing that is critical": lambda: outside(header={"crit": []}),
}


def relabelled(token: str, header: dict[str, Any]) -> str:
    """The same token under another header."""
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return ".".join([head, *token.split(".")[1:]])


@pytest.mark.parametrize("make", OTHER_KINDS.values(), ids=OTHER_KINDS)
def test_a_key_verifies_only_what_its_kind_signs(room: Room, make: Any) -> None:
    trust(room, room.service_account(name="ci").email)
    answer = exchange(room, make())
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_grant")


def test_keys_of_other_kinds_beside_a_good_one_are_passed_over(room: Room) -> None:
    made = room.service_account(name="ci")
    trust(room, made.email)
    shared = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "ec"}
    keys = [shared, {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43, "kid": "ec"}, EC.as_dict(private=False)]
    (room.settings.folder / "jwks.json").write_text(json.dumps({"keys": keys}))
    assert exchange(room, outside()).status_code == 200
    forged = outside("HS256", OctKey.import_key({**shared, "kid": "ec"}))
    assert exchange(room, forged).status_code == 400


def test_a_trusted_issuers_token_is_neither_bearer_nor_assertion(room: Room) -> None:
    trust(room, room.service_account(name="ci").email)
    jwt_bearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert room.post(grant_type=jwt_bearer, assertion=outside("RS256")).status_code == 400


def test_a_rule_whose_credential_was_revoked_lets_nobody_in(room: Room) -> None:
    made = room.service_account(name="ci")
    trust(room, made.email)
    credentials.revoke(room.guard.keyring, made.credential_id)
    assert exchange(room, outside()).status_code == 400


def test_the_file_may_change_while_the_gateway_runs(room: Room) -> None:
    made = room.service_account(name="ci")
    assert exchange(room, outside()).status_code == 400
    trust(room, made.email)
    assert exchange(room, outside()).status_code == 200
    file = room.settings.folder / "issuers.toml"
    file.write_text("nonsense")
    os.utime(file, ns=(1, 1))
    assert exchange(room, outside()).status_code == 400
    file.unlink()
    assert exchange(room, outside()).status_code == 400


def test_a_key_file_still_exchanges_beside_trusted_issuers(room: Room) -> None:
    made = room.service_account(name="ci")
    trust(room, made.email)
    assert exchange(room, assertion(made.content)).status_code == 200


def test_keys_by_url_are_kept_and_asked_for_again_when_they_change(room: Room) -> None:
    trust(room, room.service_account(name="ci").email, where=f'jwks_url = "{ISSUER}/jwks"')
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.add_passthru("http://127.0.0.1")
        web.add(responses.GET, f"{ISSUER}/jwks", body=public(EC))
        assert [exchange(room, outside()).status_code for _ in range(3)] == [200] * 3
        assert len(web.calls) == 1
        assert [exchange(room, outside("RS256")).status_code for _ in range(3)] == [400] * 3
        assert len(web.calls) == 1, "a stranger's tokens do not make us ask"
        web.replace(responses.GET, f"{ISSUER}/jwks", body=public(EC, RSA))
        room.clock.advance(31)
        assert exchange(room, outside("RS256")).status_code == 200


def test_nothing_of_the_surroundings_reaches_an_issuer(
    room: Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine ci.test login root password hunter2\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.test:3128")
    trust(room, room.service_account(name="ci").email, where=f'jwks_url = "{ISSUER}/jwks"')
    with responses.RequestsMock() as web:
        web.add_passthru("http://127.0.0.1")
        web.add(responses.GET, f"{ISSUER}/jwks", body=public(EC))
        assert exchange(room, outside()).status_code == 200
        (call,) = web.calls
    assert "Authorization" not in call.request.headers
    assert not call.request.req_kwargs["proxies"]  # type: ignore[union-attr]


@pytest.mark.parametrize("body", ["", "{}", "[]", '{"keys": 1}', '{"keys": [{}]}', "<html>"])
def test_an_issuer_that_answers_nonsense_lets_nobody_in(room: Room, body: str) -> None:
    trust(room, room.service_account(name="ci").email, where=f'jwks_url = "{ISSUER}/jwks"')
    with responses.RequestsMock() as web:
        web.add_passthru("http://127.0.0.1")
        web.add(responses.GET, f"{ISSUER}/jwks", body=body)
        assert exchange(room, outside()).status_code == 400


def test_an_issuer_that_is_away_is_not_asked_for_every_token(room: Room) -> None:
    trust(room, room.service_account(name="ci").email, where=f'jwks_url = "{ISSUER}/jwks"')
    with responses.RequestsMock(assert_all_requests_are_fired=False) as web:
        web.add_passthru("http://127.0.0.1")
        web.add(responses.GET, f"{ISSUER}/jwks", status=503)
        assert [exchange(room, outside()).status_code for _ in range(3)] == [400] * 3
        assert len(web.calls) == 1
        web.replace(responses.GET, f"{ISSUER}/jwks", body=public(EC))
        room.clock.advance(31)
        assert exchange(room, outside()).status_code == 200


def test_a_slow_issuer_keeps_no_other_waiting(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answered = threading.Event(), threading.Event()

    def fetch(issuer: Issuer) -> None:
        if issuer.issuer == "slow":
            asked.set()
            answered.wait(120)

    monkeypatch.setattr("gstack.auth.issuers._fetch", fetch)
    issuers = Issuers(room.settings, room.clock)
    slow, quick = (
        threading.Thread(target=issuers._keys_of, args=(Issuer(name, (), ()), 600), daemon=True)
        for name in ("slow", "quick")
    )
    slow.start()
    assert asked.wait(30)
    quick.start()
    quick.join(60)
    waits = quick.is_alive()
    answered.set()
    slow.join(60)
    assert not waits


def test_a_file_that_cannot_be_looked_at_leaves_the_rules_as_they_are(
    room: Room, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    trust(room, "c")
    issuers = Issuers(room.settings)

    def refuse(path: Path, **options: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refuse)
    assert issuers.find(ISSUER) is not None
    assert [event["event"] for event in logged] == ["issuers.unusable"] and "Permission denied" in logged[0]["why"]


GOOD = '[[issuer]]\nissuer="i"\naudiences=["a"]\njwks_file="f"\n[[issuer.rule]]\nclaims={sub="s"}\ncredential="c"\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('jwks_file="f"', ""),
        ('jwks_file="f"', 'jwks_url="http://plain.test"'),
        ('jwks_file="f"', 'jwks_file="f"\njwks_url="https://x"'),
        ('jwks_file="f"', 'jwks_fil="f"'),
        ('audiences=["a"]', "audiences=[]"),
        ('claims={sub="s"}', "claims={}"),
        ('credential="c"', ""),
        ("[[issuer]]", "x=1\n[[issuer]]"),
        ("[[issuer]]", "[[issuer"),
    ],
)
def test_a_file_that_would_trust_too_much_or_nothing_is_refused_at_the_start(
    tmp_path: Path, old: str, new: str
) -> None:
    file = tmp_path / "issuers.toml"
    file.write_text(GOOD)
    assert list(read_issuers(file)) == ["i"]
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(SettingsError):
        Issuers(Settings({"PATH": str(tmp_path)}))


def test_a_file_that_others_may_write_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "issuers.toml"
    file.write_text(GOOD)
    file.chmod(0o666)
    with pytest.raises(SettingsError):
        read_issuers(file)
