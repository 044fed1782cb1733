"""Workflows of firewalls while CloudStack fails, loses answers, or is changed by others."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.firewall import plan
from tests.conftest import Gateway

PATH = "global/firewalls"
SSH: dict[str, Any] = {"name": "ssh", "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}]}
WRITES = ("createSecurityGroup", "createTags", "authorizeSecurityGroupIngress")


def _group(gateway: Gateway, name: str) -> dict[str, Any] | None:
    return next(iter(gateway.cloudstack("listSecurityGroups", securitygroupname=name)), None)


def _guarding(gateway: Gateway) -> list[dict[str, Any]]:
    """The network's group, as a first instance would have made it; its rules."""
    group = _group(gateway, "gstack:network:default")
    if group is None:
        gateway.cloudstack("createSecurityGroup", name="gstack:network:default")
        return []
    return list(group["ingressrule"])


@pytest.mark.parametrize("kind", ["lose", "cut"])
@pytest.mark.parametrize("command", WRITES)
def test_a_lost_answer_makes_nothing_twice(gateway: Gateway, command: str, kind: str) -> None:
    gateway.simulator.faults.add(kind, command)
    gateway.run("POST", PATH, SSH)
    group = _group(gateway, "ssh")
    assert group is not None
    assert len(group["ingressrule"]) == 1
    assert gateway.get(f"{PATH}/ssh")["allowed"] == SSH["allowed"]


@pytest.mark.parametrize("command", ["deleteSecurityGroup", "listSecurityGroups"])
def test_a_delete_whose_answers_are_lost_ends_well(gateway: Gateway, command: str) -> None:
    gateway.run("POST", PATH, SSH)
    gateway.simulator.faults.add("lose", command, after=1 if command.startswith("list") else 0)
    gateway.run("DELETE", f"{PATH}/ssh")
    assert _group(gateway, "ssh") is None


@pytest.mark.parametrize("command", ["createTags", "authorizeSecurityGroupIngress"])
def test_a_firewall_that_cannot_be_finished_leaves_no_group(gateway: Gateway, command: str) -> None:
    gateway.simulator.faults.add("fail-job", command, times=None, code=530, text="The host is away")
    error = gateway.fail("POST", PATH, SSH)
    assert "The host is away" in error["message"]
    assert "Undone: the security group" in error["message"]
    assert _group(gateway, "ssh") is None
    assert gateway.names(PATH) == []
    gateway.simulator.faults.clear()
    gateway.run("POST", PATH, SSH)


def test_a_firewall_whose_effect_fails_is_taken_back_from_the_instances(gateway: Gateway) -> None:
    _guarding(gateway)
    # The definition's own rule goes well, the one in the network's group does not.
    gateway.simulator.faults.add("fail-job", "authorizeSecurityGroupIngress", after=1, times=None, text="No more rules")
    assert "No more rules" in gateway.fail("POST", PATH, SSH)["message"]
    assert _group(gateway, "ssh") is None
    assert _guarding(gateway) == []


def test_a_change_that_fails_leaves_the_firewall_as_it_was(gateway: Gateway) -> None:
    _guarding(gateway)
    gateway.run("POST", PATH, SSH)
    before = gateway.get(f"{PATH}/ssh")
    gateway.simulator.faults.add("fail-job", "authorizeSecurityGroupIngress", after=1, times=2, text="No more rules")
    gateway.fail("PATCH", f"{PATH}/ssh", {"allowed": [{"IPProtocol": "udp"}], "description": "new"})
    assert gateway.get(f"{PATH}/ssh") == before
    assert [rule["protocol"] for rule in _guarding(gateway)] == ["tcp"]


def test_a_change_replaces_all_marks_of_the_old_firewall(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH | {"description": "x" * 1000})
    gateway.run("PATCH", f"{PATH}/ssh", {"description": "short"})
    group = _group(gateway, "ssh")
    assert group is not None
    assert {tag["key"].split(".")[1] for tag in group["tags"]} == {"2"}


def test_what_cloudstack_cannot_say_is_a_warning(gateway: Gateway) -> None:
    _guarding(gateway)
    operation = gateway.run("POST", PATH, {"name": "sctp", "allowed": [{"IPProtocol": "sctp", "ports": ["5000"]}]})
    assert "protocol 132" in operation["warnings"][0]["message"]
    assert _guarding(gateway) == []


def test_the_groups_of_instances_follow_insert_change_and_delete(gateway: Gateway) -> None:
    _guarding(gateway)
    gateway.run("POST", PATH, SSH)
    assert [rule["startport"] for rule in _guarding(gateway)] == [22]
    gateway.run("PATCH", f"{PATH}/ssh", {"allowed": [{"IPProtocol": "tcp", "ports": ["23"]}]})
    assert [rule["startport"] for rule in _guarding(gateway)] == [23]
    gateway.run("DELETE", f"{PATH}/ssh")
    assert _guarding(gateway) == []


def test_a_group_that_a_broken_insert_left_is_taken_up_by_the_next(gateway: Gateway) -> None:
    gateway.cloudstack("createSecurityGroup", name="ssh", description="Firewall of gstack")
    assert gateway.names(PATH) == []
    gateway.run("POST", PATH, SSH)
    assert gateway.names(PATH) == ["ssh"]


def test_a_machine_that_joins_meanwhile_makes_the_deletion_fail_as_in_use(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway.run("POST", PATH, SSH)
    group = _group(gateway, "ssh")
    assert group is not None
    gateway.deploy("theirs", securitygroupids=group["id"])
    monkeypatch.setattr("gstack.firewall.groups.Group.used", False)
    error = gateway.fail("DELETE", f"{PATH}/ssh")
    assert error["code"] == "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"
    assert error["message"].startswith("The firewall resource 'projects/tenant/global/firewalls/ssh'")
    assert gateway.names(PATH) == ["ssh"]


def test_an_instance_obeys_the_firewalls_of_its_tags_until_it_is_deleted(gateway: Gateway) -> None:
    disk = {"boot": True, "initializeParams": {"sourceImage": "projects/debian-cloud/global/images/family/debian-12"}}
    body = {
        "name": "web-1",
        "machineType": "zones/{zone}/machineTypes/e2-small".replace("{zone}", gateway.zone),
        "tags": {"items": ["web"]},
        "disks": [disk | {"autoDelete": True}],
        "networkInterfaces": [{"network": "global/networks/default"}],
    }
    gateway.run("POST", "zones/{zone}/instances", body)
    gateway.run("POST", PATH, SSH | {"targetTags": ["web"]})
    own = [group for group in gateway.cloudstack("listSecurityGroups") if ":web-1:" in group["name"]]
    assert [rule["startport"] for group in own for rule in group["ingressrule"]] == [22]
    gateway.run("DELETE", "zones/{zone}/instances/web-1")
    gateway.run("DELETE", f"{PATH}/ssh")
    assert gateway.names(PATH) == []


def test_a_firewall_is_refused_for_its_own_rules_and_not_for_those_of_others(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    _guarding(gateway)
    ranges = [f"{number}.0.0.0/8" for number in range(1, 10, 2)]
    monkeypatch.setattr(plan, "MOST_RULES", 3)
    assert gateway.fail("POST", PATH, {**SSH, "sourceRanges": ranges})["code"] == "QUOTA_EXCEEDED"
    assert gateway.names(PATH) == []
    monkeypatch.setattr(plan, "MOST_RULES", 100)
    gateway.run("POST", PATH, {**SSH, "sourceRanges": ranges})
    monkeypatch.setattr(plan, "MOST_RULES", 3)  # as if instances had come since, which firewalls let in one by one
    denial = {
        "name": "no",
        "denied": [{"IPProtocol": "tcp", "ports": ["22"]}],
        "priority": 1,
        "sourceRanges": ranges[:1],
    }
    operation = gateway.run("POST", PATH, denial)
    assert "stay closed" in operation["warnings"][0]["message"]
    assert {rule["cidr"] for rule in _guarding(gateway)} == set(ranges[1:4])
