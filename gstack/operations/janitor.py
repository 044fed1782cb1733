"""What is swept up beside the operations that run: outcomes nobody wrote, records nobody needs, dead hosts'
work.

Apart from the worker because it is also what an operator's command runs by hand. The surprising thing: a
workflow can end without its own code, when its steps no longer fit the code of a newer release or it was
taken up a hundred times in vain; then nobody but the sweep says so to the client.
"""

from __future__ import annotations

from datetime import UTC, datetime

import structlog
from dbos import DBOS
from sqlalchemy import BigInteger, delete, literal_column, select
from sqlalchemy.dialects import postgresql

from gstack.operations.durable import executor_id
from gstack.operations.failures import internal
from gstack.operations.runtime import Runtime, now_ms
from gstack.store.credentials import expired
from gstack.store.db import db
from gstack.store.operations import DONE, Operation, WorkerBeat

log = structlog.get_logger(__name__)

DAY_MS = 24 * 3600 * 1000
CHUNK = 200
# Ended, but not by our code: DBOS's words for its states.
DEAD = ["ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
# A workflow that is only just being written down may not be visible yet.
YOUNG_MS = 60_000
# Without a beat for so long a host's worker is dead. A false alarm runs a step twice, so it is not short.
DEAD_AFTER_MS = 30_000


def sweep(runtime: Runtime) -> list[str]:
    """Give operations whose workflow is dead or gone an outcome; their names."""
    open_operations = runtime.write(
        lambda: [
            (row.name, row.insert_ms)
            for row in db.session.execute(select(Operation.name, Operation.insert_ms).where(Operation.status != DONE))
        ]
    )
    ended: list[str] = []
    for start in range(0, len(open_operations), CHUNK):
        chunk = dict(open_operations[start : start + CHUNK])
        found = DBOS.list_workflows(workflow_ids=list(chunk), load_input=False, load_output=False)
        states = {status.workflow_id: status.status for status in found}
        for name, inserted in chunk.items():
            lost = name not in states and inserted < now_ms() - YOUNG_MS
            if lost or states.get(name) in DEAD:
                log.error("operation.dead", operation=name, state=states.get(name, "gone"))
                runtime.finish(name, internal(name))
                ended.append(name)
    return ended


def purge(runtime: Runtime) -> int:
    """Delete operations and workflows that ended more than OPERATION_RETENTION_DAYS ago, and tokens, codes and counted
    failures that have had their time; how many operations.
    """
    before = now_ms() - runtime.settings["OPERATION_RETENTION_DAYS"] * DAY_MS
    ended = delete(Operation).where(Operation.status == DONE, Operation.end_ms < before)
    gone = runtime.write(lambda: len(db.session.scalars(ended.returning(Operation.id)).all()))
    runtime.write(lambda: [db.session.execute(statement) for statement in expired(now_ms() // 1000)])
    moment = datetime.fromtimestamp(before / 1000, UTC).isoformat()
    while old := DBOS.list_workflows(completed_before=moment, limit=CHUNK, load_input=False, load_output=False):
        DBOS.delete_workflows([status.workflow_id for status in old])
    return int(gone)


def beat(runtime: Runtime) -> list[str]:
    """Say that this host's worker lives, and take over the work of those that have not said so; their names.

    For PostgreSQL only: a SQLite file belongs to one host, where the worker's lock says who lives.
    """
    with runtime.app.app_context():
        engine = db.engine
    if engine.dialect.name != "postgresql":
        return []
    me = executor_id(engine)
    clock = literal_column("(extract(epoch from clock_timestamp()) * 1000)::bigint", BigInteger)
    silent = WorkerBeat.seen_ms + DEAD_AFTER_MS < clock

    def transaction() -> list[str]:
        insert = postgresql.insert(WorkerBeat).values(executor=me, seen_ms=clock)
        db.session.execute(insert.on_conflict_do_update(index_elements=["executor"], set_={"seen_ms": clock}))
        return list(db.session.scalars(delete(WorkerBeat).where(silent).returning(WorkerBeat.executor)))

    dead: list[str] = runtime.write(transaction)
    if dead:
        log.warning("workers.dead", executors=dead)
        # Private, and the reason why dbos is pinned: nothing public takes over another executor's work.
        DBOS._recover_pending_workflows(dead)
    return dead
