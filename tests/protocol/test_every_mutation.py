"""What holds for every mutation that is served: repeated, raced by its twin, or with a fingerprint that is too old.

The mutations are listed in ``tests/mutations.py``.
"""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from gstack.protocol.discovery import document
from tests.mutations import CHANGES, FINGERPRINT, FIREWALL, MAKERS, QUERIES


def _ready(gateway: Any, name: str) -> tuple[str, str, Any, dict[str, str]]:
    """The change, after what it needs was made: verb, path, body, query."""
    verb, path, body, needs = CHANGES[name]
    for need in needs:
        MAKERS[need](gateway)
    return verb, path, _current(gateway, path, body), QUERIES.get(name, {})


def _changed(path: str) -> str:
    """What a request to ``path`` changes."""
    return path.rpartition("/")[0] if path.rsplit("/", 1)[-1].startswith(("set", "update")) else path


def _current(gateway: Any, path: str, body: Any, number: int = 1) -> Any:
    """The body with the fingerprint that reading gives now, and with the ``number``th new content."""
    member = next((name for name, value in (body or {}).items() if value is FINGERPRINT), None)
    if member is None:
        return body
    read = gateway.get(_changed(path))
    content: dict[str, Any] = {"labels": {"a": f"v{number}"}}
    if path.endswith("Tags"):
        read, content = read["tags"], {"items": ["default", f"t{number}"]}
    elif path.endswith("etadata"):
        read = read["commonInstanceMetadata" if path.startswith("set") else "metadata"]
        content = {"items": [{"key": "k", "value": f"v{number}"}]}
    elif path.endswith("Interface"):
        read, content = read["networkInterfaces"][0], {"aliasIpRanges": [{"ipCidrRange": f"10.1.0.5{number}/32"}]}
    elif path.endswith("NamedPorts"):
        content = {"namedPorts": [{"name": "http", "port": 80 + number}]}
    elif "/backendServices/" in path:
        content = {"timeoutSec": 8 + number}
    elif "labelFingerprint" not in body and "labels" not in body:
        content = {}
    return body | content | {member: read[member]}


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_a_repeated_request_is_answered_with_its_first_operation(gateway, name) -> None:
    verb, path, body, query = _ready(gateway, name)
    if "requestId" not in document().methods[f"compute.{name}"].parameters:
        assert gateway.run(verb, path, body, **query)["status"] == "DONE"  # Google's own document knows none here
        return
    request_id = str(uuid.uuid4())
    first = gateway.run(verb, path, body, **query, requestId=request_id)
    again = gateway.run(verb, path, body, **query, requestId=request_id)
    assert again["name"] == first["name"]
    message = gateway.refuse("POST", "global/firewalls", FIREWALL | {"name": "other"}, requestId=request_id)
    assert (request_id in message, first["name"] in message) == (True, True)


BY_NAME = sorted(name for name, change in CHANGES.items() if change[0] != "POST" and name not in QUERIES)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_repeated_request_by_number_is_answered_with_its_first_operation(gateway, name) -> None:
    verb, path, body, query = _ready(gateway, name)
    path = f"{path.rpartition('/')[0]}/{gateway.get(path)['id']}"
    request_id = str(uuid.uuid4())
    first = gateway.run(verb, path, body, **query, requestId=request_id)
    assert gateway.run(verb, path, body, **query, requestId=request_id)["name"] == first["name"]


INSERTS = sorted(name for name in CHANGES if name.endswith((".insert", ".createSnapshot")))


def _at_once(gateway: Any, requests: list[tuple[str, str, Any]], query: dict[str, str]) -> list[tuple[int, str]]:
    """The requests at the same moment; of each the status it or its operation ended with, and what was said."""
    together = Barrier(len(requests))

    def send(request: tuple[str, str, Any]) -> tuple[int, str]:
        mine = gateway.as_user("tenant")
        together.wait()
        answer = mine.call(*request, status=None, **query)
        failed = mine.status == 200 and "error" in answer
        return answer["httpErrorStatusCode"] if failed else mine.status, str(answer.get("error"))

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(send, requests))


@pytest.mark.parametrize("name", INSERTS)
def test_of_two_equal_inserts_at_once_one_is_made_and_one_is_a_409(gateway, name) -> None:
    verb, path, body, query = _ready(gateway, name)
    answers = _at_once(gateway, [(verb, path, body)] * 2, query)
    assert sorted(status for status, _ in answers) == [200, 409], answers
    collection = "global/snapshots" if name.endswith("createSnapshot") else path
    assert gateway.names(collection).count(body["name"]) == 1


# Nothing of a subnetwork can change, so no fingerprint of it can be too old.
PRINTED = sorted(
    name
    for name, (_, _, body, _) in CHANGES.items()
    if FINGERPRINT in (body or {}).values() and name != "subnetworks.patch"
)


@pytest.mark.parametrize("name", PRINTED)
def test_of_two_writers_with_one_fingerprint_one_wins_and_the_other_is_a_412(gateway, name) -> None:
    verb, path, first, query = _ready(gateway, name)
    second = _current(gateway, path, CHANGES[name][2], number=2)
    answers = sorted(_at_once(gateway, [(verb, path, first), (verb, path, second)], query))
    assert [status for status, _ in answers] == [200, 412], answers
    # Found before the operation or in it: the same kind, in the words of each.
    assert "'reason': 'conditionNotMet'" in answers[1][1] or "'code': 'CONDITION_NOT_MET'" in answers[1][1]


@pytest.mark.parametrize("name", PRINTED)
def test_a_fingerprint_that_is_too_old_is_a_412_that_changes_nothing(gateway, name) -> None:
    verb, path, body, query = _ready(gateway, name)
    gateway.run(verb, path, body, **query)
    after = gateway.get(_changed(path))
    gateway.refuse(verb, path, body, status=412, **query)
    assert gateway.get(_changed(path)) == after


@pytest.mark.parametrize("name", PRINTED)
def test_a_fingerprint_changes_exactly_when_the_content_does(gateway, name) -> None:
    verb, path, body, query = _ready(gateway, name)
    member = next(member for member, value in CHANGES[name][2].items() if value is FINGERPRINT)
    seen = []
    for number in (1, 2, 1):
        gateway.run(verb, path, _current(gateway, path, CHANGES[name][2], number), **query)
        seen.append(_current(gateway, path, CHANGES[name][2])[member])
    assert body[member] not in seen
    assert (seen[0] == seen[2], seen[0] == seen[1]) == (True, False)
