"""Starting operations: what is answered, what is refused, what runs after what."""

from __future__ import annotations

import re
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from dbos import DBOS
from sqlalchemy import select, text, update

from gstack.errors import GceError
from gstack.operations import engine
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.discovery import document
from gstack.store import overlay
from gstack.store.db import db
from gstack.store.operations import Claim, Operation

INSTANCE = "projects/p/zones/z-a/instances/i"
GATES: dict[str, threading.Event] = {}
ORDER: list[str] = []


@workflow("op.test.gate")
def gated(run: Run, plan: dict[str, Any]) -> None:
    """Waits for its gate, so that a test sees it RUNNING."""
    run.step("enter", ORDER.append, f"{plan['gate']} enters")
    run.poll("gate", GATES[plan["gate"]].is_set, every=0.005)
    run.step("leave", ORDER.append, f"{plan['gate']} leaves")
    if plan.get("fails"):
        raise GceError("stockout", "There is no room.")


@pytest.fixture
def gates() -> Iterator[dict[str, threading.Event]]:
    ORDER.clear()
    GATES.update({name: threading.Event() for name in ("a", "b")})
    yield GATES
    for gate in GATES.values():
        gate.set()


@pytest.fixture
def begin(stage: Any, gates: Any) -> Any:
    """Start an operation behind gate ``a`` or ``b``, and take the answer at once."""

    def start(gate: str = "a", *, fails: bool = False, **more: Any) -> dict[str, Any]:
        stage.set(OPERATION_HOLD_SECONDS=0.0)
        answer: dict[str, Any] = stage.start("op.test.gate", {"gate": gate, "fails": fails}, **more)
        return answer

    return start


def count(stage: Any, model: type[Any]) -> int:
    with stage.app.app_context():
        return len(db.session.scalars(select(model)).all())


def test_the_answer_is_an_operation_as_google_writes_it(begin: Any) -> None:
    answer = begin(target_id=42, description="About it.", call=None)
    number = answer.pop("id")
    assert 0 < int(number) < 2**63
    assert re.fullmatch(r"operation-\d{13}-[0-9a-f]{13}-[0-9a-f]{8}-[0-9a-f]{8}", answer["name"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", answer.pop("insertTime"))
    answer.pop("startTime", None)
    assert answer.pop("status") in ("PENDING", "RUNNING")
    zone = "https://gate.test/compute/v1/projects/p/zones/z-a"
    assert answer == {
        "kind": "compute#operation",
        "name": answer["name"],
        "zone": zone,
        "operationType": "insert",
        "description": "About it.",
        "targetLink": f"{zone}/instances/i",
        "targetId": "42",
        "user": "ada@example.com",
        "progress": 0,
        "selfLink": f"{zone}/operations/{answer['name']}",
    }


@pytest.mark.parametrize(
    ("target", "member", "container"),
    [
        ("projects/p/regions/r/addresses/a", "region", "projects/p/regions/r"),
        ("projects/p/global/firewalls/f", None, "projects/p/global"),
        ("projects/p", None, "projects/p/global"),
    ],
)
def test_the_target_says_where_an_operation_belongs(
    stage: Any, target: str, member: str | None, container: str
) -> None:
    answer = stage.start("op.test.nothing.engine", target=target)
    base = "https://gate.test/compute/v1/"
    assert answer["selfLink"] == f"{base}{container}/operations/{answer['name']}"
    assert {name for name in ("zone", "region") if name in answer} == ({member} if member else set())
    assert answer["targetLink"] == base + target


@workflow("op.test.nothing.engine")
def nothing(run: Run, plan: dict[str, Any]) -> None:
    """Ends at once."""


def test_an_answer_has_no_member_that_the_schema_of_an_operation_lacks(stage: Any) -> None:
    answer = stage.start("op.test.nothing.engine", call=stage.call(params={"requestId": str(uuid.uuid4())}))
    assert set(answer) <= set(document().schemas["Operation"]["properties"])


def test_a_workflow_that_no_worker_knows_is_refused(stage: Any) -> None:
    with pytest.raises(LookupError, match=r"op\.test\.unknown"):
        stage.start("op.test.unknown")
    assert count(stage, Operation) == 0


def test_a_claimed_name_is_refused_until_the_operation_is_done(begin: Any, stage: Any, gates: Any) -> None:
    first = begin(claim=INSTANCE)
    with pytest.raises(GceError) as refusal:
        begin("b", claim=INSTANCE)
    assert refusal.value.http == 409
    assert refusal.value.message == f"The resource '{INSTANCE}' already exists"
    assert count(stage, Operation) == 1
    gates["a"].set()
    assert stage.wait(first["name"])["status"] == "DONE"
    assert count(stage, Claim) == 0
    gates["b"].set()
    assert "error" not in stage.wait(begin("b", claim=INSTANCE)["name"])


def test_a_failed_operation_leaves_no_claim(begin: Any, stage: Any, gates: Any) -> None:
    gates["a"].set()
    assert stage.wait(begin(claim=[INSTANCE], fails=True)["name"])["httpErrorStatusCode"] == 503
    assert count(stage, Claim) == 0


def test_of_many_requests_for_one_name_at_once_one_is_started(begin: Any, stage: Any) -> None:
    begin()
    outcomes: list[str] = []

    def race() -> None:
        try:
            outcomes.append(begin("b", claim=INSTANCE)["status"])
        except GceError as error:
            outcomes.append(error.kind)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("alreadyExists") == 7
    assert count(stage, Claim) == 1


def test_operations_on_one_target_run_one_after_the_other(begin: Any, stage: Any, gates: Any) -> None:
    begin("a", type="setTags")
    second = begin("b", type="setTags")
    gates["b"].set()
    stage.set(OPERATION_WAIT_SECONDS=0.15)
    assert stage.wait(second["name"])["status"] == "PENDING"
    gates["a"].set()
    stage.set(OPERATION_WAIT_SECONDS=60.0)
    stage.wait(second["name"])
    assert ORDER == ["a enters", "a leaves", "b enters", "b leaves"]


def test_operations_on_two_targets_run_side_by_side(begin: Any, stage: Any, gates: Any) -> None:
    begin("a")
    other = begin("b", target="projects/p/zones/z-a/instances/other")
    gates["b"].set()
    assert stage.wait(other["name"])["status"] == "DONE"
    assert "a leaves" not in ORDER


def test_operations_of_one_line_run_one_after_the_other_whatever_their_target(
    begin: Any, stage: Any, gates: Any
) -> None:
    begin("a", line="projects/p/global/networks/n")
    second = begin("b", line="projects/p/global/networks/n", target="projects/p/global/firewalls/f")
    gates["b"].set()
    stage.set(OPERATION_WAIT_SECONDS=0.15)
    assert stage.wait(second["name"])["status"] == "PENDING"
    gates["a"].set()
    stage.set(OPERATION_WAIT_SECONDS=60.0)
    assert stage.wait(second["name"])["status"] == "DONE"


def test_of_two_exclusive_operations_the_second_is_refused(begin: Any, stage: Any, gates: Any) -> None:
    first = begin(exclusive=True)
    with pytest.raises(GceError) as refusal:
        begin("b", exclusive=True)
    assert refusal.value.kind == "resourceNotReady"
    gates["a"].set()
    stage.wait(first["name"])
    gates["b"].set()
    assert stage.wait(begin("b", exclusive=True)["name"])["status"] == "DONE"


def test_a_repeated_request_is_answered_with_the_same_operation(begin: Any, stage: Any) -> None:
    params = {"requestId": str(uuid.uuid4())}
    first = begin(call=stage.call(params=params, body={"name": "i"}), claim=INSTANCE)
    second = begin(call=stage.call(params=params, body={"name": "i"}), claim=INSTANCE)
    assert (second["name"], first["clientOperationId"]) == (first["name"], params["requestId"])
    assert count(stage, Operation) == 1


def test_a_request_id_is_good_for_one_request_only(begin: Any, stage: Any) -> None:
    params = {"requestId": str(uuid.uuid4())}
    begin(call=stage.call(params=params, body={"name": "i"}))
    with pytest.raises(GceError, match="was used for another request") as refusal:
        begin(call=stage.call(params=params, body={"name": "other"}))
    assert (refusal.value.http, refusal.value.problems[0].location) == (400, "requestId")


def test_two_users_may_use_the_same_request_id(begin: Any, stage: Any) -> None:
    params = {"requestId": str(uuid.uuid4())}
    names = {begin(call=stage.call(params=params, user=user))["name"] for user in ("ada", "eve")}
    assert len(names) == 2


def test_a_request_id_may_be_used_again_after_a_day(begin: Any, stage: Any) -> None:
    params = {"requestId": str(uuid.uuid4())}
    first = begin(call=stage.call(params=params))
    with stage.app.app_context():
        db.session.execute(update(Operation).values(insert_ms=Operation.insert_ms - 24 * 3600 * 1000 - 1))
        db.session.commit()
    assert begin(call=stage.call(params=params))["name"] != first["name"]


@pytest.mark.parametrize("request_id", ["x", str(uuid.UUID(int=0)), "d558677b2708478ba8d644aef3cfc541"])
def test_a_request_id_that_is_no_uuid_is_refused(begin: Any, stage: Any, request_id: str) -> None:
    with pytest.raises(GceError) as refusal:
        begin(call=stage.call(params={"requestId": request_id}))
    assert (refusal.value.kind, refusal.value.problems[0].location) == ("invalid", "requestId")


def test_what_the_handler_wrote_is_committed_with_the_operation(stage: Any) -> None:
    with stage.app.app_context():
        overlay.write("instances", "vm-1", "p", {"a": 1})
        engine.start(stage.call(), "op.test.nothing.engine", type="insert", target=INSTANCE, plan={})
    with stage.app.app_context():
        assert overlay.read("instances", "vm-1") == {"a": 1}


def test_a_refused_operation_leaves_nothing_in_the_workflow_tables(begin: Any, stage: Any) -> None:
    begin(claim=INSTANCE)
    with pytest.raises(GceError):
        begin("b", claim=INSTANCE)
    assert len(DBOS.list_workflows()) == 1


def test_an_operation_that_is_done_at_once_needs_no_worker(app: Any, make_call: Any) -> None:
    with app.app_context():
        target = "projects/p/global/instanceTemplates/t"
        answer = engine.done(make_call(), type="insert", target=target, target_id=7)
    assert (answer["status"], answer["progress"], answer["targetId"]) == ("DONE", 100, "7")
    assert answer["endTime"] == answer["startTime"] == answer["insertTime"]


def test_of_two_equal_requests_at_once_that_are_done_at_once_one_counts(
    stage: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, target = stage.call(params={"requestId": str(uuid.uuid4())}), "projects/p/global/instanceTemplates/t"
    look, looks = engine.repeated, iter([False, False])  # both look before either is stored
    monkeypatch.setattr(engine, "repeated", lambda asked: look(asked) if next(looks, True) else None)
    with stage.app.app_context():
        first = engine.done(call, type="insert", target=target)
    with stage.app.app_context():
        assert engine.done(call, type="insert", target=target)["name"] == first["name"]


def test_wait_ends_when_its_time_is_up(begin: Any, stage: Any) -> None:
    name = begin()["name"]
    stage.set(OPERATION_WAIT_SECONDS=0.05)
    assert stage.wait(name)["status"] != "DONE"


def test_a_running_operation_is_not_deleted(begin: Any, stage: Any) -> None:
    name = begin()["name"]
    with stage.app.app_context():
        operation = engine.find("p", "zones/z-a", name)
        assert operation is not None
        with pytest.raises(GceError) as refusal:
            engine.forget(operation)
    assert refusal.value.kind == "resourceNotReady"


def test_operations_are_found_by_name_and_by_number_within_their_scope(stage: Any) -> None:
    answer = stage.start("op.test.nothing.engine")
    with stage.app.app_context():
        for name in (answer["name"], answer["id"]):
            found = engine.find("p", "zones/z-a", name)
            assert found is not None and found.name == answer["name"]
            assert engine.find("p", "global", name) is None
            assert engine.find("q", "zones/z-a", name) is None
        assert engine.find("p", "zones/z-a", "9" * 40) is None


def test_workflow_tables_hold_json_only(stage: Any) -> None:
    stage.start("op.test.nothing.engine")
    with stage.app.app_context():
        kinds = db.session.execute(text("SELECT DISTINCT serialization FROM workflow_status")).scalars().all()
    assert kinds == ["portable_json"]


def test_a_part_of_a_batch_waits_no_longer_than_its_batch(stage: Any, gates: Any) -> None:
    stage.set(OPERATION_HOLD_SECONDS=600.0)
    answer = stage.start("op.test.gate", {"gate": "a"}, call=stage.call(deadline=time.monotonic()))
    assert answer["status"] != "DONE"


def test_the_first_who_comes_when_the_process_is_ending_does_not_wait_either(app: Any) -> None:
    engine.let_go(app)
    with app.app_context():
        _, holds = app.extensions[engine.EXTENSION].own(db.engine)
    waiting = threading.Thread(target=holds.until_done, args=("operation-1", 600), daemon=True)
    waiting.start()
    waiting.join(timeout=60)
    assert not waiting.is_alive()
