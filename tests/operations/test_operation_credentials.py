"""Operations whose credential dies: another one takes over, or they are blocked until an operator helps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from gstack.cloudstack.errors import cloudstack_error
from gstack.operations import engine
from gstack.operations.run import Run
from gstack.operations.runtime import Services
from gstack.operations.services import services as real_services
from gstack.operations.worker import launch_in_process
from gstack.operations.workflow import workflow
from gstack.settings import Settings
from gstack.store.credentials import Credential
from gstack.store.db import db
from gstack.store.operations import Operation
from gstack.store.sealing import Sealer
from gstack.translate.caller import Project
from tests.waiting import until

LINK = "projects/p/zones/z-a/instances/{}"


@workflow("op.test.ask")
def ask(run: Run, plan: dict[str, Any]) -> None:
    run.job("stop", "stopVirtualMachine", {"id": "vm"})


@workflow("op.test.ask.nothing")
def ask_nothing(run: Run, plan: dict[str, Any]) -> None:
    run.step("nothing", lambda: None)


class Keys:
    """Which credentials the store gives out, and which CloudStack accepts."""

    def __init__(self, make_cloud: Callable[[], Any]) -> None:
        self.live = {"cred-1"}
        self.accepted = {"cred-1"}
        self.commands: list[tuple[str, str]] = []
        self.unknown: set[str] = set()
        self._make_cloud = make_cloud

    def cloud_for(self, credential: str, project: Project) -> Any:
        assert project.id == "p"
        if credential not in self.live:
            return None
        cloud = self._make_cloud()
        cloud.call = lambda command, **params: self._call(credential, command)
        return cloud

    def _call(self, credential: str, command: str) -> dict[str, Any]:
        self.commands.append((credential, command))
        if credential not in self.accepted or command in self.unknown:
            raise cloudstack_error(command, 401, "unable to verify user credentials and/or request signature")
        return {"zone": []} if command == "listZones" else {"success": True}

    def others(self, credential: str, project: Project) -> list[str]:
        return sorted(self.live - {credential})


@pytest.fixture
def keys(cloud: Any) -> Keys:
    return Keys(type(cloud))


@pytest.fixture
def begin(app: Any, keys: Keys, services: Services, make_call: Any) -> Iterator[Any]:
    operations = app.extensions[engine.EXTENSION]
    settings = Settings({**operations.settings, "OPERATION_CONCURRENCY": 1})
    several = Services(keys.cloud_for, keys.others, services.catalogue, services.sealer)

    def start(workflow: str = "op.test.ask", name: str = "i", hold: float = 60.0) -> dict[str, Any]:
        operations.settings = Settings({**settings, "OPERATION_HOLD_SECONDS": hold})
        with app.app_context():
            return engine.start(make_call(), workflow, type="stop", target=LINK.format(name), plan={})

    with launch_in_process(app, several, settings=settings):
        yield start


def blocked_in(app: Any) -> list[Any]:
    with app.app_context():
        return engine.blocked()


def test_the_credential_that_started_an_operation_is_used(begin: Any, keys: Keys) -> None:
    keys.live.add("cred-2")
    assert "error" not in begin()
    assert keys.commands == [("cred-1", "stopVirtualMachine")]


def test_another_credential_takes_over_from_a_revoked_one(begin: Any, keys: Keys) -> None:
    keys.live, keys.accepted = {"cred-2"}, {"cred-2"}
    assert begin()["status"] == "DONE"
    assert keys.commands == [("cred-2", "stopVirtualMachine")]


def test_another_credential_takes_over_from_one_that_cloudstack_refuses(begin: Any, keys: Keys) -> None:
    keys.live, keys.accepted = {"cred-1", "cred-2"}, {"cred-2"}
    assert "error" not in begin()
    assert keys.commands[-1] == ("cred-2", "stopVirtualMachine")


def test_a_command_that_cloudstack_does_not_know_fails_the_operation(begin: Any, keys: Keys) -> None:
    keys.unknown.add("stopVirtualMachine")
    assert begin()["httpErrorStatusCode"] == 501


def test_without_any_credential_an_operation_is_blocked_and_goes_on_when_there_is_one(
    begin: Any, keys: Keys, app: Any
) -> None:
    keys.accepted = set()
    name = begin(hold=0)["name"]
    (blocked,) = until(lambda: blocked_in(app))
    assert (blocked.name, blocked.status) == (name, "RUNNING")
    assert "No credential of this project" in blocked.blocked
    keys.accepted = {"cred-1"}
    until(lambda: not blocked_in(app))
    with app.app_context():
        until(lambda: db.session.scalars(select(Operation.status)).one() == "DONE" or db.session.rollback())
        assert db.session.scalars(select(Operation)).one().error is None


def test_blocked_operations_keep_no_others_from_running(begin: Any, keys: Keys, app: Any) -> None:
    keys.accepted = set()
    begin(hold=0)
    until(lambda: blocked_in(app))
    assert begin("op.test.ask.nothing", name="other")["status"] == "DONE"


def credential(sealer: Sealer, name: str, account: str, **more: Any) -> Credential:
    return Credential(
        id=name,
        kind="direct",
        name=name,
        key_hash=name,
        sealed_keys=sealer.seal(json.dumps([name, f"api-{name}", f"secret-{name}"]).encode()),
        account=account,
        account_id=account,
        domain_id="d",
        domain_path="/",
        user_id="u",
        user_name="u",
        user_email="u",
        created_at=0,
        **more,
    )


@pytest.fixture
def stored(app: Any, tmp_path: Any) -> Services:
    key_file = tmp_path / "secret.keys"
    key_file.touch(mode=0o600)
    key_file.write_bytes(Fernet.generate_key())
    settings = Settings({"PATH": str(tmp_path)})
    sealer = Sealer(settings)
    with app.app_context():
        db.session.add_all(
            [
                credential(sealer, "one", "acc-1"),
                credential(sealer, "revoked", "acc-1", revoked_at=1),
                credential(sealer, "older", "acc-1", verified_at=1),
                credential(sealer, "newer", "acc-1", verified_at=2),
                credential(sealer, "foreign", "acc-2"),
                credential(Sealer(keys=[Fernet.generate_key().decode()]), "moved", "acc-3"),
            ]
        )
        db.session.commit()
    return real_services(app, settings)


ACCOUNT = Project("p", "p", None, "acc-1", "d")


def test_the_way_to_cloudstack_is_made_of_the_stored_keys(stored: Services) -> None:
    cloud = stored.cloud_for("one", Project("p", "p", "uuid-1", "acc-1", "d"))
    assert cloud is not None
    assert (cloud.key, cloud.projectid) == ("acc-1/uuid-1", "uuid-1")


@pytest.mark.parametrize("name", ["revoked", "unknown", "moved"])
def test_a_credential_that_cannot_be_used_gives_no_way_to_cloudstack(stored: Services, name: str) -> None:
    assert stored.cloud_for(name, ACCOUNT) is None


def test_others_of_the_same_account_come_last_verified_first(stored: Services) -> None:
    assert list(stored.others("one", ACCOUNT)) == ["newer", "older"]


def test_a_revoked_credential_still_names_its_account(stored: Services) -> None:
    assert set(stored.others("revoked", ACCOUNT)) == {"newer", "older", "one"}
