"""Every verb on machines of every state and shape: an answer as GCE gives it, and never one of a server that failed.

Apart from the machines' own tests, which say what each verb does where it does something. The surprising thing: states
that last for a moment only are set from outside, as other tools, or CloudStack's own hosts, bring them about.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.mutations import CHANGES, FINGERPRINT, QUERIES
from tests.resources.test_instances_foreign import SHAPES

INSTANCES = "zones/ch-gva-2/instances"
NOT_SUPPORTED = 501
MAKING = ("instances.insert", "instances.bulkInsert", "instances.delete")
VERBS = [name for name in CHANGES if name.startswith("instances.") and name not in MAKING]
STATES = ["Error", "Migrating", "Shutdown", "Starting", "Stopping", "Unknown"]


def _body(verb: str, name: str, seen: dict[str, Any]) -> Any:
    """What ``CHANGES`` sends, said of this machine and what is seen of it."""
    body = CHANGES[verb][2]
    if not isinstance(body, dict):
        return body
    place = {"instances.setTags": seen.get("tags", {}), "instances.setMetadata": seen.get("metadata", {})}
    proof = place.get(verb, seen)
    current = {member: proof.get(member) for member, value in body.items() if value is FINGERPRINT}
    return body | current | ({"currentName": name} if "currentName" in body else {})


def _everything(gateway: Any, name: str) -> tuple[dict[str, str], dict[str, Any]]:
    """What went wrong, by verb; and the instance afterwards."""
    wrong, path = {}, f"{INSTANCES}/{name}"
    number = gateway.get(path)["id"]  # setName is among the verbs
    path = f"{INSTANCES}/{number}"
    for verb in VERBS:
        method, _, _, _ = CHANGES[verb]
        action = CHANGES[verb][1].partition("/instances/vm")[2]
        body = _body(verb, name, gateway.get(path))
        answer = gateway.call(method, path + action, body, status=None, **QUERIES.get(verb, {}))
        ended = int(answer.get("httpErrorStatusCode", gateway.status))
        if (ended >= 500 and ended != NOT_SUPPORTED) or (gateway.status < 400 and answer["status"] != "DONE"):
            wrong[verb] = str(answer)
    return wrong, gateway.get(path)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_verb_fails_on_a_machine_of_any_shape(gateway: Any, shape: str) -> None:
    make, name, _ = SHAPES[shape]
    make(gateway)
    wrong, after = _everything(gateway, name)
    assert (wrong, after["kind"]) == ({}, "compute#instance")


@pytest.mark.parametrize("state", STATES)
def test_no_verb_fails_on_a_machine_in_any_state(gateway: Any, state: str) -> None:
    gateway.deploy("vm")
    next(one for one in gateway.simulator.world.machine if one.name == "vm").state = state
    wrong, after = _everything(gateway, "vm")
    assert (wrong, after["kind"]) == ({}, "compute#instance")


def test_what_is_on_its_way_to_another_state_is_not_ready_to_be_started(gateway: Any) -> None:
    gateway.deploy("vm")
    next(one for one in gateway.simulator.world.machine if one.name == "vm").state = "Stopping"
    error = gateway.fail("POST", f"{INSTANCES}/vm/start")
    assert (error["code"], error["http"]) == ("RESOURCE_NOT_READY", 400)
