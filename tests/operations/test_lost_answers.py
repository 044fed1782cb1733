"""Commands whose answer is lost, jobs that vanish, and what the workflow tables may hold of them."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dbos import DBOS

import gstack.operations
from gstack.cloudstack.commands import command
from gstack.cloudstack.errors import Unavailable, cloudstack_error
from gstack.operations.recovery import RECOVERY
from gstack.operations.run import Run
from gstack.operations.workflow import workflow

SENT: dict[str, Any] = {}


@workflow("op.test.job")
def one_job(run: Run, plan: dict[str, Any]) -> None:
    find = SENT["find"]
    SENT["result"] = run.job("do", plan["command"], {"name": "n"}, find=find and (lambda: find(run)))


@pytest.fixture
def do(stage: Any) -> Any:
    def start(command: str, find: Callable[[Run], Any] | None = None) -> dict[str, Any]:
        SENT.clear()
        SENT["find"] = find
        answer: dict[str, Any] = stage.start("op.test.job", {"command": command})
        assert answer["status"] == "DONE"
        return answer

    return start


def losing(cloud: Any, command: str, answer: Callable[[], Any], *, sent: bool = True) -> list[Any]:
    """Let ``command`` work, and lose its first answer; the list of what was made."""
    made: list[Any] = []

    def act(**_params: Any) -> Any:
        if sent or made:
            made.append(answer())
        else:
            made.append(None)
        if len(made) == 1:
            raise Unavailable(command, "cut", sent=sent)
        return made[-1]

    cloud.answers[command] = act
    return made


def test_a_job_is_waited_for_and_gives_its_object(do: Any, cloud: Any) -> None:
    running = {"virtualmachine": {"state": "Running"}}
    cloud.answers["deployVirtualMachine"] = lambda **_: cloud.job(running, id="vm-1")
    assert "error" not in do("deployVirtualMachine", lambda run: None)
    assert SENT["result"] == {"id": "vm-1", "state": "Running"}
    assert cloud.names() == ["deployVirtualMachine"]


def test_a_command_without_a_job_gives_its_answer(do: Any, cloud: Any) -> None:
    cloud.answers["createSecurityGroup"] = lambda **_: {"securitygroup": {"id": "sg-1"}}
    do("createSecurityGroup", lambda run: None)
    assert SENT["result"] == {"id": "sg-1"}


def test_a_failed_job_fails_the_operation_in_the_words_of_cloudstack(do: Any, cloud: Any) -> None:
    cloud.answers["stopVirtualMachine"] = lambda **_: cloud.failing_job(530, "Unable to stop: host is away")
    answer = do("stopVirtualMachine")
    (error,) = answer["error"]["errors"]
    assert "Unable to stop: host is away" in error["message"]
    assert answer["httpErrorStatusCode"] == 503


def test_what_was_made_before_the_answer_was_lost_is_found_and_not_made_again(do: Any, cloud: Any) -> None:
    made = losing(cloud, "createVolume", lambda: cloud.job({"volume": {"id": "v-1"}}))
    answer = do("createVolume", lambda run: {"id": "v-1"} if made else None)
    assert "error" not in answer
    assert (SENT["result"], len(made)) == ({"id": "v-1"}, 1)


def test_what_is_found_with_its_job_still_under_way_is_waited_for(do: Any, cloud: Any) -> None:
    made = losing(cloud, "deployVirtualMachine", lambda: cloud.job({"virtualmachine": {"state": "Running"}}))
    do("deployVirtualMachine", lambda run: {"id": "vm-1", "jobstatus": 0, **made[0]} if made else None)
    assert (SENT["result"], len(made)) == ({"id": "vm-1", "state": "Running"}, 1)


def test_a_command_that_made_nothing_before_its_answer_was_lost_is_sent_again(do: Any, cloud: Any) -> None:
    looks: list[int] = []
    cloud_made = losing(cloud, "createVolume", lambda: {"id": "v-1", "success": True})
    do("createVolume", lambda run: looks.append(1))
    assert (len(cloud_made), len(looks)) == (2, 1)


def test_nothing_is_looked_for_when_the_command_never_left(do: Any, cloud: Any) -> None:
    looks: list[int] = []
    losing(cloud, "createVolume", lambda: {"id": "v-1", "success": True}, sent=False)
    assert "error" not in do("createVolume", lambda run: looks.append(1))
    assert looks == []


def test_a_deletion_whose_answer_was_lost_is_done_when_nothing_is_left(do: Any, cloud: Any) -> None:
    calls: list[int] = []

    def delete(**_params: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise Unavailable("deleteVolume", "cut", sent=True)
        raise cloudstack_error("deleteVolume", 431, "entity does not exist")

    cloud.answers["deleteVolume"] = delete
    assert "error" not in do("deleteVolume")


def test_a_deletion_of_what_never_was_fails(do: Any, cloud: Any) -> None:
    def delete(**_params: Any) -> None:
        raise cloudstack_error("deleteVolume", 431, "entity does not exist")

    cloud.answers["deleteVolume"] = delete
    assert do("deleteVolume")["httpErrorStatusCode"] == 404


def test_the_object_of_a_vanished_job_is_looked_for(do: Any, cloud: Any) -> None:
    cloud.answers["createVolume"] = lambda **_: {"jobid": "forgotten"}
    do("createVolume", lambda run: {"id": "v-1"})
    assert SENT["result"] == {"id": "v-1"}


def test_a_vanished_job_without_a_trace_fails_the_operation(do: Any, cloud: Any) -> None:
    cloud.answers["stopVirtualMachine"] = lambda **_: {"jobid": "forgotten"}
    (error,) = do("stopVirtualMachine")["error"]["errors"]
    assert "no longer knows the job of stopVirtualMachine" in error["message"]


def test_cloudstack_going_away_while_a_job_runs_is_waited_out(do: Any, cloud: Any, stage: Any) -> None:
    cloud.answers["stopVirtualMachine"] = lambda **_: cloud.job({"virtualmachine": {"state": "Stopped"}})
    looks: list[int] = []
    look = cloud._job

    def away_at_first(jobid: str) -> Any:
        looks.append(1)
        if len(looks) < 3:
            raise Unavailable("queryAsyncJobResult", "cut", sent=True)
        return look(jobid)

    cloud._job = away_at_first
    do("stopVirtualMachine")
    assert SENT["result"] == {"state": "Stopped"}


def test_passwords_of_results_are_sealed_in_the_workflow_tables(do: Any, cloud: Any, stage: Any) -> None:
    made = {"virtualmachine": {"password": "sw0rdfish"}}
    cloud.answers["deployVirtualMachine"] = lambda **_: cloud.job(made)
    answer = do("deployVirtualMachine", lambda run: None)
    assert "sw0rdfish" not in str(DBOS.list_workflow_steps(answer["name"]))
    assert stage.sealer.open(SENT["result"]["password"]) == b"sw0rdfish"


@pytest.mark.parametrize(("name", "find"), [("listZones", None), ("createVolume", None)])
def test_a_command_whose_recovery_is_not_known_is_not_sent(do: Any, cloud: Any, name: str, find: Any) -> None:
    assert do(name, find)["httpErrorStatusCode"] == 500
    assert cloud.sent == []


def test_every_command_of_the_table_is_one_of_cloudstack_that_changes_something() -> None:
    assert [name for name in RECOVERY if command(name).reads] == []


def test_every_command_that_a_workflow_sends_has_a_row() -> None:
    sent = {name for file in Path(gstack.operations.__path__[0]).glob("*.py") for name in _commands(file)}
    assert sorted(sent - RECOVERY.keys()) == []


def test_the_table_has_no_row_for_what_nothing_sends() -> None:
    rooms = (Path(gstack.__path__[0]) / room for room in ("operations", "firewall"))
    files = (file for room in rooms for file in room.glob("*.py") if file.name != "recovery.py")
    text = "\n".join(file.read_text() for file in files)
    either = [name.removesuffix("Ingress").removesuffix("Egress") + "{" for name in RECOVERY]  # of both directions
    assert [name for name, stem in zip(RECOVERY, either, strict=True) if name not in text and stem not in text] == []


def _commands(file: Path) -> list[str]:
    """The literal commands of ``run.job`` and ``run.undo_job`` in a file."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    return [
        call.args[1].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in ("job", "undo_job")
        and len(call.args) > 1
        and isinstance(call.args[1], ast.Constant)
    ]
