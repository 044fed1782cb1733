"""A gatekeeper before a real (embedded) CloudStack, with a clock that a test may turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import RSAKey

from gstack.auth import credentials, keyfiles, oauth
from gstack.auth.guard import Gatekeeper
from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Endpoint
from gstack.settings import Settings
from gstack.simulator.server import Server
from gstack.simulator.simulator import Simulator
from gstack.store.db import open_store
from gstack.store.migrate import upgrade_database
from gstack.store.sealing import Sealer

NOW = 1_790_000_000
SEAL_KEY = Fernet.generate_key().decode()
HOST = "gw.test:5000"
GCLOUD_AUDIENCE = "https://oauth2.googleapis.com/token"


@dataclass
class Clock:
    """Seconds since 1970 that stand still until they are moved."""

    value: float = NOW

    def __call__(self) -> float:
        return self.value

    def advance(self, seconds: float) -> None:
        self.value += seconds


@dataclass
class Room:
    """The auth room of one process, and the CloudStack it asks."""

    app: Flask
    guard: Gatekeeper
    simulator: Simulator
    clock: Clock
    settings: Settings
    calls: list[str]
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    def keys(self, who: str = "tenant") -> tuple[str, str]:
        return self.simulator.keys(who)

    def post(self, path: str = "/token", **parameters: Any) -> Any:
        return self.client.post(path, data=parameters, base_url=f"https://{HOST}")

    def pair_token(self, who: str = "tenant") -> str:
        api_key, secret_key = self.keys(who)
        answer = self.post(grant_type="client_credentials", client_id=api_key, client_secret=secret_key)
        assert answer.status_code == 200, answer.json
        return str(answer.json["access_token"])

    def service_account(self, who: str = "tenant", **options: Any) -> credentials.Made:
        chosen = {"name": None, "project": None, "url": f"https://{HOST}"} | options
        return credentials.create(self.guard.keyring, *self.keys(who), **chosen)

    def bearer(self, token: str, host: str = HOST) -> Any:
        return self.guard.authenticate({"Authorization": f"Bearer {token}", "Host": host}, {})

    def second_process(self) -> Gatekeeper:
        """Another gatekeeper on the same store: what another worker process, or a restart, would see."""
        return gatekeeper(self.settings, self.clock)

    def user(self, who: str) -> Any:
        return next(user for user in self.simulator.world.user if user.name == who)


class Counting(Endpoint):
    """An endpoint that notes which commands are sent."""

    calls: list[str]

    def cloud(self, *args: Any, **options: Any) -> Any:
        made = super().cloud(*args, **options)
        send = made._send
        made._send = lambda spec, wire: (self.calls.append(spec.name), send(spec, wire))[1]
        return made


def gatekeeper(settings: Settings, clock: Callable[[], float]) -> Gatekeeper:
    endpoint = Counting(settings)
    endpoint.calls = []
    return Gatekeeper(settings, endpoint, Catalogue(settings), Sealer(keys=[SEAL_KEY]), clock)


@pytest.fixture(scope="session")
def cloudstack() -> Iterator[Server]:
    with Server(Simulator(job_seconds=0.0, seed=1, extras=True)) as server:
        yield server


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    app = Flask("template")
    open_store(app, Settings({"PATH": str(folder)}))
    upgrade_database(app)
    with app.app_context():
        from gstack.store.db import db

        db.engine.dispose()
    return folder / "gstack.db"


@pytest.fixture(scope="session")
def key_pairs() -> list[keyfiles.KeyPair]:
    return [keyfiles.new_key_pair() for _ in range(3)]


@pytest.fixture
def database_url() -> str:
    """SQLAlchemy URL of the store; empty for the usual one, a copy of an empty SQLite file."""
    return ""


@pytest.fixture
def room(
    cloudstack: Server,
    database_url: str,
    empty_database: Path,
    key_pairs: list[keyfiles.KeyPair],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Iterator[Room]:
    """Options come by ``@pytest.mark.parametrize("room", [{"GSTACK_...": ...}], indirect=True)``."""
    folder = tmp_path / "gstack"
    folder.mkdir(mode=0o700)
    shutil.copy(empty_database, folder / "gstack.db")
    simulator = cloudstack.simulator
    unchanged = [(user, user.state, user.api_key, user.secret_key) for user in simulator.world.user]
    settings = Settings(
        {
            "PATH": str(folder),
            "CLOUDSTACK_HOST": "127.0.0.1",
            "CLOUDSTACK_PORT": cloudstack.port,
            "CLOUDSTACK_PATH": "/client/api",
            "DATABASE_URL": database_url,
            **getattr(request, "param", {}),
        }
    )
    unused = list(key_pairs)
    make = keyfiles.new_key_pair
    monkeypatch.setattr(keyfiles, "new_key_pair", lambda: unused.pop() if unused else make())
    app = Flask("auth")
    open_store(app, settings)
    if database_url:
        upgrade_database(app)
    clock = Clock()
    guard = gatekeeper(settings, clock)
    oauth.register(app, guard)
    with app.app_context():
        yield Room(app, guard, simulator, clock, settings, guard.keyring.endpoint.calls)
        from gstack.store.db import db

        db.engine.dispose()
    guard.keyring.endpoint.close()
    simulator.faults.clear()
    for user, *state in unchanged:
        user.state, user.api_key, user.secret_key = state
    simulator.world.index_keys()


def signed(content: dict[str, Any], claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """A JWT under the key of a key file."""
    key = RSAKey.import_key(content["private_key"])
    full = {"alg": "RS256", "kid": content["private_key_id"]} | (header or {})
    return jwt.encode({name: value for name, value in full.items() if value is not None}, claims, key)


def assertion(content: dict[str, Any], **changes: Any) -> str:
    """What gcloud sends to the token endpoint, with changes; a None leaves a claim out."""
    claims = {
        "iss": content["client_email"],
        "aud": GCLOUD_AUDIENCE,
        "iat": NOW,
        "exp": NOW + 3600,
        "scope": "https://www.googleapis.com/auth/cloud-platform",
    } | changes
    return signed(content, {name: value for name, value in claims.items() if value is not None})
