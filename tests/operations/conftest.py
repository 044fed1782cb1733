"""A store in a temporary folder, an application that starts operations, a CloudStack that obeys the test."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import select

from gstack.cloudstack.errors import cloudstack_error
from gstack.operations import engine
from gstack.operations.runtime import Services
from gstack.operations.worker import Worker, launch_in_process
from gstack.protocol.links import Links
from gstack.settings import Settings
from gstack.store.db import db, open_store
from gstack.store.migrate import load_models
from gstack.store.operations import Operation
from gstack.store.sealing import Sealer
from gstack.translate.caller import Project

KEY = Fernet.generate_key().decode()
ZONE = "projects/p/zones/z-a"


PROJECT = Project("p", "p", None, "ada", "domain-1")


@dataclass
class FakeCall:
    """What the engine reads of a ``Call``."""

    params: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)
    method_id: str = "compute.instances.insert"
    user: str = "ada@example.com"
    deadline: float | None = None
    asked: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.params = {"project": "p", **self.params}
        self.method = SimpleNamespace(id=self.method_id)
        self.project = "p"
        self.links = Links("https://gate.test/compute/v1")
        self.caller = SimpleNamespace(credential_id="cred-1", user=self.user, project=PROJECT)


class FakeCloud:
    """Commands answered by functions; jobs that are done at the second look."""

    def __init__(self) -> None:
        self.key = "account-1"
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Callable[..., Any]] = {"listZones": lambda: {"zone": []}}
        self.jobs: dict[str, list[dict[str, Any]]] = {}
        self._ids = itertools.count(1)

    def call(self, command: str, **params: Any) -> dict[str, Any]:
        if command == "queryAsyncJobResult":
            return self._job(params["jobid"])
        self.sent.append((command, params))
        answer: dict[str, Any] = self.answers[command](**params)
        return answer

    def first(self, command: str, **params: Any) -> dict[str, Any] | None:
        return next((row for rows in self.call(command, **params).values() for row in rows), None)

    def job(self, result: dict[str, Any], **members: Any) -> dict[str, Any]:
        """An answer with a job that ends in ``result``."""
        jobid = f"job-{next(self._ids)}"
        self.jobs[jobid] = [{"jobstatus": 0}, {"jobstatus": 1, "jobresult": result}]
        return {"jobid": jobid, **members}

    def failing_job(self, code: int, text: str) -> dict[str, Any]:
        """An answer with a job that fails."""
        jobid = f"job-{next(self._ids)}"
        self.jobs[jobid] = [{"jobstatus": 2, "jobresult": {"errorcode": code, "errortext": text}}]
        return {"jobid": jobid}

    def _job(self, jobid: str) -> dict[str, Any]:
        if jobid not in self.jobs:
            raise cloudstack_error("queryAsyncJobResult", 431, "Unable to find a job by that id")
        states = self.jobs[jobid]
        return {"jobid": jobid, **(states.pop(0) if len(states) > 1 else states[0])}

    def names(self) -> list[str]:
        """The commands that were sent, in order."""
        return [command for command, _ in self.sent]


@dataclass
class Stage:
    """Everything of one test."""

    app: Flask
    cloud: FakeCloud
    sealer: Sealer
    worker: Worker

    def call(self, **more: Any) -> FakeCall:
        return FakeCall(**more)

    def set(self, **values: Any) -> None:
        """Change settings of the engine, not of the worker."""
        operations = self.app.extensions[engine.EXTENSION]
        operations.settings = Settings({**operations.settings, **values})

    def wait(self, name: str, **values: Any) -> dict[str, Any]:
        """The operation as ``wait`` answers it."""
        with self.app.app_context():
            operation = db.session.scalars(select(Operation).where(Operation.name == name)).one()
            return engine.wait(FakeCall(), operation)

    def start(self, workflow: str, plan: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        call = more.pop("call", None) or FakeCall()
        options = {"type": "insert", "target": f"{ZONE}/instances/i", "plan": plan or {}} | more
        with self.app.app_context():
            return engine.start(call, workflow, **options)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose tables are made once: DBOS takes its time over them."""
    path = tmp_path_factory.mktemp("template")
    app = store_app(Settings({"PATH": str(path)}))
    services = Services(lambda *_: None, lambda *_: (), None, Sealer(keys=[KEY]))
    with launch_in_process(app, services):
        pass
    with app.app_context():
        with db.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        db.engine.dispose()
    return path / "gstack.db"


def store_app(settings: Settings) -> Flask:
    """An application with a store and the engine, and nothing else."""
    app = Flask("test")
    open_store(app, settings)
    load_models()
    with app.app_context():
        db.create_all()
    engine.init_app(app, settings, Sealer(keys=[KEY]), poll_seconds=0.01)
    return app


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings({"PATH": str(tmp_path), "OPERATION_HOLD_SECONDS": 60.0, "OPERATION_WAIT_SECONDS": 60.0})


@pytest.fixture
def app(settings: Settings, template: Path) -> Iterator[Flask]:
    settings.folder.mkdir(exist_ok=True)
    shutil.copy(template, settings.folder / "gstack.db")
    app = store_app(settings)
    yield app
    operations = app.extensions[engine.EXTENSION]
    operations.close()
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def make_call() -> type[FakeCall]:
    return FakeCall


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


@pytest.fixture
def services(cloud: FakeCloud) -> Services:
    return Services(lambda *_: cloud, lambda *_: (), SimpleNamespace(), Sealer(keys=[KEY]))


@pytest.fixture
def stage(app: Flask, cloud: FakeCloud, services: Services) -> Iterator[Stage]:
    with launch_in_process(app, services) as worker:
        yield Stage(app, cloud, Sealer(keys=[KEY]), worker)
