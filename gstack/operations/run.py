"""What a workflow gets: the only way it may touch the world.

Everything that reads or changes something goes through :meth:`Run.step`, :meth:`Run.job` or
:meth:`Run.poll`, whose results are recorded; a run that is resumed after a crash is given the recorded
results and goes on where it stood. The surprising thing: a step's body may run twice, so it looks for what
it may already have made before it acts.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import structlog
from dbos import DBOS
from dbos import error as dbos_errors
from sqlalchemy import case
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from gstack.cloudstack.errors import Throttled, Unavailable
from gstack.errors import GceError
from gstack.operations import bells, durable, jobs
from gstack.operations.clouds import OperationCloud
from gstack.operations.failures import internal, pack, reworded, unpack, where
from gstack.operations.recovery import RECOVERY, recovery
from gstack.store.db import db
from gstack.store.operations import Operation
from gstack.translate.caller import Project

if TYPE_CHECKING:
    from gstack.operations.runtime import Runtime

log = structlog.get_logger(__name__)


class Run:
    """One operation under way.

    ``name`` is the operation's; ``target`` its link from ``projects/`` on; ``project`` the caller's.
    ``cloud`` is used inside steps only, ``catalogue`` with it. ``resumed`` says that an earlier run of this
    operation ended without an outcome.
    """

    def __init__(self, runtime: Runtime, name: str, envelope: dict[str, Any], attempts: int) -> None:
        self.runtime = runtime
        self.name = name
        self.target: str = envelope["target"]
        self.project = _project(envelope["project"])
        self.credential_id: str = envelope["credential"]
        self.resumed = attempts > 1
        self.in_step = False
        self.cloud = OperationCloud(self, self.project.cloudstack_id)
        self.catalogue = runtime.services.catalogue
        self._undo: list[tuple[str, Callable[[str], Any]]] = []
        self._warnings: list[dict[str, Any]] = []
        self._later = 0

    def step(self, name: str, function: Callable[..., Any], *args: Any, idempotent: bool = True) -> Any:
        """``function(*args)``, once: JSON out (dates and the like are refused), recorded under ``name``.

        What it writes to the store is committed with it; write last, as the transaction holds others up.
        While CloudStack cannot be reached it is called again, if nothing was sent or it is ``idempotent``.
        Raises :class:`OperationFailed` for every GceError; anything else becomes an internal error.
        """
        return self._recorded(name, lambda: self._patiently(lambda: function(*args), idempotent))

    def job(
        self,
        name: str,
        command: str,
        params: dict[str, Any],
        *,
        find: Callable[[], dict[str, Any] | None] | None = None,
    ) -> dict[str, Any]:
        """Send a CloudStack command that changes something, and wait for its job if it has one.

        Two steps: the first records the job's id, the second waits. ``find`` gives the object that the
        command may already have made (a CloudStack row with its ``id``), or None; it is asked before the
        command is sent another time, and when the job has vanished. The answer is the object as the job saw
        it, with its ``id`` where CloudStack names one: read it again where its state matters. Passwords and
        keys in it are sealed (:meth:`unseal`). Raises :class:`OperationFailed` in CloudStack's words;
        ValueError for a command that :data:`RECOVERY` does not know, or without the ``find`` that it calls
        for.
        """
        sender = jobs.Sender(self, command, params, find, recovery(command, find))
        sent = self._recorded(f"{name}: send", sender.send)
        if "jobid" not in sent:
            return dict(sent["object"])
        return dict(self._recorded(f"{name}: wait", lambda: sender.wait(sent)))

    def poll(
        self,
        name: str,
        look: Callable[..., Any],
        *args: Any,
        every: float = 1.0,
        within: float = 600.0,
        lent: bool = False,
    ) -> Any:
        """Call ``look(*args)`` until it gives something true, and record that; None after ``within``
        seconds. ``lent``: for a wait for other operations, which get this one's place meanwhile.
        """

        def body() -> Any:
            deadline = time.monotonic() + within
            while True:
                seen = self._patiently(lambda: look(*args), idempotent=True)
                if seen or time.monotonic() >= deadline:
                    return seen or None
                with self.runtime.slot_lent(self.project.id) if lent else nullcontext():
                    self.runtime.pause(every)

        return self._recorded(name, body)

    def undo(self, name: str, function: Callable[..., Any], *args: Any) -> None:
        """If the workflow fails later: call ``function(*args)`` as a step. ``name`` says what it takes back
        (``"the disk disk-1"``) and is shown to the client. Latest first."""
        self._undo.append((name, lambda step: self.step(step, function, *args)))

    def undo_job(self, name: str, command: str, params: dict[str, Any]) -> None:
        """As :meth:`undo`, with a CloudStack command. What does not exist any more counts as undone."""
        recovery(command, find=None)

        def take_back(step: str) -> None:
            try:
                self.job(step, command, params)
            except GceError as error:
                if not (error.kind == "notFound" and RECOVERY[command].removes):
                    raise

        self._undo.append((name, take_back))

    def obey(self, command: str, params: dict[str, Any]) -> None:
        """Inside of a step: one command and its job, to take something back."""
        sender = jobs.Sender(self, command, params, None, RECOVERY[command])
        sent = sender.send()
        if "jobid" in sent:
            sender.wait(sent)

    def undone(self, error: GceError) -> GceError:
        """Take everything back, latest first; ``error`` with what was undone and what could not be."""
        done: list[str] = []
        left: list[str] = []
        for name, take_back in reversed(self._undo):
            try:
                take_back(f"undo {name}")
                done.append(name)
            except GceError as trouble:
                left.append(f"{name} ({trouble.message})")
            except dbos_errors.DBOSException:
                raise
            except Exception as defect:
                log.error("operation.defect", operation=self.name, error=type(defect).__name__, frames=where(defect))
                left.append(f"{name} (internal error)")
        self._undo.clear()
        sentences = [error.message]
        if done:
            sentences.append(f"Undone: {', '.join(done)}.")
        if left:
            sentences.append(f"Could not be undone: {', '.join(left)}.")
        return reworded(error, " ".join(sentences)) if done or left else error

    def progress(self, percent: int) -> None:
        """How far the operation is, 0 to 100; it never goes back."""
        self.note(
            progress=case((Operation.progress < percent, percent), else_=Operation.progress),
        )

    def target_id(self, number: int) -> None:
        """The numeric id of what was made: clients read it from the operation."""
        self.note(target_id=str(number))

    def warn(self, code: str, message: str, data: dict[str, str] | None = None) -> None:
        """A GCE warning on the operation, said once; gcloud prints its message."""
        warning: dict[str, Any] = {"code": code, "message": message}
        if data:
            warning["data"] = [{"key": key, "value": value} for key, value in data.items()]
        if warning in self._warnings:
            return
        self._warnings.append(warning)
        self.note(warnings=list(self._warnings))

    def later(self, workflow: str, plan: dict[str, Any], *, delay: float = 0.0, target: str | None = None) -> None:
        """Start another workflow ``delay`` seconds from now, that no client waits for and no operation
        shows; its ``target`` is this operation's unless another is given.
        """
        self._later += 1
        child = hashlib.blake2b(f"{self.name} {self._later}".encode(), digest_size=8).hexdigest()
        name = f"{self.name.partition('+')[0]}+{child}"
        options = durable.options(workflow, name, name)
        if delay > 0:
            options["delay_seconds"] = delay
        DBOS.enqueue_workflow_with_options(
            options,
            {
                "plan": plan,
                "target": target or self.target,
                "project": asdict(self.project),
                "credential": self.credential_id,
            },
        )
        bells.ring(self.runtime.settings.folder, bells.WORK)

    def note(self, **values: Any) -> None:
        """Write columns of the operation's row at once, apart from the step under way. Raises RuntimeError in a step
        that has written to the store before: on SQLite the two would wait for each other."""
        if self.in_step and _writes(db.session()):
            raise RuntimeError("a step that writes to the store must write last")
        self.runtime.note(self.name, **values)

    def seal(self, text: str) -> str:
        """``text`` as it may stand in a plan or in a step's result."""
        return self.runtime.services.sealer.seal(text.encode())

    def unseal(self, sealed: str) -> str:
        """What :meth:`seal` was given."""
        return self.runtime.services.sealer.open(sealed).decode()

    def _recorded(self, name: str, body: Callable[[], Any]) -> Any:
        record = DBOS.run_step({"name": name}, lambda: self._guarded(name, body))
        if "error" in record:
            raise unpack(record["error"])
        return record["value"]

    def _guarded(self, name: str, body: Callable[[], Any]) -> dict[str, Any]:
        """``body`` in an application context, so that each step has a session of its own; its outcome as
        JSON.
        """
        if self.in_step:
            raise RuntimeError(f"the step {name!r} stands inside another step")
        self.in_step = True
        try:
            with self.runtime.app.app_context():
                try:
                    # A resumed run sees the value as JSON kept it; so does the first one.
                    value = json.loads(json.dumps(body(), allow_nan=False))
                    db.session.commit()
                    return {"value": value}
                except GceError as error:
                    db.session.rollback()
                    return {"error": pack(error)}
                except Exception as error:
                    db.session.rollback()
                    log.error(
                        "operation.defect",
                        operation=self.name,
                        step=name,
                        error=type(error).__name__,
                        frames=where(error),
                    )
                    return {"error": pack(internal(self.name))}
        finally:
            self.in_step = False

    def _patiently(self, body: Callable[[], Any], idempotent: bool) -> Any:
        patience = self.runtime.patience
        deadline = time.monotonic() + patience.unavailable
        delay = patience.retry
        while True:
            try:
                return body()
            except (Unavailable, Throttled, OperationalError) as error:
                sent = not isinstance(error, Throttled) and getattr(error, "sent", True)
                if (sent and not idempotent) or time.monotonic() + delay > deadline:
                    raise
                if isinstance(error, OperationalError):
                    db.session.rollback()
            self.runtime.pause(delay)
            delay = min(delay * 2, patience.retry_most)


def _project(stored: dict[str, Any]) -> Project:
    """The project as it was when the operation started; members of another release's Project are left out."""
    known = {field.name for field in fields(Project)}
    return Project(**{name: value for name, value in stored.items() if name in known})


def _writes(session: Session) -> bool:
    """Whether the session holds SQLite's lock. PostgreSQL has none that matters here."""
    if not session.in_transaction():
        return False
    return bool(getattr(session.connection().connection.dbapi_connection, "in_transaction", False))
