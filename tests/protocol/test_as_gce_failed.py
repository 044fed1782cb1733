"""Every error that GCE was recorded to answer, beside ours: for the same request, or the same state of things.

Apart from test_as_gce_answered.py, which compares what succeeds. Compared are code, reason, the sentence and the
members; what differs is listed in ``DIFFERS`` with a reason. The surprising thing: the recordings hold few kinds of
errors, all of which are walked; one that a new recording brings fails here until something of ours is put beside it.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from gstack.protocol.methods import HANDLERS
from tests.mutations import FIREWALL, INSTANCE, MAKERS

RECORDINGS = Path(__file__).parent.parent / "recordings"
PATH = re.compile(r"projects/[^/']+/(?P<place>global|zones/[^/']+|regions/[^/']+)/(?P<collection>\w+)/(?P<name>[^']+)")
STATUS = "ours has `status`, which several commands of gcloud print first; GCE leaves it out of these"
DIFFERS = {"error.status": STATUS}


@lru_cache(maxsize=1)
def recorded() -> list[dict[str, Any]]:
    """Every answer, and every part of one, that has an error."""
    return [
        found
        for name in ("gce_transcripts", "gce_exchanges", "gce_objects")
        for line in gzip.decompress((RECORDINGS / f"{name}.jsonl.gz").read_bytes()).splitlines()
        for found in _failed(json.loads(line))
    ]


def _failed(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("error"), dict):
            yield value
        else:
            value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _failed(entry)


def missing() -> list[str]:
    """Where GCE found nothing, from ``projects/`` on, as ours are called."""
    errors = [one["error"] for one in recorded() if one["error"].get("code") == 404]
    return sorted({_ours(PATH.search(error["message"])) for error in errors})


def _ours(found: re.Match[str] | None) -> str:
    assert found
    place = {"g": "global", "z": "zones/ch-gva-2", "r": "regions/de-fra"}[found["place"][0]]
    return f"projects/tenant/{place}/{found['collection']}/{'family/none' if 'family/' in found['name'] else 'none'}"


def served(gateway: Any, path: str) -> bool:
    """Whether the method that reads what is at ``path`` is."""
    endpoint, _ = gateway.app.url_map.bind("").match(f"/compute/v1/{path}")
    return gateway.app.view_functions[endpoint].args[0] in HANDLERS


@pytest.mark.parametrize("path", missing())
def test_what_is_not_found_is_said_as_gce_says_it(gateway: Any, path: str) -> None:
    theirs = next(
        one["error"] for one in recorded() if one["error"].get("code") == 404 and _ours_of(one["error"]) == path
    )
    if not served(gateway, path):
        gateway.refuse("GET", f"/compute/v1/{path}", status=501)
        return
    ours = gateway.call("GET", f"/compute/v1/{path}", status=404)["error"]
    assert ours.pop("status") == "NOT_FOUND", DIFFERS["error.status"]
    assert ours == json.loads(PATH.sub(path, json.dumps(theirs)))


def _ours_of(error: dict[str, Any]) -> str:
    return _ours(PATH.search(error["message"]))


def _network_in_use(gateway: Any) -> dict[str, Any]:
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    gateway.run("POST", "global/firewalls", FIREWALL | {"name": "fw", "network": "global/networks/net"})
    return dict(gateway.call("DELETE", "global/networks/net", status=None))


def _taken(gateway: Any) -> dict[str, Any]:
    MAKERS["vm"](gateway)
    return dict(gateway.call("POST", "zones/ch-gva-2/instances", INSTANCE | {"name": "vm"}, status=None))


def _running(gateway: Any) -> dict[str, Any]:
    MAKERS["vm"](gateway)
    return dict(
        gateway.call("POST", "zones/ch-gva-2/instances/vm/setMachineType", {"machineType": "small"}, status=None)
    )


# What is put beside each kind of error of GCE's operations, and whether our sentence goes on with a reason.
STATES: dict[str, tuple[Callable[[Any], dict[str, Any]], str]] = {
    "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE": (_network_in_use, ""),
    "RESOURCE_ALREADY_EXISTS": (_taken, ""),
    "RESOURCE_NOT_READY": (_running, "says what the instance has to be first"),
}


def _errors_of_operations() -> dict[str, dict[str, Any]]:
    return {one["error"]["errors"][0]["code"]: one for one in recorded() if "httpErrorStatusCode" in one}


def test_every_kind_of_error_that_was_recorded_is_compared() -> None:
    assert {one["error"].get("code") for one in recorded()} == {404, None}
    assert _errors_of_operations().keys() == STATES.keys()


@pytest.mark.parametrize("code", sorted(STATES))
def test_what_an_operation_fails_with_is_said_as_gce_says_it(gateway: Any, code: str) -> None:
    """What ours finds before an operation begins it says at once, in the same words and with the same status."""
    theirs, (fail, more) = _errors_of_operations()[code], STATES[code]
    ours = fail(gateway)
    [wanted], [found] = theirs["error"]["errors"], ours["error"]["errors"]
    assert found["message"].startswith(_shape(wanted["message"], found["message"]))
    assert bool(more) == (found["message"] != _shape(wanted["message"], found["message"]))
    if gateway.status == 200:
        assert (found.keys(), found["code"]) == (wanted.keys(), code)
        same = ("httpErrorStatusCode", "httpErrorMessage", "status", "progress")
        assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    else:
        words = code.split("_")
        assert found["reason"].lower() in ("".join(words).lower(), "".join(words[1:]).lower())
        assert gateway.status == theirs["httpErrorStatusCode"]


def _shape(theirs: str, ours: str) -> str:
    """GCE's sentence about the resources that ours names."""
    names = iter(re.findall(r"'(projects/[^']+)'", ours))
    return re.sub(r"projects/[^']+", lambda _: next(names), theirs)
