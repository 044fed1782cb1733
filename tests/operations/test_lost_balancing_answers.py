"""Commands of balancers whose answer is lost or that fail: each is carried out once, and nothing half-made stays."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.errors import GceError
from gstack.operations import balancing
from gstack.store import overlay
from tests.conftest import Gateway
from tests.resources.test_backend_services import GROUP, GROUPS, SERVICE, entries, group, rule, seen, service
from tests.resources.test_forwarding_rules import ADDRESSES, INSTANCES, RULES, arriving, fra, held, machine
from tests.waiting import until

__all__ = ["fra"]
MAKING = (
    "associateIpAddress",
    "createTags",
    "createLoadBalancerRule",
    "createFirewallRule",
    "assignToLoadBalancerRule",
)


@pytest.mark.parametrize("command", MAKING)
def test_a_forwarding_rule_is_made_once(fra: Gateway, command: str) -> None:
    one = machine(fra, "one")
    group(fra, "one")
    service(fra)
    fault = fra.simulator.faults.add("lose", command)
    address = rule(fra)["IPAddress"]
    assert fault.hits
    assert arriving(fra, address) == {one}
    assert len(fra.cloudstack("listLoadBalancerRules")) == len(fra.cloudstack("listFirewallRules")) == 1
    assert len(fra.cloudstack("listPublicIpAddresses", issourcenat="false")) == 1


@pytest.mark.parametrize("command", ["deleteLoadBalancerRule", "deleteFirewallRule", "disassociateIpAddress"])
def test_a_forwarding_rule_is_deleted_whole(fra: Gateway, command: str) -> None:
    machine(fra, "one")
    before = held(fra)
    group(fra, "one")
    service(fra)
    rule(fra)
    fault = fra.simulator.faults.add("lose", command)
    fra.run("DELETE", f"{RULES}/rule")
    assert fault.hits
    assert held(fra) == before


@pytest.mark.parametrize("command", MAKING)
def test_a_forwarding_rule_that_cannot_be_made_leaves_nothing(fra: Gateway, command: str) -> None:
    machine(fra, "one")
    before = held(fra)
    group(fra, "one")
    service(fra)
    fault = fra.simulator.faults.add("status", command, times=None)
    fra.fail("POST", RULES, {"name": "rule", "backendService": SERVICE, "ports": ["80"]})
    assert fault.hits
    fra.simulator.faults.clear()
    assert (fra.names(RULES), fra.names(ADDRESSES), held(fra)) == ([], [], before)


@pytest.mark.parametrize("command", ["assignToLoadBalancerRule", "removeFromLoadBalancerRule"])
def test_a_change_of_members_whose_answer_is_lost_is_made_once(fra: Gateway, command: str) -> None:
    machine(fra, "one")
    two = machine(fra, "two")
    group(fra, "one")
    service(fra)
    address = rule(fra)["IPAddress"]
    fault = fra.simulator.faults.add("lose", command)
    fra.run("POST", "zones/de-fra-1/instanceGroups/ig/addInstances", entries("two"))
    fra.run("POST", "zones/de-fra-1/instanceGroups/ig/removeInstances", entries("one"))
    assert (fault.hits, arriving(fra, address)) == (1, {two})


def test_a_change_that_fails_is_taken_back_in_the_store_and_in_cloudstack(fra: Gateway) -> None:
    one = machine(fra, "one")
    machine(fra, "two")
    group(fra, "one")
    service(fra)
    address = rule(fra)["IPAddress"]
    fra.simulator.faults.add("fail-job", "assignToLoadBalancerRule")
    fra.fail("POST", "zones/de-fra-1/instanceGroups/ig/addInstances", entries("two"))
    assert (arriving(fra, address), fra.get("zones/de-fra-1/instanceGroups/ig")["size"]) == ({one}, 1)
    fra.simulator.faults.add("fail-job", "deleteLoadBalancerRule")
    fra.fail("PATCH", SERVICE, {"backends": [], **seen(fra)})
    assert (arriving(fra, address), len(fra.get(SERVICE)["backends"])) == ({one}, 1)


def test_an_instance_is_deleted_though_its_balancer_cannot_follow_until_later(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(balancing, "AGAIN_SECONDS", 0.0)
    machine(fra, "one")
    group(fra, "one")
    service(fra)
    rule(fra)
    fra.simulator.faults.add("fail-job", "deleteLoadBalancerRule", times=3)
    operation = fra.run("DELETE", f"{INSTANCES}/one")
    assert "balancers" in operation["warnings"][0]["message"]
    until(lambda: fra.cloudstack("listLoadBalancerRules") == [], what="the balancer's end")


@pytest.mark.parametrize("again", [False, True])
def test_a_group_that_is_deleted_while_a_change_of_it_fails_is_not_there_again(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    machine(fra, "one")
    group(fra)
    number = fra.get(GROUP)["id"]

    def meanwhile(*_: object) -> list[str]:
        fra.run("DELETE", GROUP)
        if again:
            fra.run("POST", GROUPS, {"name": "ig"})
        raise GceError("backendError", "Not now.")

    monkeypatch.setattr(balancing, "settle", meanwhile)
    fra.fail("POST", f"{GROUP}/addInstances", entries("one"))
    assert fra.names(GROUPS) == ["ig"] * again
    assert not again or (fra.get(GROUP)["size"], fra.get(GROUP)["id"] == number) == (0, False)


def test_what_joins_a_group_while_a_member_of_it_is_deleted_stays(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(fra, "one")
    machine(fra, "two")
    group(fra, "one")
    change = overlay.change

    def meanwhile(*args: Any) -> bool:
        monkeypatch.undo()
        fra.run("POST", f"{GROUP}/addInstances", entries("two"))
        return change(*args)

    monkeypatch.setattr(overlay, "change", meanwhile)
    fra.run("DELETE", f"{INSTANCES}/one")
    assert fra.get(GROUP)["size"] == 1
