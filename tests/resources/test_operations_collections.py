"""zoneOperations, regionOperations and globalOperations as clients see them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import update

from gstack.operations import engine
from gstack.operations.identity import operation_name, operation_number
from gstack.settings import Settings
from gstack.store.db import db
from gstack.store.operations import DONE, RUNNING, Operation

INSERTED = 1_790_000_000_000


@pytest.fixture
def make(gateway: Any) -> Callable[..., str]:
    """Write an operation into the store; its name."""

    def operation(scope: str = "zones/ch-gva-2", status: str = DONE, **more: Any) -> str:
        name = operation_name(INSERTED)
        values: dict[str, Any] = {
            "project": gateway.project,
            "scope": scope,
            "type": "insert",
            "target_link": f"projects/{gateway.project}/{scope}/instances/i",
            "user": "ada@example.com",
            "insert_ms": INSERTED,
        }
        with gateway.app.app_context():
            db.session.add(Operation(id=operation_number(), name=name, status=status, **(values | more)))
            db.session.commit()
        return name

    return operation


SCOPES = ["zones/ch-gva-2", "regions/ch-gva", "global"]


@pytest.mark.parametrize("scope", SCOPES)
def test_an_operation_is_found_in_its_scope_by_name_and_number(gateway: Any, make: Any, scope: str) -> None:
    name = make(scope)
    answer = gateway.get(f"{scope}/operations/{name}")
    assert (answer["name"], answer["status"]) == (name, "DONE")
    assert gateway.get(f"{scope}/operations/{answer['id']}") == answer


def test_links_name_the_host_that_was_asked(gateway: Any, make: Any) -> None:
    name = make()
    answer = gateway.get(f"zones/ch-gva-2/operations/{name}")
    root = f"https://{gateway.host}/compute/v1/projects/{gateway.project}/zones/ch-gva-2"
    assert (answer["zone"], answer["selfLink"]) == (root, f"{root}/operations/{name}")
    assert answer["targetLink"] == f"{root}/instances/i"
    gateway.host = "compute.googleapis.com"
    elsewhere = gateway.get(f"zones/ch-gva-2/operations/{name}")
    assert elsewhere["selfLink"].startswith("https://www.googleapis.com/compute/v1/projects/")


@pytest.mark.parametrize("scope", ["zones/de-fra-1", "zones/nowhere", "global"])
def test_an_operation_is_not_found_outside_of_its_scope(gateway: Any, make: Any, scope: str) -> None:
    name = make()
    message = gateway.refuse("GET", f"{scope}/operations/{name}", status=404)
    path = f"projects/{gateway.project}/{scope}"
    assert message in (f"The resource '{path}/operations/{name}' was not found", f"The resource '{path}' was not found")


def test_an_operation_of_another_project_is_not_found(gateway: Any, make: Any) -> None:
    name = make(project="other")
    gateway.refuse("GET", f"zones/ch-gva-2/operations/{name}", status=404)


def test_a_get_asks_cloudstack_nothing(gateway: Any, make: Any) -> None:
    name = make()
    gateway.get(f"zones/ch-gva-2/operations/{name}")
    gateway.get(f"zones/ch-gva-2/operations/{name}")
    assert gateway.upstream == []


def test_a_list_holds_the_operations_of_its_scope_only(gateway: Any, make: Any) -> None:
    names = {scope: make(scope) for scope in SCOPES}
    for scope in SCOPES:
        assert gateway.names(f"{scope}/operations") == [names[scope]]


@pytest.mark.parametrize("scope", ["zones/nowhere", "regions/nowhere"])
def test_a_list_in_a_place_that_does_not_exist_is_not_found(gateway: Any, scope: str) -> None:
    message = gateway.refuse("GET", f"{scope}/operations", status=404)
    assert message == f"The resource 'projects/{gateway.project}/{scope}' was not found"


def test_a_list_is_filtered_by_what_clients_filter_by(gateway: Any, make: Any) -> None:
    wanted = make(operation_group_id="group-1", type="bulkInsert")
    make()
    assert gateway.names("zones/ch-gva-2/operations", filter='operationGroupId eq ".*group-1.*"') == [wanted]
    assert gateway.names("zones/ch-gva-2/operations", filter="operationType=bulkInsert") == [wanted]


def test_the_newest_come_first_where_that_is_asked_for(gateway: Any, make: Any) -> None:
    old, new = make(insert_ms=INSERTED), make(insert_ms=INSERTED + 5)
    assert gateway.names("zones/ch-gva-2/operations", orderBy="creationTimestamp desc") == [new, old]


def test_the_aggregated_list_has_every_scope_with_its_operations(gateway: Any, make: Any) -> None:
    names = {scope: make(scope) for scope in SCOPES}
    items = gateway.get("aggregated/operations", returnPartialSuccess="True")["items"]
    shown = {scope: part["operations"] for scope, part in items.items() if "operations" in part}
    assert {scope: [one["name"] for one in part] for scope, part in shown.items()} == {
        scope: [name] for scope, name in names.items()
    }


def test_scopes_without_operations_say_so(gateway: Any) -> None:
    items = gateway.get("aggregated/operations")["items"]
    assert {"global", "regions/ch-gva", "zones/ch-gva-2", "zones/de-fra-1"} <= items.keys()
    assert all(part["warning"]["code"] == "NO_RESULTS_ON_PAGE" for part in items.values())


@pytest.mark.parametrize("scope", SCOPES)
def test_wait_answers_at_once_when_the_operation_is_done(gateway: Any, make: Any, scope: str) -> None:
    name = make(scope)
    assert gateway.call("POST", f"{scope}/operations/{name}/wait")["status"] == "DONE"


def test_wait_takes_the_body_that_node_sends(gateway: Any, make: Any) -> None:
    name = make()
    assert gateway.call("POST", f"zones/ch-gva-2/operations/{name}/wait", "")["status"] == "DONE"


def test_wait_ends_when_the_operation_does(gateway: Any, make: Any) -> None:
    name, answers = make(status=RUNNING), []

    def wait() -> None:
        answers.append(gateway.call("POST", f"zones/ch-gva-2/operations/{name}/wait"))

    thread = threading.Thread(target=wait)
    thread.start()
    with gateway.app.app_context():
        db.session.execute(update(Operation).values(status=DONE, progress=100))
        db.session.commit()
    thread.join(60)
    assert answers[0]["status"] == "DONE"


def test_a_failed_operation_says_how_it_failed(gateway: Any, make: Any) -> None:
    error = {
        "error": {"errors": [{"code": "QUOTA_EXCEEDED", "message": "No."}]},
        "httpErrorStatusCode": 403,
        "httpErrorMessage": "FORBIDDEN",
    }
    answer = gateway.get(f"global/operations/{make('global', error=error)}")
    assert {name: answer[name] for name in error} == error


@pytest.mark.parametrize("scope", SCOPES)
def test_an_operation_that_is_done_can_be_deleted(gateway: Any, make: Any, scope: str) -> None:
    name = make(scope)
    response = gateway.client.delete(
        f"/compute/v1/projects/{gateway.project}/{scope}/operations/{name}",
        headers={"Authorization": f"Bearer {gateway.token}"},
        base_url=f"https://{gateway.host}",
    )
    assert response.status_code in (200, 204)
    gateway.refuse("GET", f"{scope}/operations/{name}", status=404)


def test_an_operation_that_runs_cannot_be_deleted(gateway: Any, make: Any) -> None:
    name = make(status=RUNNING)
    assert "is not ready" in gateway.refuse("DELETE", f"zones/ch-gva-2/operations/{name}")


def test_many_waits_at_once_leave_a_get_quick(gateway: Any, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    operations = gateway.app.extensions[engine.EXTENSION]
    few = Settings({**operations.settings, "GSTACK_THREADS": 10, "OPERATION_WAIT_SECONDS": 600.0})
    monkeypatch.setattr(operations, "settings", few)
    name = make(status=RUNNING)
    answers: list[str] = []
    answered = threading.Semaphore(0)

    def wait() -> None:
        answers.append(gateway.call("POST", f"zones/ch-gva-2/operations/{name}/wait")["status"])
        answered.release()

    threads = [threading.Thread(target=wait) for _ in range(30)]
    for thread in threads:
        thread.start()
    assert [answered.acquire(timeout=60) for _ in range(28)] == [True] * 28
    gateway.get(f"zones/ch-gva-2/operations/{name}")
    assert answers == ["RUNNING"] * 28, "the two that have a slot still wait"
    with gateway.app.app_context():
        db.session.execute(update(Operation).values(status=DONE))
        db.session.commit()
    for thread in threads:
        thread.join(60)
    assert answers[28:] == ["DONE"] * 2
