"""firewalls: security groups, and what GCE adds to them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Gateway

PATH = "global/firewalls"
SSH: dict[str, Any] = {"name": "ssh", "allowed": [{"IPProtocol": "tcp", "ports": ["22"]}]}


def _group(gateway: Gateway, name: str) -> dict[str, Any]:
    rows = gateway.cloudstack("listSecurityGroups", securitygroupname=name)
    assert len(rows) == 1
    return dict(rows[0])


def _rules(gateway: Gateway, name: str) -> set[tuple[Any, ...]]:
    return {
        (rule["protocol"], rule.get("startport", rule.get("icmptype")), rule.get("endport"), rule.get("cidr"))
        for rule in _group(gateway, name)["ingressrule"]
    }


def _made_elsewhere(gateway: Gateway, name: str, *rules: dict[str, Any], egress: bool = False) -> None:
    group = gateway.cloudstack("createSecurityGroup", name=name, description="Made elsewhere")["securitygroup"]
    for rule in rules:
        command = "authorizeSecurityGroupEgress" if egress else "authorizeSecurityGroupIngress"
        gateway.cloudstack(command, securitygroupid=group["id"], **rule)
    gateway.simulator.settle()


def _from_group(name: str) -> dict[str, Any]:
    return {"usersecuritygrouplist[0].account": "tenant", "usersecuritygrouplist[0].group": name}


def test_a_firewall_is_a_security_group_of_its_name(gateway: Gateway) -> None:
    operation = gateway.run("POST", PATH, SSH)
    assert _rules(gateway, "ssh") == {("tcp", 22, 22, "0.0.0.0/0")}
    firewall = gateway.get(f"{PATH}/ssh")
    assert operation["operationType"] == "insert"
    assert operation["targetId"] == firewall["id"]
    assert operation["targetLink"] == firewall["selfLink"]


def test_gce_defaults_are_filled_in(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    firewall = gateway.get(f"{PATH}/ssh")
    assert {
        "direction": "INGRESS",
        "priority": 1000,
        "disabled": False,
        "logConfig": {"enable": False},
        "sourceRanges": ["0.0.0.0/0"],
        "description": "",
        "network": "https://gateway.test/compute/v1/projects/tenant/global/networks/default",
    }.items() <= firewall.items()
    assert firewall["creationTimestamp"]


WHOLE: dict[str, Any] = {
    "name": "whole",
    "description": "Trümmer & Söhne 😀\n\tlong " + "x" * 900,
    "network": "global/networks/default",
    "priority": 7,
    "direction": "INGRESS",
    "denied": [{"IPProtocol": "tcp", "ports": ["22", "80-90"]}, {"IPProtocol": "icmp"}],
    "sourceRanges": ["10.0.0.0/8", "192.168.1.1"],
    "sourceTags": ["web", "db"],
    "targetTags": ["app"],
    "disabled": True,
    "logConfig": {"enable": True, "metadata": "INCLUDE_ALL_METADATA"},
}


def test_every_member_is_read_back_and_survives_our_database(gateway: Gateway) -> None:
    gateway.run("POST", PATH, WHOLE)
    before = gateway.get(f"{PATH}/whole")
    assert {key: value for key, value in WHOLE.items() if key != "network"}.items() <= before.items()
    gateway.forget_everything()
    assert gateway.get(f"{PATH}/whole") == before


@pytest.mark.parametrize(
    "more",
    [
        {"disabled": True},
        {"targetTags": ["web"]},
        {"targetServiceAccounts": ["a@b.example"]},
        {"direction": "EGRESS"},
        {"allowed": [], "denied": [{"IPProtocol": "tcp"}]},
    ],
)
def test_what_does_not_speak_of_all_instances_opens_no_machine_of_other_tools(
    gateway: Gateway, more: dict[str, Any]
) -> None:
    gateway.run("POST", PATH, SSH | more)
    assert _rules(gateway, "ssh") == set()
    assert gateway.names(PATH) == ["ssh"]


def test_a_firewall_whose_target_is_its_own_name_opens_its_group(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH | {"targetTags": ["ssh"]})
    assert _rules(gateway, "ssh") == {("tcp", 22, 22, "0.0.0.0/0")}
    assert gateway.get(f"{PATH}/ssh")["targetTags"] == ["ssh"]


def test_lists_and_gets_cost_one_call(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    gateway.get(f"{PATH}/ssh")
    assert gateway.upstream == ["listSecurityGroups"]
    assert gateway.names(PATH) == ["ssh"]
    assert gateway.upstream == ["listSecurityGroups"]
    assert gateway.names(PATH, filter="direction eq EGRESS") == []


def test_the_empty_default_group_and_our_own_groups_are_not_listed(gateway: Gateway) -> None:
    gateway.cloudstack("createSecurityGroup", name="gstack:network:default")
    assert gateway.names(PATH) == []
    gateway.refuse("GET", f"{PATH}/default", status=404)


def test_a_name_that_is_taken_is_refused(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "SSH")
    for name in ("ssh", "default"):
        message = gateway.refuse("POST", PATH, SSH | {"name": name}, status=409)
        assert message == f"The resource 'projects/tenant/global/firewalls/{name}' already exists"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"allowed": []}, "resource.allowed"),
        ({"denied": [{"IPProtocol": "tcp"}]}, "resource.denied"),
        ({"priority": 65536}, "resource.priority"),
        ({"sourceRanges": ["10.0.0.0/33"]}, "resource.sourceRanges[0]"),
        ({"sourceRanges": ["10.0.0.0/8", "10.0.0.1/8"]}, "resource.sourceRanges[1]"),
        ({"allowed": [{"IPProtocol": "xyz"}]}, "resource.allowed[0].IPProtocol"),
        ({"allowed": [{"ports": ["1"]}]}, "resource.allowed[0].IPProtocol"),
        ({"allowed": [{"IPProtocol": "icmp", "ports": ["8"]}]}, "resource.allowed[0].ports[0]"),
        ({"allowed": [{"IPProtocol": "tcp", "ports": ["9-1"]}]}, "resource.allowed[0].ports[0]"),
        ({"targetTags": ["Web"]}, "resource.targetTags[0]"),
        ({"direction": "EGRESS", "sourceTags": ["web"]}, "resource.sourceTags"),
        ({"targetTags": ["web"], "sourceServiceAccounts": ["a@b.c"]}, "resource.sourceServiceAccounts"),
        ({"sourceServiceAccounts": ["nobody"]}, "resource.sourceServiceAccounts[0]"),
        ({"params": {"resourceManagerTags": {"a": "b"}}}, "params"),
    ],
)
def test_a_body_that_gce_would_refuse_is_refused_by_field(gateway: Gateway, more: dict[str, Any], field: str) -> None:
    assert field in gateway.refuse("POST", PATH, SSH | more)
    assert gateway.names(PATH) == []


def test_an_unknown_network_is_refused(gateway: Gateway) -> None:
    message = gateway.refuse("POST", PATH, SSH | {"network": "global/networks/mine"}, status=404)
    assert message == "The resource 'projects/tenant/global/networks/mine' was not found"


def test_delete_removes_the_group(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    gateway.run("DELETE", f"{PATH}/ssh")
    assert gateway.cloudstack("listSecurityGroups", securitygroupname="ssh") == []
    gateway.refuse("DELETE", f"{PATH}/ssh", status=404)


def test_a_group_with_machines_of_other_tools_is_in_use(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    gateway.deploy("theirs", securitygroupids=_group(gateway, "ssh")["id"])
    assert "already being used" in gateway.refuse("DELETE", f"{PATH}/ssh")
    assert gateway.names(PATH) == ["ssh"]


def test_a_group_that_others_name_is_in_use(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    _made_elsewhere(gateway, "db", {"protocol": "tcp", "startport": 1, "endport": 1, **_from_group("ssh")})
    error = gateway.fail("DELETE", f"{PATH}/ssh")
    assert error["code"] == "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE"
    assert gateway.get(f"{PATH}/ssh")["allowed"] == SSH["allowed"]


def test_patch_changes_what_it_names(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH | {"description": "old", "sourceTags": ["web"], "sourceRanges": ["10.0.0.0/8"]})
    before = gateway.get(f"{PATH}/ssh")
    gateway.run(
        "PATCH", f"{PATH}/ssh", {"name": "ssh", "priority": 5, "sourceTags": [], "allowed": [{"IPProtocol": "udp"}]}
    )
    after = gateway.get(f"{PATH}/ssh")
    changed = {"priority": 5, "allowed": [{"IPProtocol": "udp"}]}
    assert after == {key: value for key, value in before.items() if key != "sourceTags"} | changed
    assert _rules(gateway, "ssh") == {("udp", 0, 65535, "10.0.0.0/8")}


def test_update_puts_the_body_in_its_place(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH | {"description": "old", "priority": 5})
    gateway.run("PUT", f"{PATH}/ssh", SSH | {"sourceRanges": ["10.0.0.0/8"]})
    firewall = gateway.get(f"{PATH}/ssh")
    assert (firewall["description"], firewall["priority"]) == ("", 1000)
    assert _rules(gateway, "ssh") == {("tcp", 22, 22, "10.0.0.0/8")}


def test_disabling_closes_the_group_and_enabling_opens_it(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    gateway.run("PATCH", f"{PATH}/ssh", {"disabled": True})
    assert _rules(gateway, "ssh") == set()
    gateway.run("PATCH", f"{PATH}/ssh", {"disabled": False})
    assert len(_rules(gateway, "ssh")) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "other"}, "name"),
        ({"direction": "EGRESS"}, "direction"),
        ({"denied": [{"IPProtocol": "all"}]}, "denied"),
    ],
)
def test_what_a_firewall_keeps_for_life_cannot_be_patched(gateway: Gateway, body: dict[str, Any], field: str) -> None:
    gateway.run("POST", PATH, SSH)
    assert f"resource.{field}" in gateway.refuse("PATCH", f"{PATH}/ssh", body)


def test_logging_is_remembered_with_a_warning(gateway: Gateway) -> None:
    operation = gateway.run("POST", PATH, SSH | {"logConfig": {"enable": True}})
    assert "does not log" in operation["warnings"][0]["message"]


def test_a_firewall_is_found_by_its_number(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    firewall = gateway.get(f"{PATH}/ssh")
    assert gateway.get(f"{PATH}/{firewall['id']}") == firewall


def test_a_repeated_request_makes_no_second_group(gateway: Gateway) -> None:
    query = {"requestId": "5f0d2a2e-8c39-4c5c-9f0b-4f2a5b6c7d8e"}
    first = gateway.run("POST", PATH, SSH, **query)
    assert gateway.run("POST", PATH, SSH, **query)["name"] == first["name"]


# --- groups of other tools

HTTP = {"protocol": "tcp", "startport": 80, "endport": 80, "cidrlist": "0.0.0.0/0"}


def test_a_group_of_another_tool_is_a_firewall_for_its_own_machines(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "web", HTTP)
    firewall = gateway.get(f"{PATH}/web")
    assert {
        "allowed": [{"IPProtocol": "tcp", "ports": ["80"]}],
        "sourceRanges": ["0.0.0.0/0"],
        "targetTags": ["web"],
        "description": "Made elsewhere",
        "direction": "INGRESS",
    }.items() <= firewall.items()
    assert gateway.get(PATH)["items"] == [firewall]


def test_sources_that_open_different_things_are_different_firewalls(gateway: Gateway) -> None:
    inside = {"protocol": "all", "cidrlist": "10.0.0.0/8,192.168.0.0/16"}
    _made_elsewhere(gateway, "Web Tier", HTTP, inside)
    found = gateway.get(PATH)["items"]
    assert [item["name"] for item in found] == gateway.names(PATH)
    assert "web-tier" in gateway.names(PATH)
    assert sorted(((item["allowed"], item["sourceRanges"]) for item in found), key=str) == [
        ([{"IPProtocol": "all"}], ["10.0.0.0/8", "192.168.0.0/16"]),
        ([{"IPProtocol": "tcp", "ports": ["80"]}], ["0.0.0.0/0"]),
    ]
    for item in found:
        assert gateway.get(f"{PATH}/{item['name']}") == item


def test_a_source_group_is_a_source_tag(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "web", HTTP)
    source = {"protocol": "icmp", "icmptype": -1, "icmpcode": -1}
    _made_elsewhere(gateway, "db", source | _from_group("web"))
    firewall = gateway.get(f"{PATH}/db")
    assert (firewall["sourceTags"], firewall["allowed"]) == (["web"], [{"IPProtocol": "icmp"}])
    assert "sourceRanges" not in firewall


def test_single_icmp_types_are_named_and_not_widened(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "ping", {"protocol": "icmp", "icmptype": 8, "icmpcode": 0, "cidrlist": "0.0.0.0/0"})
    assert "Only ICMP type 8, code 0." in gateway.get(f"{PATH}/ping")["description"]


def test_egress_rules_of_another_tool_show_what_they_deny(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "out", HTTP, egress=True)
    found = {item["priority"]: item for item in gateway.get(PATH)["items"]}
    assert {item["direction"] for item in found.values()} == {"EGRESS"}
    assert found[1000]["destinationRanges"] == ["0.0.0.0/0"]
    assert found[65534]["denied"] == [{"IPProtocol": "all"}]


def test_deleting_one_of_several_takes_only_its_rules(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "web", HTTP, {"protocol": "all", "cidrlist": "10.0.0.0/8"})
    other = next(name for name in gateway.names(PATH) if name != "web")
    kept = gateway.get(f"{PATH}/web")
    gateway.run("DELETE", f"{PATH}/{other}")
    assert gateway.get(PATH)["items"][0]["allowed"] == kept["allowed"]
    assert gateway.names(PATH) == ["web"]


def test_one_of_several_cannot_be_patched(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "web", HTTP, {"protocol": "all", "cidrlist": "10.0.0.0/8"})
    assert "stands for" in gateway.refuse("PATCH", f"{PATH}/web", {"priority": 1})


def test_patching_a_group_of_another_tool_makes_it_ours(gateway: Gateway) -> None:
    _made_elsewhere(gateway, "web", HTTP)
    gateway.run("PATCH", f"{PATH}/web", {"description": "ours"})
    firewall = gateway.get(f"{PATH}/web")
    assert (firewall["description"], firewall["targetTags"]) == ("ours", ["web"])
    assert _rules(gateway, "web") == {("tcp", 80, 80, "0.0.0.0/0")}


def test_a_rule_that_another_tool_adds_shows_up(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH | {"description": "mine"})
    group = _group(gateway, "ssh")["id"]
    gateway.cloudstack("authorizeSecurityGroupIngress", securitygroupid=group, **HTTP)
    gateway.simulator.settle()
    firewall = gateway.get(f"{PATH}/ssh")
    assert firewall["allowed"] == [{"IPProtocol": "tcp", "ports": ["22", "80"]}]
    assert firewall["description"] == "mine"


def test_the_default_group_is_a_firewall_once_it_has_rules(gateway: Gateway) -> None:
    group = _group(gateway, "default")["id"]
    gateway.cloudstack("authorizeSecurityGroupIngress", securitygroupid=group, **HTTP)
    gateway.simulator.settle()
    assert gateway.names(PATH) == ["default"]


def test_other_accounts_see_nothing_of_it(gateway: Gateway) -> None:
    gateway.run("POST", PATH, SSH)
    assert gateway.as_user("other").names(PATH) == []
