"""Starting operations and waiting for them: what the web workers see of this room.

Apart from what runs them, which is another process (:mod:`gstack.operations.worker`). The surprising thing:
the operation's row, the names it claims and the order to run it are one transaction; there is never one
without the others, and a crash at any moment loses all or nothing of them.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import structlog
from dbos import DBOSClient
from flask import Flask, current_app
from sqlalchemy import ColumnElement, Engine, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from gstack.errors import GceError, already_exists, not_found, not_ready
from gstack.operations import bells, durable
from gstack.operations.holds import POLL_SECONDS, Holds
from gstack.operations.identity import (
    REQUEST_ID_MS,
    operation_name,
    operation_number,
    place,
    request_hash,
    request_key,
    request_uuid,
)
from gstack.operations.runtime import now_ms
from gstack.operations.view import operation_view
from gstack.operations.workflow import WORKFLOWS, load_workflows
from gstack.protocol.call import Call
from gstack.settings import Settings
from gstack.store.db import db, own_session
from gstack.store.operations import DONE, Claim, Operation
from gstack.store.sealing import Sealer
from gstack.translate.caller import Caller

log = structlog.get_logger(__name__)

EXTENSION = "gstack.operations"
# Threads of a web worker that no waiting request may take.
THREADS_FOR_ANSWERS = 8


@dataclass(frozen=True)
class Part:
    """One operation of several that are started together, as :func:`start` wants it."""

    workflow: str
    type: str
    target: str
    plan: dict[str, Any]
    claim: list[str]


class Operations:
    """What one application needs to start operations; a forked process makes its own client and watcher."""

    def __init__(self, settings: Settings, sealer: Sealer | None, poll_seconds: float) -> None:
        self.settings = settings
        self.sealer = sealer
        self._poll_seconds = poll_seconds
        self._owner = 0
        self._client: DBOSClient | None = None
        self._holds: Holds | None = None
        self._making = threading.Lock()
        self._ending = False

    def own(self, engine: Engine) -> tuple[DBOSClient, Holds]:
        """This process's client and holds."""
        with self._making:
            if self._client is None or self._holds is None or self._owner != os.getpid():
                self._owner = os.getpid()
                self._client = durable.client(engine)
                slots = self.settings["GSTACK_THREADS"] - THREADS_FOR_ANSWERS
                done = partial(finished, engine)
                self._holds = Holds(slots, done, self.settings.folder, self._poll_seconds)
                if self._ending:
                    self._holds.close()
            return self._client, self._holds

    def let_go(self) -> None:
        """Answer all requests of this process that wait, and those to come at once: the process is to end."""
        with self._making:
            self._ending = True
            if self._holds is not None and self._owner == os.getpid():
                self._holds.close()

    def close(self) -> None:
        """End the watcher of this process."""
        if self._holds is not None and self._owner == os.getpid():
            self._holds.close()
            self._holds = None


def init_app(
    app: Flask, settings: Settings, sealer: Sealer | None = None, *, poll_seconds: float = POLL_SECONDS
) -> Operations:
    """Make ``app`` able to start operations. Imports all workflows, so that unknown names are refused."""
    durable.forbid_pickle()
    load_workflows()
    operations = Operations(settings, sealer, poll_seconds)
    app.extensions[EXTENSION] = operations
    return operations


def start(
    call: Call,
    workflow: str,
    *,
    type: str,
    target: str,
    plan: dict[str, Any],
    target_id: int | str | None = None,
    claim: str | Iterable[str] = (),
    exclusive: bool = False,
    line: str | None = None,
    description: str | None = None,
    group: str | None = None,
    parts: Sequence[Part] = (),
) -> dict[str, Any]:
    """Start an operation and answer it, held until it is DONE or OPERATION_HOLD_SECONDS have passed.

    ``type`` is GCE's operationType (``insert``, ``delete``, ``setTags`` …); ``target`` the link of what it acts
    on, from ``projects/`` on, of the parent resource for sub-actions. ``plan`` is the workflow's input: JSON,
    without secrets that are not sealed. ``claim`` names links that nobody else may create meanwhile. Operations
    of one ``line`` (by default: on one target) run one after the other, in the order of their coming; with
    ``exclusive`` another ``exclusive`` one on the target is refused instead. ``parts`` are operations of the same
    ``group`` that are started with it: all or none. Commits the request's session, and with it what the handler wrote.

    Raises GceError: ``alreadyExists`` for a claimed name, ``resourceNotReady``, ``invalid`` for
    ``requestId``, ``badRequest`` for a ``requestId`` that was used for another request, ``backendError``
    when the store fails.
    """
    if workflow not in WORKFLOWS:
        raise LookupError(f"{workflow} is no registered workflow")
    again = repeated(call)
    if again is not None:
        return again
    client, _ = _operations().own(db.engine)
    operation = _operation(call, workflow, type, target, target_id, description, group)
    names = [claim] if isinstance(claim, str) else claim
    claims = _claims(operation.name, names, target if exclusive else None)
    work = [(operation, plan, line or target)]
    for part in parts:
        one = _operation(call, part.workflow, part.type, part.target, None, None, group, repeatable=False)
        claims += _claims(one.name, part.claim, None)
        work.insert(-1, (one, part.plan, part.target))
    session = db.session()
    try:
        session.add_all(one for one, _, _ in work)
        session.flush()
        session.add_all(claims)
        session.flush()
        for one, content, queue in work:
            options = durable.options(one.workflow, one.name, queue)
            client.enqueue_in_transaction(session, options, _envelope(call, one, content))
        session.commit()
    except IntegrityError:
        session.rollback()
        again = repeated(call)
        if again is not None:
            return again
        raise _refusal(claims) from None
    except DBAPIError as error:
        session.rollback()
        log.error("operation.not_stored", type=type, error=str(error.orig))
        sentence = "The operation could not be stored. Try again."
        raise GceError("backendError", sentence, retry_after=5) from error
    bells.ring(_operations().settings.folder, bells.WORK)
    return hold(call, operation.name)


def _envelope(call: Call, operation: Operation, plan: dict[str, Any]) -> dict[str, Any]:
    return {
        "plan": plan,
        "target": operation.target_link,
        "project": asdict(_caller(call).project),
        "credential": operation.credential_id,
    }


def sealed(content: Any) -> str:
    """``content`` (JSON) as it may stand in a plan: metadata and user data hold passwords. Only where the application
    has a sealer."""
    sealer = _operations().sealer
    if sealer is None:
        raise LookupError("this application was given nothing to seal secrets with")
    return sealer.seal(json.dumps(content).encode())


def done(
    call: Call,
    *,
    type: str,
    target: str,
    target_id: int | str | None = None,
    description: str | None = None,
) -> dict[str, Any]:
    """An operation that is DONE already, for what only the store holds. Commits what the handler wrote with
    it.
    """
    again = repeated(call)
    if again is not None:
        db.session.rollback()
        return again
    operation = _operation(call, "", type, target, target_id, description, None)
    operation.status, operation.progress = DONE, 100
    operation.start_ms = operation.end_ms = operation.insert_ms
    db.session.add(operation)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        again = repeated(call)
        if again is not None:
            return again
        raise
    return operation_view(operation, call.links)


def repeated(call: Call) -> dict[str, Any] | None:
    """The operation that this very request (``requestId``) started within the last 24 hours, held as at
    first.

    Called before a request is validated, as what it asked for may exist by now. None for a first request;
    GceError where the id is no UUID, or was used for another request.
    """
    request_id = call.params.get("requestId")
    if not request_id:
        return None
    key = request_key(call.project, _caller(call).user, request_id)
    found = db.session.scalars(select(Operation).where(Operation.request_key == key)).first()
    if found is None:
        return None
    if found.insert_ms < now_ms() - REQUEST_ID_MS:
        found.request_key = None
        db.session.commit()
        return None
    if found.request_hash != _hash(call):
        raise GceError(
            "badRequest",
            f"The requestId '{request_id}' was used for another request, whose operation is '{found.name}'.",
            location="requestId",
        )
    return hold(call, found.name)


def hold(call: Call, name: str) -> dict[str, Any]:
    """The operation, after it is DONE or OPERATION_HOLD_SECONDS have passed."""
    return _waited(call, name, _operations().settings["OPERATION_HOLD_SECONDS"])


def let_go(app: Flask) -> None:
    """Let no request of ``app`` wait for its operation any more; which goes on all the same."""
    operations: Operations = app.extensions[EXTENSION]
    operations.let_go()


def wait(call: Call, operation: Operation) -> dict[str, Any]:
    """The operation, after it is DONE or OPERATION_WAIT_SECONDS have passed; at once when no slot is free."""
    if operation.status == DONE:
        return operation_view(operation, call.links)
    return _waited(call, operation.name, _operations().settings["OPERATION_WAIT_SECONDS"])


def find(project: str, scope: str, name: str) -> Operation | None:
    """An operation by name or number."""
    by_number = name.isdigit() and len(name) < 20
    matches: ColumnElement[bool] = Operation.id == int(name) if by_number else Operation.name == name
    query = select(Operation).where(Operation.project == project, Operation.scope == scope, matches)
    return db.session.scalars(query).first()


def forget(operation: Operation) -> None:
    """Delete a DONE operation. GceError ``resourceNotReady`` while it runs."""
    if operation.status != DONE:
        raise not_ready(f"projects/{operation.project}/{operation.scope}/operations/{operation.name}")
    db.session.delete(operation)
    db.session.commit()


def blocked() -> list[Operation]:
    """Operations of all projects that wait for an operator; ``blocked`` says why."""
    query = select(Operation).where(Operation.blocked.is_not(None), Operation.status != DONE)
    return list(db.session.scalars(query.order_by(Operation.insert_ms)))


def by_state() -> dict[str, int]:
    """How many operations of all projects there are: pending, running, blocked, done and failed."""
    kinds = Operation.status, Operation.blocked.is_not(None), Operation.error.is_not(None)
    found = dict.fromkeys(("pending", "running", "blocked", "done", "failed"), 0)
    with own_session() as session:
        rows = session.execute(select(*kinds, func.count()).group_by(*kinds))
        for status, waits, failed, number in rows:
            state = ("failed" if failed else "done") if status == DONE else "blocked" if waits else status.lower()
            found[state] += number
    return found


def finished(engine: Engine, names: Collection[str]) -> set[str]:
    """Which of ``names`` are DONE, or gone."""
    query = select(Operation.name).where(Operation.name.in_(names), Operation.status != DONE)
    with engine.connect() as connection:
        return set(names) - set(connection.scalars(query))


def _operations() -> Operations:
    found: Operations = current_app.extensions[EXTENSION]
    return found


def _waited(call: Call, name: str, seconds: float) -> dict[str, Any]:
    _, holds = _operations().own(db.engine)
    db.session.rollback()  # gives the connection back: a waiting request holds a slot and nothing else
    left = seconds if call.deadline is None else min(seconds, call.deadline - time.monotonic())
    holds.until_done(name, left)
    found = db.session.scalars(
        select(Operation).where(Operation.name == name).execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise not_found(f"projects/{call.project}/global/operations/{name}")
    return operation_view(found, call.links)


def _operation(
    call: Call,
    workflow: str,
    type: str,
    target: str,
    target_id: int | str | None,
    description: str | None,
    group: str | None,
    *,
    repeatable: bool = True,
) -> Operation:
    """The row. ``repeatable``: it is what a second request with the same ``requestId`` is answered with."""
    now = now_ms()
    request_id = call.params.get("requestId") if repeatable else None
    return Operation(
        id=operation_number(),
        name=operation_name(now),
        project=call.project,
        scope=place(target).scope,
        type=type,
        target_link=target,
        user=_caller(call).user,
        insert_ms=now,
        workflow=workflow,
        credential_id=_caller(call).credential_id,
        target_id=None if target_id is None else str(target_id),
        description=description,
        client_operation_id=request_uuid(request_id) if request_id else None,
        operation_group_id=group,
        request_key=request_key(call.project, _caller(call).user, request_id) if request_id else None,
        request_hash=_hash(call) if request_id else None,
    )


def _claims(operation: str, links: Iterable[str], exclusive: str | None) -> list[Claim]:
    wanted = [(link, "name") for link in dict.fromkeys(links)]
    if exclusive is not None:
        wanted.append((exclusive, "exclusive"))
    claims = []
    for link, purpose in wanted:
        at = place(link)
        claims.append(Claim(at.project, at.scope, at.collection, at.name, purpose, operation))
    return claims


def _refusal(claims: list[Claim]) -> GceError:
    """Which claim was refused: the one that is held, or the first where its holder has just ended."""
    held = [claim for claim in claims if _is_held(claim)] or claims
    if not held:
        return GceError("conflict", "The operation met another one. Try again.", retry_after=1)
    claim = held[0]
    link = f"projects/{claim.project}/{claim.scope}/{claim.collection}/{claim.name}"
    return already_exists(link) if claim.purpose == "name" else not_ready(link)


def _is_held(claim: Claim) -> bool:
    key = (claim.project, claim.scope, claim.collection, claim.name, claim.purpose)
    return db.session.get(Claim, key) is not None


def _caller(call: Call) -> Caller:
    caller: Caller = call.caller
    return caller


def _hash(call: Call) -> str:
    return request_hash(call.method.id, dict(call.asked or call.params), call.body)
