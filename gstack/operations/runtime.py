"""What all workflows of one worker share: the store, the way to CloudStack, the slots, and the record of
outcomes.

Apart from :mod:`worker`, which is the process around it, so that tests can run workflows inside their own
process. The surprising thing: a blocked operation gives its slot back while it waits, so that operations
whose credential died never keep others from running.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from dbos import DBOS
from dbos import error as dbos_errors
from flask import Flask
from sqlalchemy import delete, func, update
from sqlalchemy.exc import OperationalError

from gstack.cloudstack.catalogue import Catalogue
from gstack.cloudstack.client import Cloud
from gstack.errors import GceError, operation_error
from gstack.operations import bells
from gstack.operations.failures import Stopping, internal, where
from gstack.operations.run import Run
from gstack.operations.shortages import explained
from gstack.operations.slots import Slots
from gstack.operations.workflow import Function
from gstack.settings import Settings
from gstack.store.db import db
from gstack.store.operations import DONE, RUNNING, Claim, Operation
from gstack.store.sealing import Sealer
from gstack.translate.caller import Project

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Services:
    """How a worker reaches CloudStack.

    ``cloud_for(credential_id, project)`` gives None where that credential is revoked or unknown;
    ``others(credential_id, project)`` names live credentials of the same project, best first.
    """

    cloud_for: Callable[[str, Project], Cloud | None]
    others: Callable[[str, Project], Sequence[str]]
    catalogue: Catalogue
    sealer: Sealer


@dataclass(frozen=True)
class Patience:
    """How long things are waited for, in seconds. Tests shorten them."""

    job_poll: float = 0.2
    job_poll_most: float = 2.0
    # CloudStack cancels its own jobs after an hour (job.cancel.threshold.minutes).
    job: float = 2 * 3600.0
    unavailable: float = 600.0
    retry: float = 0.5
    retry_most: float = 10.0
    blocked: float = 15.0


class Runtime:
    """One worker's shared state. ``stopping`` is set when the worker goes down."""

    def __init__(self, app: Flask, settings: Settings, services: Services, patience: Patience) -> None:
        self.app = app
        self.settings = settings
        self.services = services
        self.patience = patience
        self.stopping = threading.Event()
        self._slots = Slots(settings["OPERATION_CONCURRENCY"])
        self._active = 0
        self._changed = threading.Condition()

    def register(self, workflows: dict[str, Function]) -> None:
        """Tell DBOS of every workflow, each bound to this runtime."""
        for name, function in workflows.items():
            DBOS.workflow(name=name)(self._bound(function))

    def _bound(self, function: Function) -> Callable[[dict[str, Any]], None]:
        def body(envelope: dict[str, Any]) -> None:
            with self._counted():
                self.execute(function, envelope)

        return body

    def execute(self, function: Function, envelope: dict[str, Any]) -> None:
        """Run one workflow to its end and write down how it ended. Called by DBOS, again after every crash."""
        name = str(DBOS.workflow_id)
        with self.slot(envelope["project"]["id"]):
            attempts = self.begin(name)
            if attempts is None:
                return
            run = Run(self, name, envelope, attempts)
            failure: GceError | None = None
            try:
                function(run, envelope["plan"])
            except dbos_errors.DBOSException:
                raise  # the engine's own business: another worker has it, or its steps have changed
            except GceError as error:
                failure = run.undone(explained(error, run.target))
            except Exception as error:
                log.error("operation.defect", operation=name, error=type(error).__name__, frames=where(error))
                failure = run.undone(internal(name))
            self.finish(name, failure)

    def begin(self, name: str) -> int | None:
        """Show the operation RUNNING; how often it has been taken up, counting this time, or None if it is
        DONE.

        Workflows without an operation (:meth:`Run.later`) count as taken up before: they look before they
        send.
        """
        statement = (
            update(Operation)
            .where(Operation.name == name, Operation.status != DONE)
            .values(
                status=RUNNING,
                attempts=Operation.attempts + 1,
                start_ms=func.coalesce(Operation.start_ms, now_ms()),
            )
            .returning(Operation.attempts)
        )
        attempts = self.write(lambda: db.session.execute(statement).scalar())
        if attempts is not None:
            return int(attempts)
        known = self.write(lambda: db.session.query(Operation.name).filter_by(name=name).scalar())
        return None if known else 2

    def finish(self, name: str, failure: GceError | None) -> None:
        """The end: outcome, release of all claims, one transaction. A second time changes nothing."""
        if failure is not None:
            log.warning("operation.failed", operation=name, kind=failure.kind, message=failure.message)

        def transaction() -> None:
            db.session.execute(
                update(Operation).where(Operation.name == name, Operation.status != DONE).values(**outcome(failure))
            )
            db.session.execute(delete(Claim).where(Claim.operation == name))

        self.write(transaction)
        bells.ring_all(self.settings.folder, bells.DONE)

    def note(self, name: str, **values: Any) -> None:
        """Change members of an operation that is not DONE."""
        self.write(
            lambda: db.session.execute(
                update(Operation).where(Operation.name == name, Operation.status != DONE).values(**values)
            )
        )

    def write(self, transaction: Callable[[], Any]) -> Any:
        """Run ``transaction`` in one of our database, as often as it takes while the database cannot be
        reached.
        """
        delay = self.patience.retry
        while True:
            with self.app.app_context():
                try:
                    result = transaction()
                    db.session.commit()
                    return result
                except OperationalError as error:
                    db.session.rollback()
                    log.error("store.unreachable", error=type(error).__name__, again_in_seconds=delay)
            self.pause(delay)
            delay = min(delay * 2, self.patience.retry_most)

    def pause(self, seconds: float) -> None:
        """Sleep, unless the worker goes down meanwhile: then :class:`Stopping`."""
        if self.stopping.wait(seconds):
            raise Stopping

    @property
    def busy(self) -> bool:
        """Whether any workflow is under way."""
        return self._active > 0

    @contextmanager
    def slot(self, project: str) -> Iterator[None]:
        """One of OPERATION_CONCURRENCY places, for an operation of ``project``."""
        self._take_slot(project)
        try:
            yield
        finally:
            self._slots.give(project)

    @contextmanager
    def slot_lent(self, project: str) -> Iterator[None]:
        """Inside :meth:`slot` of the same ``project``: let another operation have the place meanwhile."""
        self._slots.give(project)
        try:
            yield
        finally:
            # Always taken back, also when stopping: whoever lent it will release it.
            self._slots.take(project)

    def _take_slot(self, project: str) -> None:
        while not self._slots.take(project, timeout=0.5):
            if self.stopping.is_set():
                raise Stopping
        if self.stopping.is_set():
            self._slots.give(project)
            raise Stopping

    @contextmanager
    def _counted(self) -> Iterator[None]:
        with self._changed:
            self._active += 1
        try:
            yield
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    def drain(self, seconds: float) -> bool:
        """Tell every workflow to leave and wait until all have; False if some have not after ``seconds``."""
        self.stopping.set()
        with self._changed:
            return self._changed.wait_for(lambda: self._active == 0, timeout=seconds)


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def outcome(failure: GceError | None) -> dict[str, Any]:
    """The columns of an operation that has ended."""
    return {
        "status": DONE,
        "progress": 100,
        "end_ms": now_ms(),
        "start_ms": func.coalesce(Operation.start_ms, now_ms()),
        "error": None if failure is None else operation_error(failure),
        "blocked": None,
    }
