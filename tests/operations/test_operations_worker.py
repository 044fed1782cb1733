"""The worker as a process: killed, stopped, upgraded, doubled, orphaned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, text

import gstack
from gstack.demo import free_port
from gstack.operations import engine, worker
from gstack.operations.workflow import WORKFLOWS
from gstack.settings import Settings
from gstack.store.db import db, open_store
from gstack.store.operations import DONE, Claim, Operation
from tests.waiting import until

SCRIPT = Path(__file__).with_name("worker_script.py")
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(gstack.__file__).parent.parent)}
PIPE = subprocess.PIPE
TARGET = "projects/p/zones/z-a/disks/v"


class Workers:
    """Worker processes on one folder, and an application that starts operations there."""

    def __init__(self, folder: Path, call: Any, database: str = "") -> None:
        self.folder = folder
        self.database = database
        self.processes: list[subprocess.Popen[str]] = []
        self.call = call
        self.app: Flask | None = None

    def launch(self, *arguments: str, wait: bool = True, host: str = "") -> subprocess.Popen[str]:
        folder = self.folder / host
        if self.database:
            folder.mkdir(exist_ok=True)
            (folder / "database").write_text(self.database)
        command = [sys.executable, str(SCRIPT), str(folder), *arguments]
        process = subprocess.Popen(command, stdout=PIPE, stderr=PIPE, text=True, env=ENVIRONMENT)
        self.processes.append(process)
        assert process.stdout is not None
        if wait:
            assert process.stdout.readline() == "READY\n"
        return process

    def start(self) -> str:
        """Start one operation; its name."""
        if self.app is None:
            self.app = Flask("test")
            values = {"PATH": str(self.folder), "DATABASE_URL": self.database}
            settings = Settings(values | {"OPERATION_HOLD_SECONDS": 0.0})
            open_store(self.app, settings)
            engine.init_app(self.app, settings)
        with self.app.app_context():
            started = engine.start(self.call(), "op.test.durable", type="insert", target=TARGET, plan={}, claim=TARGET)
        return str(started["name"])

    def operation(self, name: str) -> Operation:
        assert self.app is not None
        with self.app.app_context():
            return db.session.scalars(select(Operation).where(Operation.name == name)).one()

    def until_done(self, name: str) -> Operation:
        until(lambda: self.operation(name).status == DONE)
        return self.operation(name)

    def lines(self, file: str, host: str = "") -> list[str]:
        path = self.folder / host / file
        return path.read_text().splitlines() if path.exists() else []

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        if self.app is not None:
            self.app.extensions[engine.EXTENSION].close()
            with self.app.app_context():
                db.session.remove()
                db.engine.dispose()


@pytest.fixture
def workers(tmp_path: Path, make_call: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setitem(WORKFLOWS, "op.test.durable", lambda run, plan: None)
    made = Workers(tmp_path, make_call)
    yield made
    made.close()


@pytest.mark.parametrize("upgraded", [(), ("upgraded",)], ids=["same release", "newer release"])
def test_an_operation_whose_worker_is_killed_is_finished_by_the_next_one_exactly_once(
    workers: Workers, upgraded: tuple[str, ...]
) -> None:
    (workers.folder / "hang").touch()
    first = workers.launch()
    name = workers.start()
    until(lambda: workers.lines("made"))
    first.kill()
    first.wait()
    (workers.folder / "hang").unlink()
    workers.launch(*upgraded)
    operation = workers.until_done(name)
    assert (operation.error, operation.attempts) == (None, 2)
    assert workers.lines("made") == ["v"]
    assert workers.lines("steps") == ["before", "after v"]
    assert workers.app is not None
    with workers.app.app_context():
        assert db.session.scalars(select(Claim)).all() == []


def test_a_worker_that_is_told_to_stop_leaves_its_operations_to_the_next_one(workers: Workers) -> None:
    (workers.folder / "away").touch()
    first = workers.launch()
    name = workers.start()
    until(lambda: workers.lines("made"))
    first.send_signal(signal.SIGTERM)
    assert first.wait(120) == 0
    assert workers.operation(name).status == "RUNNING"
    (workers.folder / "away").unlink()
    workers.launch()
    assert workers.until_done(name).error is None
    assert workers.lines("made") == ["v"]


@pytest.fixture
def hosts(tmp_path: Path, make_call: Any, monkeypatch: pytest.MonkeyPatch, postgresql: str) -> Iterator[Workers]:
    """Workers on several hosts that share an empty PostgreSQL database."""
    database = create_engine(postgresql)
    with database.begin() as connection:
        for schema in ("dbos", "public"):
            connection.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    database.dispose()
    monkeypatch.setitem(WORKFLOWS, "op.test.durable", lambda run, plan: None)
    made = Workers(tmp_path, make_call, postgresql)
    yield made
    made.close()


def test_the_work_of_a_host_that_died_is_taken_over_by_another(hosts: Workers) -> None:
    (hosts.folder / "one").mkdir()
    (hosts.folder / "one" / "hang").touch()
    dying = hosts.launch(host="one")
    name = hosts.start()
    until(lambda: hosts.lines("made", "one"))
    hosts.launch(host="two")
    dying.kill()
    dying.wait()
    operation = hosts.until_done(name)
    assert (operation.error, operation.attempts) == (None, 2)
    assert hosts.lines("steps", "one") == ["before"]
    assert hosts.lines("steps", "two") == ["after v"]


def test_a_second_worker_on_the_same_folder_is_refused(workers: Workers) -> None:
    workers.launch()
    second = workers.launch(wait=False)
    _, words = second.communicate(timeout=120)
    assert second.returncode == 1
    assert "another operations worker holds" in words


def test_a_worker_ends_with_its_parent(workers: Workers) -> None:
    code = "import subprocess, sys; p = subprocess.Popen(sys.argv[1:]); print(p.pid, flush=True); p.wait()"
    command = [sys.executable, "-c", code, sys.executable, str(SCRIPT), str(workers.folder)]
    parent = subprocess.Popen(command, stdout=PIPE, text=True, env=ENVIRONMENT)
    workers.processes.append(parent)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert parent.stdout.readline() == "READY\n"
    parent.kill()
    parent.communicate(timeout=120)
    until(lambda: not _lives(child))


@pytest.mark.parametrize("module", ["gstack.operations.worker", "gstack.proxy"])
def test_a_companion_whose_parent_was_killed_while_it_started_does_not_stay(tmp_path: Path, module: str) -> None:
    config = tmp_path / "gstack.conf"
    config.write_text(f"PATH = {str(tmp_path)!r}\nGSTACK_PROXY_PORT = {free_port()}\n")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    command = [sys.executable, "-m", module, "--config", str(config), "--parent", str(gone.pid)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "operations.lock").exists()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{process}/stat")
    return not (stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_worker_whose_store_is_replaced_while_it_starts_makes_room_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings({"PATH": str(tmp_path)})
    other, events = tmp_path / "other.db", list[str]()
    other.touch()

    def started(app: Flask, *_: object) -> Any:
        open_store(app, settings)
        with app.app_context():
            db.session.execute(text("SELECT 1"))
            other.replace(tmp_path / "gstack.db")
            db.session.remove()
        return SimpleNamespace(stop=lambda: True)

    told = SimpleNamespace(info=lambda event, **_more: events.append(event), error=events.append)
    parents = iter((1, 1, 1, 0))  # it goes after a while
    monkeypatch.setattr(worker, "_started", started)
    monkeypatch.setattr(worker, "log", told)
    monkeypatch.setattr(worker, "_end_with_parent", lambda: None)
    monkeypatch.setattr(worker, "PARENT_POLL_SECONDS", 0.01)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    assert worker.main(settings) == 0
    assert "store.replaced" in events
