"""The workflow engine (DBOS Transact) as gstack uses it: one queue, one version, JSON only.

Apart so that its settings stand in one place. The surprising thing: DBOS reads rows that are marked as
pickled with pickle whatever serialiser is set, so whoever writes the database would run code in the
gateway. Both directions of that path are taken out of the process before anything else happens.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import sqlalchemy
import structlog
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions
from dbos._dbos import _get_dbos_instance
from dbos._queue import queue_worker_thread
from dbos._serialization import DefaultSerializer

log = structlog.get_logger(__name__)

APPLICATION = "gstack"
QUEUE = "gstack.operations"
# Never changed: work enqueued under another version waits for a worker of that version, for ever if there
# is none.
VERSION = "1"
SERIALIZER = DBOSPortableJSONSerializer()
# Seconds between two looks at the queue while operations run, and while none does: a look costs some milliseconds of
# CPU. What comes in meanwhile rings a bell.
POLL_SECONDS = 0.1
IDLE_SECONDS = 1.0
# Threads beyond OPERATION_CONCURRENCY for operations that are blocked: those wait, and must not keep
# others from running.
ROOM_FOR_BLOCKED = 240


class PickleRefused(RuntimeError):
    """Something tried to read or write pickled data in the workflow tables."""


def _refuse(*_arguments: Any) -> Any:
    raise PickleRefused("gstack keeps JSON in its workflow tables; pickled rows are never read or written")


def forbid_pickle() -> None:
    """Take pickle out of DBOS, and fail unless it is out."""
    DefaultSerializer.serialize = _refuse  # type: ignore[method-assign, assignment]  # no pickle
    DefaultSerializer.deserialize = _refuse  # type: ignore[method-assign, assignment]  # no pickle
    try:
        DefaultSerializer().deserialize("gASVAQAAAAAAAABOLg==")
    except PickleRefused:
        return
    raise PickleRefused("this version of DBOS reads pickled rows in a way that cannot be closed")


def client(engine: sqlalchemy.Engine) -> DBOSClient:
    """What web workers enqueue with. It never makes or changes the tables: the worker does."""
    forbid_pickle()
    return DBOSClient(
        system_database_engine=engine,
        serializer=SERIALIZER,
        application_name=APPLICATION,
        lazy=True,
        retry_connection_errors=False,
    )


def make_tables(engine: sqlalchemy.Engine) -> None:
    """Make DBOS's tables where they are missing, so that web workers may enqueue before a worker ever ran.

    DBOS offers this to its workers only; the private entry is why its version is pinned."""
    client(engine)._sys_db.run_migrations()


def options(workflow: str, workflow_id: str, line: str) -> EnqueueOptions:
    """Where a workflow is put. Those of one ``line`` run one after the other, in the order of their coming."""
    return {
        "workflow_name": workflow,
        "queue_name": QUEUE,
        "workflow_id": workflow_id,
        "app_version": VERSION,
        "queue_partition_key": line,
    }


def executor_id(engine: sqlalchemy.Engine) -> str:
    """This host's name among the workers of one database; with SQLite there is one host and its name may
    change.
    """
    return "local" if engine.dialect.name == "sqlite" else socket.gethostname()


def launch(
    engine: sqlalchemy.Engine, *, concurrency: int, turns: threading.Event, poll_seconds: float = POLL_SECONDS
) -> None:
    """Make the tables, take up what an earlier worker left, and listen. Workflows are registered before. The queue is
    looked at whenever ``turns`` has been waited for, until it is set, which DBOS does when it ends."""
    forbid_pickle()
    config: DBOSConfig = {
        "name": APPLICATION,
        "system_database_engine": engine,
        "application_version": VERSION,
        "executor_id": executor_id(engine),
        "serializer": SERIALIZER,
        "log_level": "WARNING",
        "use_listen_notify": False,
        "notification_listener_polling_interval_sec": 1.0 if poll_seconds >= POLL_SECONDS else 0.1,
    }
    DBOS(config=config)
    # Our handlers print what DBOS logs; its own would print it a second time, unscrubbed.
    engine_log = logging.getLogger("dbos")
    engine_log.handlers.clear()
    engine_log.propagate = True
    DBOS.listen_queues([])  # to none by itself: its loop could not be woken
    DBOS.launch()
    queue = DBOS.register_queue(
        QUEUE,
        partition_concurrency=1,
        worker_concurrency=concurrency + ROOM_FOR_BLOCKED,
        polling_interval_sec=poll_seconds,
        on_conflict="always_update",
    )
    # Private: the same loop, with an event of ours. DBOS runs and ends the thread.
    dbos = _get_dbos_instance()
    dbos._registry.register_poller(turns, attend, turns, lambda: queue_worker_thread(turns, dbos, queue))


def attend(turns: threading.Event, loop: Callable[[], None]) -> None:
    """Run the ``loop`` over the queue until ``turns`` is set, anew whenever it ends before: as it does where the row of
    the queue is away for a moment, in a database that is being restored."""
    while not turns.is_set():
        try:
            loop()
        except Exception:
            log.exception("operations_worker.queue_left")
        if not turns.is_set():
            time.sleep(IDLE_SECONDS)
