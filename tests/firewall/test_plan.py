"""What the groups of a network should say, from rows alone."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.firewall import plan
from gstack.firewall.bodies import completed
from gstack.firewall.definitions import definition_rules
from gstack.firewall.grouprules import SENTINEL
from gstack.firewall.groups import Group
from gstack.firewall.marks import pack
from gstack.firewall.plan import State, wanted
from gstack.translate.tags import plan_own

NETWORK = Group({"id": "net", "name": "gstack:network:default", "account": "tenant"})


def _firewall(name: str, **body: Any) -> Group:
    content = completed({"name": name, **body}, "default")
    tags = plan_own((), pack("firewall", 1, content)).create
    rules = [
        {
            "ruleid": str(rule),
            "protocol": rule.protocol,
            "startport": rule.first,
            "endport": rule.last,
            "cidr": rule.peer,
        }
        for rule in sorted(definition_rules(content))
    ]
    return Group({"id": name, "name": name, "account": "tenant", "tags": tags, "ingressrule": rules})


def _machine(name: str, address: str, *tags: str, own: bool = True) -> tuple[Group, dict[str, Any]]:
    group = f"gstack:instance:default:z-a:{name}:abcde" if own else f"group-{name}"
    row = {"id": f"g-{name}", "name": group, "account": "tenant", "virtualmachineids": [name], "virtualmachinecount": 1}
    worn = [{"key": f"gstack-tag:{tag}", "value": "true"} for tag in tags]
    return Group(row), {"id": name, "state": "Running", "nic": [{"ipaddress": address}], "tags": worn}


TCP = [{"IPProtocol": "tcp", "ports": ["22"]}]


def test_own_groups_without_a_machine_are_left_alone() -> None:
    own, _ = _machine("one", "10.0.0.1", "web")
    state = State([NETWORK, own, _firewall("ssh", allowed=TCP, targetTags=["web"])], [])
    assert set(wanted(state)[0]) == {"net"}


def test_destroyed_machines_count_no_more() -> None:
    own, row = _machine("one", "10.0.0.1", "web")
    other, second = _machine("two", "10.0.0.2")
    firewall = _firewall("in", allowed=TCP, sourceTags=["web"])
    rules, _ = wanted(State([NETWORK, own, other, firewall], [row | {"state": "Destroyed"}, second]))
    assert rules["net"] == frozenset()
    assert "g-one" not in rules


def test_in_a_cloudstack_project_peers_are_named_by_address() -> None:
    own, row = _machine("one", "10.0.0.1", "web")
    groups = [NETWORK, own, _firewall("in", allowed=TCP, sourceTags=["web"])]
    groups = [Group({key: value for key, value in group.row.items() if key != "account"}) for group in groups]
    rules, _ = wanted(State(groups, [row]))
    assert {rule.peer for rule in rules["net"]} == {"10.0.0.1/32"}


def test_disabled_firewalls_do_nothing() -> None:
    rules, _ = wanted(State([NETWORK, _firewall("ssh", allowed=TCP, disabled=True)]))
    assert rules == {"net": frozenset()}


def test_an_instance_that_may_send_everything_says_so_beside_a_strict_network() -> None:
    own, row = _machine("one", "10.0.0.1", "free")
    everything = {"direction": "EGRESS", "destinationRanges": ["0.0.0.0/0", "::/0"]}
    every = [{"IPProtocol": "all"}]
    groups = [
        NETWORK,
        own,
        _firewall("none", denied=every, **everything),
        _firewall("free", allowed=every, priority=1, targetTags=["free"], **everything),
    ]
    rules, _ = wanted(State(groups, [row]))
    assert rules["net"] == {SENTINEL}
    assert {(rule.protocol, rule.peer) for rule in rules["g-one"]} == {("all", "0.0.0.0/0"), ("all", "::/0")}


def test_more_rules_than_a_group_should_have_are_cut_to_the_widest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "MOST_RULES", 10)
    own, row = _machine("one", "10.0.0.1", "bad")
    groups = [NETWORK, own, _firewall("in", allowed=TCP), _firewall("bad", denied=TCP, sourceTags=["bad"], priority=1)]
    rules, lost = wanted(State(groups, [row]))
    assert plan.TOO_MANY_RULES in lost
    assert {int(rule.peer.split("/")[1]) for rule in rules["net"]} == set(range(1, 11))
