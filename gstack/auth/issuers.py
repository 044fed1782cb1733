"""Identity providers the operator trusts (OpenID Connect), and as whom their users come in: ``issuers.toml`` in PATH.

Apart from the service accounts' own JWTs because the keys are somebody else's and change. The file is the operator's
and read again when it changes; no file, no issuer. The surprising thing: a rule leads to a credential and not to a
CloudStack account by name, since gstack holds no administrator's key and can only act as whom it has keys of.

    [[issuer]]
    issuer = "https://ci.example"
    audiences = ["https://gstack.example"]
    jwks_url = "https://ci.example/jwks"    # or jwks_file = "/etc/gstack/ci.json"

    [[issuer.rule]]
    claims = { sub = "repo:acme/shop:*" }   # every one must fit; * stands for anything
    credential = "ci@tenant.iam.gserviceaccount.com"
"""

from __future__ import annotations

import json
import math
import stat
import threading
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import requests
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import CompactSignature, validate_compact

from gstack.settings import Settings, SettingsError

log = structlog.get_logger(__name__)

FILE = "issuers.toml"
# Never "none" and never HS256: a published key is no shared secret.
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384"]
KEYS_SECONDS = 600
AGAIN_SECONDS = 30  # a token with a key nobody knows may not make us ask its issuer all the time
LARGEST_KEYS = 256 * 1024


@dataclass(frozen=True)
class Rule:
    """``claims``: name to a pattern in which ``*`` stands for anything; ``credential``: an id or address."""

    claims: dict[str, str]
    credential: str


@dataclass(frozen=True)
class Issuer:
    """One provider; exactly one of ``jwks_url`` and ``jwks_file`` is given."""

    issuer: str
    audiences: tuple[str, ...]
    rules: tuple[Rule, ...]
    jwks_url: str = ""
    jwks_file: str = ""
    ca_file: str = ""

    def credential_for(self, claims: dict[str, Any]) -> str | None:
        """The credential of the first rule that every claim fits."""
        for rule in self.rules:
            if all(_fits(claims.get(name), pattern) for name, pattern in rule.claims.items()):
                return rule.credential
        return None


class Issuers:
    """The issuers of one installation and their keys; ``clock`` gives seconds. Raises :class:`SettingsError` at the
    start for a file that cannot be used."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._path = settings.folder / FILE
        self._clock = clock
        self._locks: dict[str, threading.Lock] = {}
        self._keys: dict[str, tuple[float, bool, KeySet | None]] = {}  # when asked, whether that went well, the keys
        self._read: tuple[int, dict[str, Issuer]] = (0, {})
        changed = self._changed()
        self._read = (changed, read_issuers(self._path) if changed else {})

    def find(self, issuer: str) -> Issuer | None:
        """A trusted issuer. While the file cannot be used, nobody is trusted."""
        changed = self._changed()
        if changed != self._read[0]:
            found: dict[str, Issuer] = {}
            try:
                found = read_issuers(self._path) if changed else {}
            except SettingsError as error:
                log.error("issuers.unusable", why=str(error))
            self._read = (changed, found)
            self._keys.clear()
        return self._read[1].get(issuer)

    def signed(self, signature: CompactSignature, issuer: Issuer) -> bool:
        """Whether one of the issuer's keys made this signature; its keys are asked for again, seldom, when not."""
        if signature.headers().get("alg") not in ALGORITHMS:
            return False
        return _valid(signature, self._keys_of(issuer, KEYS_SECONDS)) or (
            bool(issuer.jwks_url) and _valid(signature, self._keys_of(issuer, AGAIN_SECONDS))
        )

    def _changed(self) -> int:
        try:
            return self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return 0
        except OSError as error:
            log.error("issuers.unusable", why=str(error))
            return self._read[0]

    def _keys_of(self, issuer: Issuer, oldest: float) -> KeySet | None:
        name = issuer.issuer
        with self._locks.setdefault(name, threading.Lock()):  # its own: a slow issuer keeps no other's users waiting
            asked, well, keys = self._keys.get(name, (-math.inf, False, None))
            if self._clock() - asked >= (oldest if well else AGAIN_SECONDS):
                fetched = _fetch(issuer)
                keys = fetched if fetched is not None else keys
                self._keys[name] = (self._clock(), fetched is not None, keys)
            return keys


def read_issuers(path: Path) -> dict[str, Issuer]:
    """The issuers of a file by their name. Raises :class:`SettingsError` naming what is wrong."""
    if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsError(f"{path} may be written by others. Run: chmod go-w {path}")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    found = [_issuer(row, path) for row in content.pop("issuer", [])]
    if content:
        raise SettingsError(f"{path}: only [[issuer]] tables belong here, not {sorted(content)[0]}.")
    return {issuer.issuer: issuer for issuer in found}


def _issuer(row: dict[str, Any], path: Path) -> Issuer:
    try:
        rules = tuple(Rule(dict(rule["claims"]), str(rule["credential"])) for rule in row.pop("rule"))
        made = Issuer(audiences=tuple(row.pop("audiences")), rules=rules, **row)
    except (KeyError, TypeError, ValueError) as error:
        raise SettingsError(f"{path}: an [[issuer]] has a missing or unknown member: {error}") from error
    name = f"{path}: issuer {made.issuer}"
    if bool(made.jwks_url) == bool(made.jwks_file):
        raise SettingsError(f"{name} needs one of jwks_url and jwks_file.")
    if made.jwks_url and not made.jwks_url.startswith("https://"):
        raise SettingsError(f"{name}: jwks_url must begin with https://.")
    if not made.audiences or not made.rules or not all(rule.claims for rule in made.rules):
        raise SettingsError(f"{name} needs an audience and rules that name claims: nobody is let in unnamed.")
    return made


def _fits(value: Any, pattern: str) -> bool:
    literal = pattern.replace("[", "[[]").replace("?", "[?]")
    return isinstance(value, str) and fnmatchcase(value, literal)


def _valid(signature: CompactSignature, keys: KeySet | None) -> bool:
    if keys is None:
        return False
    wanted = signature.headers().get("kid")
    for key in keys.keys:
        if key.key_type in ("RSA", "EC") and (wanted is None or key.kid == wanted):
            try:
                if validate_compact(signature, key, algorithms=ALGORITHMS):
                    return True
            except (JoseError, ValueError, TypeError):
                continue
    return False


def _fetch(issuer: Issuer) -> KeySet | None:
    """The issuer's keys, or None where they cannot be had now.

    Nothing of the process's surroundings counts: no proxy of the environment, and no password of a netrc file, which
    requests would send to a host of that name.
    """
    try:
        if issuer.jwks_file:
            return KeySet.import_key_set(json.loads(Path(issuer.jwks_file).read_text(encoding="utf-8")))
        with requests.Session() as session:
            session.trust_env = False
            session.verify = issuer.ca_file or True
            with session.get(issuer.jwks_url, timeout=(5, 10), allow_redirects=False, stream=True) as answer:
                answer.raise_for_status()
                return KeySet.import_key_set(json.loads(answer.raw.read(LARGEST_KEYS, decode_content=True)))
    except (requests.RequestException, OSError, ValueError, TypeError, KeyError, JoseError):
        return None
