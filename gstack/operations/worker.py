"""The one process that runs operations: ``python -m gstack.operations.worker [--config FILE] [--parent PID]``.

Apart from the web workers, so that one of those may die without stopping an operation. It prints READY on
standard output once it listens, and ends when its parent does. The surprising thing: ending is nothing
special. Workflows are left where they stand, after SIGTERM as after a crash, and the next worker takes them
up there.
"""

from __future__ import annotations

import argparse
import ctypes
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from dbos import DBOS
from flask import Flask

from gstack import logs
from gstack.ending import End
from gstack.operations import bells, durable, janitor
from gstack.operations.engine import EXTENSION, Operations
from gstack.operations.runtime import Patience, Runtime, Services
from gstack.operations.services import services as real_services
from gstack.operations.workflow import load_workflows
from gstack.settings import Settings, SettingsError, load
from gstack.store import overlay
from gstack.store.db import db, let_go_of_replaced, open_store, store_replaced
from gstack.store.migrate import upgrade_database

log = structlog.get_logger(__name__)

DRAIN_SECONDS = 8.0  # the server kills what has not gone after ten
SWEEP_SECONDS = 30.0
BEAT_SECONDS = 5.0
PURGE_SECONDS = 3600.0
PARENT_POLL_SECONDS = 0.5
IMPATIENT = Patience(job_poll=0.01, job_poll_most=0.05, unavailable=2.0, retry=0.02, retry_most=0.05, blocked=0.05)
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Refused(Exception):
    """This worker may not run: another one does, or the settings do not allow it. The message says which."""


class Worker:
    """DBOS and our runtime, started and stopped together. At most one a process: DBOS is one a process."""

    def __init__(
        self,
        app: Flask,
        settings: Settings,
        services: Services,
        *,
        patience: Patience | None = None,
        poll_seconds: float = durable.POLL_SECONDS,
    ) -> None:
        self.runtime = Runtime(app, settings, services, patience or Patience(job_poll=settings["JOB_POLL_SECONDS"]))
        self._poll_seconds = poll_seconds
        self._bell = bells.Bell(settings.folder, bells.WORK)
        self._chores: list[threading.Thread] = []

    def start(self) -> None:
        """Take up what was left, and listen."""
        self.runtime.register(load_workflows())
        with self.runtime.app.app_context():
            engine = db.engine
        concurrency = self.runtime.settings["OPERATION_CONCURRENCY"]
        turns = bells.Turns(self._bell, lambda: self.runtime.busy, durable.IDLE_SECONDS)
        durable.launch(engine, concurrency=concurrency, turns=turns, poll_seconds=self._poll_seconds)

    def start_chores(self) -> None:
        """Beat, sweep and purge, each in a thread of its own."""
        for every, chore in (
            (BEAT_SECONDS, janitor.beat),
            (SWEEP_SECONDS, janitor.sweep),
            (PURGE_SECONDS, janitor.purge),
        ):
            name = chore.__name__
            thread = threading.Thread(target=self._repeat, args=(every, chore), name=name, daemon=True)
            thread.start()
            self._chores.append(thread)

    def stop(self, seconds: float = DRAIN_SECONDS) -> bool:
        """Leave all workflows where they stand; False if some had not left after ``seconds``."""
        drained = self.runtime.drain(seconds)
        for thread in self._chores:
            thread.join(timeout=1)
        DBOS.destroy(destroy_registry=True)
        self._bell.close()
        return drained

    def _repeat(self, every: float, chore: Callable[[Runtime], object]) -> None:
        stopping = self.runtime.stopping
        while not stopping.is_set():
            try:
                chore(self.runtime)
            except Exception as error:
                log.error("chore.failed", chore=chore.__name__, error=type(error).__name__)
            stopping.wait(every)


@contextmanager
def launch_in_process(
    app: Flask, services: Services, *, patience: Patience | None = None, settings: Settings | None = None
) -> Iterator[Worker]:
    """For tests: a worker in threads of this process, on the store of ``app``, quick and impatient."""
    operations: Operations = app.extensions[EXTENSION]
    worker = Worker(
        app,
        settings or operations.settings,
        services,
        patience=patience or IMPATIENT,
        poll_seconds=0.02,
    )
    worker.start()
    try:
        yield worker
    finally:
        drained = worker.stop(seconds=60)
        operations.close()
    if not drained:
        raise RuntimeError("workflows were still running when the test ended")


def main(settings: Settings, services: Services | None = None, parent: int | None = None) -> int:
    """Run until SIGTERM, SIGINT or the end of the ``parent`` (a process id; by default whoever is it now); the exit
    status. ``services`` are for tests."""
    parent = parent or os.getppid()
    end = End()
    _end_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: end.tell())
    if os.getppid() != parent:  # it was gone before we could ask for a signal
        return 0
    try:
        with only_worker(settings.folder / "operations.lock"):
            app = Flask("gstack.operations", static_folder=None)
            worker = _started(app, settings, services)
            print("READY", flush=True)
            log.info("operations_worker.ready")
            while not end.wait(PARENT_POLL_SECONDS) and os.getppid() == parent and not store_replaced(app):
                pass
            if store_replaced(app):
                log.error("store.replaced")  # the next worker makes its tables
                let_go_of_replaced(app)
            drained = worker.stop()
    except (Refused, SettingsError) as error:
        print(f"gstack operations worker: {error}", file=sys.stderr)
        return 1
    log.info("operations_worker.stopped", drained=drained)
    if not drained:
        # A thread is inside a call that cannot be interrupted, and the interpreter would wait for it.
        sys.stdout.flush()
        os._exit(0)
    return 0


@contextmanager
def only_worker(path: Path) -> Iterator[None]:
    """Hold the lock of this host's worker. Raises :class:`Refused`: two workers of one name run a step
    twice.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(f"another operations worker holds {path}.") from None
        yield
    finally:
        os.close(descriptor)


def _started(app: Flask, settings: Settings, services: Services | None) -> Worker:
    logs.configure(settings)
    open_store(app, settings)
    upgrade_database(app)
    chosen = services or real_services(app, settings)
    overlay.init_app(app, chosen.sealer)
    worker = Worker(app, settings, chosen)
    worker.start()
    worker.start_chores()
    return worker


def _end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the thread that started us ends. Linux only; elsewhere we watch the
    parent.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _command_line() -> int:
    parser = argparse.ArgumentParser(prog="python -m gstack.operations.worker", description=__doc__)
    parser.add_argument("--config", type=Path, default=None, help="configuration file")
    parser.add_argument("--parent", type=int, default=None, metavar="PID", help="whom to end with")
    options = parser.parse_args()
    try:
        settings = load(options.config)
    except SettingsError as error:
        print(f"gstack operations worker: {error}", file=sys.stderr)
        return 1
    return main(settings, parent=options.parent)


if __name__ == "__main__":
    sys.exit(_command_line())
