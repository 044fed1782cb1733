"""Workflows from the inside: steps, jobs, warnings, undoing."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
from dbos import DBOS
from sqlalchemy import select

from gstack.cloudstack.errors import Unavailable, cloudstack_error
from gstack.errors import GceError, not_ready
from gstack.operations.failures import OperationFailed
from gstack.operations.run import Run
from gstack.operations.workflow import WORKFLOWS, workflow
from gstack.store import overlay
from gstack.store.db import db
from gstack.store.operations import Operation

SECRET = "correct horse battery staple"


@workflow("op.test.script")
def script(run: Run, plan: dict[str, Any]) -> None:
    """Runs what the test put in its place: DBOS knows functions by name only."""
    SCRIPTS[plan["script"]](run)


SCRIPTS: dict[str, Any] = {}


@pytest.fixture
def play(stage: Any, request: pytest.FixtureRequest) -> Any:
    """Start a function as a workflow; the operation it ends as."""

    def start(function: Any, **more: Any) -> dict[str, Any]:
        SCRIPTS[request.node.name] = function
        answer: dict[str, Any] = stage.start("op.test.script", {"script": request.node.name}, **more)
        assert answer["status"] == "DONE"
        return answer

    yield start
    SCRIPTS.pop(request.node.name, None)


def error_of(answer: dict[str, Any]) -> dict[str, Any]:
    (error,) = answer["error"]["errors"]
    return dict(error)


def steps_of(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(step) for step in DBOS.list_workflow_steps(answer["name"])]


def test_a_workflow_without_steps_ends_as_a_done_operation(play: Any) -> None:
    answer = play(lambda run: None)
    assert (answer["progress"], "error" in answer) == (100, False)


def test_a_name_is_registered_once() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        workflow("op.test.script")(script)
    assert WORKFLOWS["op.test.script"] is script


def test_a_step_gives_its_result_as_json_keeps_it(play: Any) -> None:
    seen: list[Any] = []
    play(lambda run: seen.append(run.step("pair", lambda a, b: {"pair": (a, b)}, 1, 2)))
    assert seen == [{"pair": [1, 2]}]


def test_a_step_that_gives_no_json_fails_the_operation(play: Any) -> None:
    assert error_of(play(lambda run: run.step("set", lambda: {1, 2})))["code"] == "INTERNAL_ERROR"


def test_a_refusal_in_a_step_becomes_the_error_of_the_operation(play: Any) -> None:
    def refuse() -> None:
        raise not_ready("projects/p/zones/z-a/instances/i")

    answer = play(lambda run: run.step("look", refuse))
    assert error_of(answer) == {
        "code": "RESOURCE_NOT_READY",
        "message": "The resource 'projects/p/zones/z-a/instances/i' is not ready",
    }
    assert (answer["httpErrorStatusCode"], answer["httpErrorMessage"]) == (400, "BAD REQUEST")


def test_a_workflow_may_catch_what_a_step_raised_in_the_words_of_cloudstack(play: Any, cloud: Any) -> None:
    caught: list[OperationFailed] = []

    def broken(**_params: Any) -> None:
        raise cloudstack_error("deleteVolume", 431, "entity does not exist")

    cloud.answers["deleteVolume"] = broken

    def body(run: Run) -> None:
        try:
            run.job("delete", "deleteVolume", {"id": "v"})
        except OperationFailed as error:
            caught.append(error)

    assert "error" not in play(body)
    assert (caught[0].kind, caught[0].code, caught[0].command) == ("notFound", 431, "deleteVolume")


@pytest.mark.parametrize("in_a_step", [True, False])
def test_a_defect_fails_the_operation_without_its_words(
    play: Any, in_a_step: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    logged: list[str] = []

    def note(*event: object, **more: object) -> None:
        logged.append(str((event, more)))

    for module in ("run", "runtime"):
        monkeypatch.setattr(f"gstack.operations.{module}.log", SimpleNamespace(error=note, warning=note))

    def defect() -> None:
        raise KeyError(SECRET)

    answer = play(lambda run: run.step("x", defect) if in_a_step else defect())
    assert error_of(answer)["code"] == "INTERNAL_ERROR"
    assert SECRET not in str(answer) + str(logged) + caplog.text + str(steps_of(answer))
    assert "KeyError" in str(logged) and "test_run.py" in str(logged)


def test_what_a_step_writes_to_the_store_is_committed_with_it(play: Any, app: Any) -> None:
    play(lambda run: run.step("remember", overlay.write, "instances", "vm-1", "p", {"a": 1}))
    with app.app_context():
        assert overlay.read("instances", "vm-1") == {"a": 1}


def test_what_a_failed_step_wrote_is_rolled_back(play: Any, app: Any) -> None:
    def write_and_fail() -> None:
        overlay.write("instances", "vm-1", "p", {"a": 1})
        raise GceError("backendError", "No.")

    play(lambda run: run.step("remember", write_and_fail))
    with app.app_context():
        assert overlay.read("instances", "vm-1") == {}


def test_a_step_that_notes_something_after_it_wrote_to_the_store_is_a_defect(play: Any, app: Any) -> None:
    def body(run: Run) -> None:
        def write_and_note() -> None:
            overlay.write("instances", "vm-1", "p", {"a": 1})
            run.progress(50)

        run.step("write", write_and_note)

    assert error_of(play(body))["code"] == "INTERNAL_ERROR"


def test_a_step_that_reads_the_store_may_show_its_progress(play: Any, app: Any) -> None:
    def body(run: Run) -> None:
        run.step("read", lambda: (overlay.read("instances", "vm-1"), run.progress(50)))

    assert "error" not in play(body)


def test_a_step_inside_a_step_is_a_defect(play: Any) -> None:
    answer = play(lambda run: run.step("outer", lambda: run.step("inner", lambda: 1)))
    assert error_of(answer)["code"] == "INTERNAL_ERROR"


def test_cloudstack_is_not_asked_outside_of_a_step(play: Any, cloud: Any) -> None:
    assert error_of(play(lambda run: run.cloud.call("listZones")))["code"] == "INTERNAL_ERROR"
    assert cloud.sent == []


def test_an_idempotent_step_is_called_again_while_cloudstack_is_away(play: Any) -> None:
    calls: list[int] = []

    def flaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise Unavailable("listZones", "cut", sent=True)
        return len(calls)

    assert "error" not in play(lambda run: run.step("look", flaky))
    assert len(calls) == 3


def test_a_step_that_is_not_idempotent_is_not_called_again_once_something_was_sent(play: Any) -> None:
    calls: list[int] = []

    def lost() -> None:
        calls.append(1)
        raise Unavailable("createVolume", "cut", sent=True)

    answer = play(lambda run: run.step("make", lost, idempotent=False))
    assert (answer["httpErrorStatusCode"], len(calls)) == (503, 1)


def test_poll_gives_what_the_look_saw_at_last(play: Any) -> None:
    looks = iter([None, [], {"state": "Running"}])
    seen: list[Any] = []
    play(lambda run: seen.append(run.poll("until it runs", lambda: next(looks), every=0.001)))
    assert seen == [{"state": "Running"}]


def test_poll_gives_up(play: Any) -> None:
    seen: list[Any] = []
    play(lambda run: seen.append(run.poll("for ever", lambda: None, every=0.001, within=0.01)))
    assert seen == [None]


def test_progress_never_goes_back_and_is_seen_while_it_runs(play: Any, stage: Any) -> None:
    seen: list[int] = []

    def body(run: Run) -> None:
        for percent in (30, 10):
            run.progress(percent)
            with stage.app.app_context():
                seen.append(db.session.scalars(select(Operation.progress)).one())

    play(body)
    assert seen == [30, 30]


def test_warnings_and_the_id_of_the_target_stand_in_the_operation(play: Any) -> None:
    def body(run: Run) -> None:
        run.warn("NOT_CRITICAL_ERROR", "One.", {"disk": "d"})
        run.warn("NOT_CRITICAL_ERROR", "Two.")
        run.target_id(2**62)

    answer = play(body)
    assert [warning["message"] for warning in answer["warnings"]] == ["One.", "Two."]
    assert answer["warnings"][0]["data"] == [{"key": "disk", "value": "d"}]
    assert answer["targetId"] == str(2**62)


def test_what_was_made_is_taken_back_latest_first_when_something_fails(play: Any) -> None:
    taken_back: list[str] = []

    def body(run: Run) -> None:
        for name in ("the disk d", "the address a"):
            run.step(f"make {name}", lambda: None)
            run.undo(name, taken_back.append, name)
        raise GceError("resourceNotReady", "There is no room.")

    answer = play(body)
    assert taken_back == ["the address a", "the disk d"]
    assert error_of(answer) == {
        "code": "RESOURCE_NOT_READY",
        "message": "There is no room. Undone: the address a, the disk d.",
    }


def test_what_cannot_be_taken_back_is_named(play: Any, cloud: Any) -> None:
    cloud.answers["deleteVolume"] = lambda **_: cloud.failing_job(530, "Storage is away")

    def body(run: Run) -> None:
        run.undo("the address a", lambda: None)
        run.undo_job("the disk d", "deleteVolume", {"id": "d"})
        raise GceError("resourceNotReady", "There is no room.")

    message = error_of(play(body))["message"]
    assert "Undone: the address a." in message
    assert "Could not be undone: the disk d (Storage is away" in message


def test_a_defect_while_taking_back_does_not_keep_the_rest(play: Any) -> None:
    taken_back: list[str] = []

    def defect(name: str) -> None:
        raise KeyError(name)

    def body(run: Run) -> None:
        run.undo("the disk d", taken_back.append, "d")
        run.undo("the address a", defect, "a")
        raise GceError("resourceNotReady", "There is no room.")

    message = error_of(play(body))["message"]
    assert message.startswith("There is no room. Undone: the disk d. Could not be undone: the address a (Internal")
    assert taken_back == ["d"]


def test_a_compensation_that_could_make_a_second_object_is_a_defect_at_once(play: Any) -> None:
    answer = play(lambda run: run.undo_job("the disk d", "createVolume", {}))
    assert error_of(answer)["code"] == "INTERNAL_ERROR"


def test_what_is_gone_already_counts_as_taken_back(play: Any, cloud: Any) -> None:
    def gone(**_params: Any) -> None:
        raise cloudstack_error("deleteVolume", 431, "entity does not exist")

    cloud.answers["deleteVolume"] = gone

    def body(run: Run) -> None:
        run.undo_job("the disk d", "deleteVolume", {"id": "d"})
        raise GceError("resourceNotReady", "There is no room.")

    assert error_of(play(body))["message"] == "There is no room. Undone: the disk d."


def test_nothing_is_taken_back_from_a_workflow_that_ends_well(play: Any) -> None:
    taken_back: list[str] = []
    play(lambda run: run.undo("the disk d", taken_back.append, "d"))
    assert taken_back == []


def test_secrets_are_sealed_and_opened_again(play: Any) -> None:
    seen: list[Any] = []

    def body(run: Run) -> None:
        sealed = run.step("seal", run.seal, SECRET)
        seen.extend([sealed, run.unseal(sealed)])

    play(body)
    assert SECRET not in seen[0]
    assert seen[1] == SECRET


def test_a_workflow_for_later_runs_after_its_parent_is_done(play: Any) -> None:
    ran = threading.Event()

    def later(run: Run) -> None:
        run.step("note", ran.set)

    SCRIPTS["later"] = lambda run: run.later("op.test.script", {"script": "latest"})
    SCRIPTS["latest"] = later
    name = play(lambda run: run.later("op.test.script", {"script": "later"}))["name"]
    assert ran.wait(30)
    names = {status.workflow_id for status in DBOS.list_workflows(workflow_id_prefix=name)}
    assert len(names) == 3 and all(len(other) < len(name) + 20 for other in names)
