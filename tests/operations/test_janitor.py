"""What is swept up: dead workflows, old records, dead hosts."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from dbos import DBOS
from sqlalchemy import select, update

from gstack.operations import janitor
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.store.credentials import FAILURE_WINDOW_SECONDS, FailedAttempt, expired
from gstack.store.db import Model, db
from gstack.store.operations import DONE, Claim, Operation

GATE = threading.Event()
LINK = "projects/p/zones/z-a/instances/i"
DAYS_15 = 15 * janitor.DAY_MS


@workflow("op.test.janitor")
def gated(run: Run, plan: dict[str, Any]) -> None:
    run.poll("gate", GATE.is_set, every=0.005)


@pytest.fixture
def running(stage: Any) -> Any:
    """An operation under way, holding a name."""
    GATE.clear()
    stage.set(OPERATION_HOLD_SECONDS=0.0)
    yield stage.start("op.test.janitor", claim=LINK)["name"]
    GATE.set()


def change(stage: Any, **values: Any) -> None:
    with stage.app.app_context():
        db.session.execute(update(Operation).values(**values))
        db.session.commit()


def operations(stage: Any) -> list[Operation]:
    with stage.app.app_context():
        return list(db.session.scalars(select(Operation)))


def test_an_operation_under_way_is_left_alone(stage: Any, running: str) -> None:
    assert janitor.sweep(stage.worker.runtime) == []


def test_an_operation_whose_workflow_died_fails_and_gives_its_names_back(stage: Any, running: str) -> None:
    DBOS.cancel_workflow(running)
    assert janitor.sweep(stage.worker.runtime) == [running]
    (operation,) = operations(stage)
    assert operation.status == DONE
    assert operation.error is not None and operation.error["httpErrorStatusCode"] == 500
    with stage.app.app_context():
        assert db.session.scalars(select(Claim)).all() == []


def test_an_operation_whose_workflow_is_gone_fails_once_it_is_old_enough(stage: Any, running: str) -> None:
    GATE.set()
    stage.wait(running)
    DBOS.delete_workflows([running])
    change(stage, status="RUNNING")
    assert janitor.sweep(stage.worker.runtime) == []
    change(stage, insert_ms=Operation.insert_ms - janitor.YOUNG_MS - 1)
    assert janitor.sweep(stage.worker.runtime) == [running]


def test_what_ended_long_ago_is_deleted_and_the_rest_stays(
    stage: Any, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert janitor.purge(stage.worker.runtime) == 0
    GATE.set()
    stage.wait(running)
    assert janitor.purge(stage.worker.runtime) == 0
    # The operation is done a moment before DBOS notes that its workflow has ended.
    for status in DBOS.list_workflows():
        DBOS.retrieve_workflow(status.workflow_id).get_result()
    later = janitor.now_ms() + DAYS_15
    monkeypatch.setattr(janitor, "now_ms", lambda: later)
    assert janitor.purge(stage.worker.runtime) == 1
    assert operations(stage) == []
    assert DBOS.list_workflows() == []


def test_what_let_somebody_in_goes_when_its_time_is_over(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = janitor.now_ms() // 1000
    with stage.app.app_context():
        for age, name in ((0, "new"), (FAILURE_WINDOW_SECONDS, "old")):
            db.session.add(FailedAttempt(subject=name, window_start=now - age, count=1))
        db.session.commit()
        janitor.purge(stage.worker.runtime)
        assert [row.subject for row in db.session.scalars(select(FailedAttempt))] == ["new"]


def test_every_kind_of_row_with_an_end_is_swept_away() -> None:
    swept = {statement.table.name for statement in expired(0)}
    ending = {"expires_at", "used_at", "window_start"}
    tables = {name: set(table.columns.keys()) for name, table in Model.metadata.tables.items()}
    kept = {"credential"}  # whose used_at is no end
    assert swept == {name for name, columns in tables.items() if columns & ending} - kept


def test_an_operation_that_still_runs_is_never_deleted_for_its_age(
    stage: Any, running: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = janitor.now_ms() + DAYS_15
    monkeypatch.setattr(janitor, "now_ms", lambda: later)
    assert janitor.purge(stage.worker.runtime) == 0
    assert len(operations(stage)) == 1


def test_a_store_of_one_host_knows_no_other_workers(stage: Any) -> None:
    assert janitor.beat(stage.worker.runtime) == []
