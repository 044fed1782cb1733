"""The fixture that most tests of resources use: a whole gateway in this process, in front of an embedded CloudStack.

``gateway.call(method, path, body)`` is a request as a client sends it. Every answer is held against Google's schema, so
a test never has to. The surprising thing: operations run in threads of this process and are quick, so a mutation's
answer is DONE already.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck
from hypothesis import settings as examples
from structlog.testing import capture_logs
from structlog.types import EventDict

from gstack.app import create_app
from gstack.auth.guard import Gatekeeper
from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.trace import trace
from gstack.operations.engine import EXTENSION
from gstack.operations.services import services
from gstack.operations.worker import Worker, launch_in_process
from gstack.protocol.discovery import Method, document
from gstack.protocol.responses import check_response
from gstack.settings import Settings
from gstack.simulator import Server, Simulator
from gstack.store.db import db
from gstack.store.migrate import upgrade_database
from gstack.store.sealing import ensure_keys

HOST = "gateway.test"
ZONE = "ch-gva-2"
SEED = 1
examples.register_profile(
    "gstack", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
examples.load_profile("gstack")
MOST_WAITS = 4  # of OPERATION_HOLD_SECONDS each


def pytest_configure() -> None:
    """A shell ignores SIGINT for what it runs in the background; so would every process that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Failed(AssertionError):
    """An answer that was not the expected one."""


@dataclass
class Gateway:
    """A gateway, the CloudStack behind it, and a client of user ``tenant`` in its own project."""

    app: Flask
    simulator: Simulator
    settings: Settings
    worker: Worker
    user: str = "tenant"
    project: str = "tenant"
    zone: str = ZONE
    host: str = HOST
    upstream: list[str] = field(default_factory=list)  # the CloudStack commands of the last request itself
    status: int = 0

    @property
    def client(self) -> FlaskClient:
        """A plain Flask client, for requests that are not to be checked."""
        return self.app.test_client()

    @property
    def token(self) -> str:
        """A bearer token of the user."""
        return ":".join(self.simulator.keys(self.user))

    def as_user(self, user: str, project: str | None = None) -> Gateway:
        """The same gateway for another user (``other``, ``acme-admin``, ``admin``)."""
        return Gateway(self.app, self.simulator, self.settings, self.worker, user, project or user)

    def call(
        self, method: str, path: str, body: Any = None, *, status: int | None = 200, **query: Any
    ) -> dict[str, Any]:
        """One request; ``path`` is below the project (``zones/{zone}/instances``) or starts with ``/``.

        The answer must have ``status`` (None: any) and fit its schema.
        """
        if not path.startswith("/"):
            path = f"/compute/v1/projects/{self.project}/{path}".replace("{zone}", self.zone).rstrip("/")
        with trace() as calls:
            response = self.client.open(
                path,
                method=method,
                base_url=f"https://{self.host}",
                query_string=query or None,
                headers={"Authorization": f"Bearer {self.token}"},
                json=body,
            )
        self.upstream = [call.command for call in calls]
        self.status = response.status_code
        answer = json.loads(response.data)
        if status is not None and response.status_code != status:
            raise Failed(f"{method} {path}: {response.status_code} {json.dumps(answer, indent=1)}")
        self._check(method, path, response.status_code, answer)
        return dict(answer)

    def get(self, path: str, **more: Any) -> dict[str, Any]:
        """GET."""
        return self.call("GET", path, **more)

    def names(self, path: str, **more: Any) -> list[str]:
        """The names in a list."""
        return [item["name"] for item in self.get(path, **more).get("items", [])]

    def run(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """A mutation that ends well; its operation, waited for where the machine is slow."""
        operation = self._ended(method, path, body, query)
        if operation["status"] != "DONE" or "error" in operation:
            raise Failed(f"{method} {path}: {json.dumps(operation, indent=1)}")
        return operation

    def fail(self, method: str, path: str, body: Any = None, **query: Any) -> dict[str, Any]:
        """A mutation whose operation is accepted and fails; the first error, with ``http`` besides."""
        operation = self._ended(method, path, body, query)
        if operation["status"] != "DONE" or "error" not in operation:
            raise Failed(f"{method} {path} did not fail: {json.dumps(operation, indent=1)}")
        return operation["error"]["errors"][0] | {"http": operation["httpErrorStatusCode"]}

    def refuse(self, method: str, path: str, body: Any = None, *, status: int = 400, **query: Any) -> str:
        """A request that is refused at once; the message."""
        return str(self.call(method, path, body, status=status, **query)["error"]["message"])

    def cloudstack(self, command: str, **params: Any) -> Any:
        """Ask CloudStack itself, as the same user; rows for a list, else the inner object."""
        answer = self.simulator.do(self.user, command, **params)
        if command.startswith("list"):
            return next((value for value in answer.values() if isinstance(value, list)), [])
        return answer

    def deploy(self, name: str, **params: Any) -> dict[str, Any]:
        """A machine made by another tool, running; its row."""
        chosen = {"zoneid": self.zone_id, "templateid": self.template_id(), "serviceofferingid": self.offering_id()}
        made = self.cloudstack("deployVirtualMachine", name=name, **(chosen | params))
        self.simulator.settle()
        return dict(self.cloudstack("listVirtualMachines", id=made["id"])[0])

    @property
    def zone_id(self) -> str:
        """CloudStack's id of the zone."""
        return str(self.cloudstack("listZones", name=self.zone)[0]["id"])

    def template_id(self, name: str = "Linux Debian 12 64-bit") -> str:
        """CloudStack's id of a template."""
        return str(self.cloudstack("listTemplates", templatefilter="featured", name=name)[0]["id"])

    def offering_id(self, name: str = "Tiny") -> str:
        """CloudStack's id of a service offering."""
        return str(self.cloudstack("listServiceOfferings", name=name)[0]["id"])

    def forget_everything(self) -> None:
        """Delete the contents of our database."""
        with self.app.app_context():
            for table in reversed(db.metadata.sorted_tables):
                db.session.execute(table.delete())
            db.session.commit()

    def _ended(self, method: str, path: str, body: Any, query: dict[str, Any]) -> dict[str, Any]:
        operation = self.call(method, path, body, **query)
        for _ in range(MOST_WAITS):
            if operation["status"] == "DONE":
                break
            operation = self.call("POST", f"{urlsplit(operation['selfLink']).path}/wait")
        return operation

    def _check(self, verb: str, path: str, status: int, answer: dict[str, Any]) -> None:
        if status >= 400:
            error = answer["error"]
            if not (error["code"] == status and error["message"] and error["errors"][0]["reason"]):
                raise Failed(f"{verb} {path}: no error as Google writes it: {answer}")
            return
        method = self._method(verb, path)
        problems = check_response(str(method.response), answer) if method is not None else []
        if problems:
            raise Failed(f"{verb} {path} does not fit {method.response}: {problems}")  # type: ignore[union-attr]

    def _method(self, verb: str, path: str) -> Method | None:
        if not path.startswith("/compute/"):
            return None
        endpoint, _ = self.app.url_map.bind(self.host).match(path, method=verb)
        return document().methods.get(self.app.view_functions[endpoint].args[0])  # type: ignore[attr-defined]


def gateway_settings(folder: Path, **more: Any) -> Settings:
    """Settings for a gateway whose files are in ``folder``."""
    return Settings({"PATH": str(folder), "LOG_LEVEL": "ERROR", "OPERATION_HOLD_SECONDS": 30.0} | more)


@dataclass
class Process:
    """What all tests of a run share, because it takes time to make: the application, and the server of a CloudStack
    that each test puts its own world into."""

    app: Flask
    server: Server
    settings: Settings
    catalogues: list[Catalogue]
    guards: list[tuple[Gatekeeper, tuple[Any, ...]]]
    empty_database: Path

    def renew(self) -> Simulator:
        """As if nothing had ever happened: an empty store, a new CloudStack, nothing remembered of the old one."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()
        for path in self.settings.folder.glob("gstack.db*"):
            path.unlink()
        shutil.copy(self.empty_database, self.settings.folder / "gstack.db")
        for catalogue in self.catalogues:
            # What the role allows is two megabytes to read, and the same in every test.
            for key in [key for key in catalogue._entries if key[1] != "apis"]:
                del catalogue._entries[key]
        for guard, arguments in self.guards:
            guard.__init__(*arguments)  # type: ignore[misc]  # it remembers credentials that the new store lacks
        self.server.http.wsgi_app.simulator = Simulator(job_seconds=0.0, seed=SEED, extras=True)
        return self.server.http.wsgi_app.simulator


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    """gstack's events of every level, as they are logged, with what is bound to their request."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    try:
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as events:
            yield events
    finally:
        structlog.configure(wrapper_class=before)


@pytest.fixture(scope="session")
def gateway_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One application for the whole run; use ``gateway``."""
    folder = tmp_path_factory.mktemp("gateway")
    catalogues: list[Catalogue] = []
    guards: list[tuple[Gatekeeper, tuple[Any, ...]]] = []

    class Kept(Catalogue):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            catalogues.append(self)

    def guard(*arguments: Any) -> Gatekeeper:
        guards.append((Gatekeeper(*arguments), arguments))
        return guards[-1][0]

    with Server(Simulator(job_seconds=0.0, seed=SEED, extras=True)) as server, pytest.MonkeyPatch.context() as patch:
        settings = gateway_settings(folder, CLOUDSTACK_PORT=server.port, CLOUDSTACK_HOST="127.0.0.1")
        ensure_keys(settings)
        patch.setattr("gstack.app.Catalogue", Kept)
        patch.setattr("gstack.app.Gatekeeper", guard)
        app = create_app(settings)
        upgrade_database(app)
        with launch_in_process(app, services(app, settings)):
            pass  # DBOS makes its tables
        with app.app_context():
            with db.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            db.engine.dispose()
        shutil.copy(folder / "gstack.db", folder / "empty.db")
        yield Process(app, server, settings, catalogues, guards, folder / "empty.db")
        with app.app_context():
            db.engine.dispose()


@contextlib.contextmanager
def renewed(process: Process) -> Iterator[Gateway]:
    """A gateway with an empty store and a new CloudStack, whose jobs take no time. Tests use ``gateway``; those that
    need several, this."""
    simulator = process.renew()
    app, settings = process.app, process.settings
    with launch_in_process(app, services(app, settings)) as worker:
        yield Gateway(app, simulator, settings, worker)
    with app.app_context():
        db.session.remove()


@pytest.fixture
def gateway(gateway_process: Process) -> Iterator[Gateway]:
    """A gateway of the test's own."""
    with renewed(gateway_process) as made:
        yield made
    if made.app.extensions[EXTENSION].settings is not made.settings:
        raise Failed("The test changed the settings of the application that all tests share: use monkeypatch.")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL database that may be emptied: the one that GSTACK_TEST_POSTGRESQL names, or a new one.

    PostgreSQL refuses to run as root, so there it runs as another user, in a folder outside of pytest's own, which no
    other user may enter.
    """
    pytest.importorskip("psycopg", reason="psycopg is not installed (the extra gstack[postgresql])")
    given = os.environ.get("GSTACK_TEST_POSTGRESQL", "")
    if given:
        yield given
        return
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here, and GSTACK_TEST_POSTGRESQL names no database")
    folder = Path(tempfile.mkdtemp(prefix="gstack-pg-"))
    options: dict[str, Any] = {"check": True, "timeout": 120, "cwd": folder, "capture_output": True}
    options["env"] = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")  # every package of the server makes that user
        options["user"] = "postgres"
    control = (programs / "pg_ctl", "-D", folder / "data", "-w")
    try:
        words = ("-U", "gstack", "-A", "trust", "-E", "UTF8", "-N")
        subprocess.run((programs / "initdb", "-D", folder / "data", *words), **options)
        here = f"-k {folder} -c listen_addresses= -c fsync=off"
        subprocess.run((*control, "-o", here, "-l", folder / "log", "start"), **options)
        yield f"postgresql+psycopg://gstack@/postgres?host={folder}"
        subprocess.run((*control, "-m", "fast", "stop"), **options)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).resolve()] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return places[-1].parent if places else None
