"""Security groups and their rules, as gstack.firewall reads and writes them."""

from __future__ import annotations

import pytest

HERE, THERE, ELSEWHERE = "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"


@pytest.fixture
def group(cloud):
    return cloud.group()


def _authorize(cloud, group, direction="Ingress", run=None, **params):
    chosen = {"protocol": "tcp", "startport": 80, "endport": 80, "cidrlist": [HERE]}
    if "protocol" in params:
        chosen = {"cidrlist": [HERE]}
    if "usersecuritygrouplist" in params:
        del chosen["cidrlist"]
    name = f"authorizeSecurityGroup{direction}"
    return (run or cloud.run)(name, securitygroupid=group["id"], **(chosen | params))


def _rules(cloud, group, direction="ingress"):
    return cloud.one("listSecurityGroups", id=group["id"])[f"{direction}rule"]


def test_a_new_group_has_no_rules_and_nobody_in_it(cloud, group):
    row = cloud.one("listSecurityGroups", id=group["id"])
    assert (row["ingressrule"], row["egressrule"], row["tags"]) == ([], [], [])
    assert (row["virtualmachinecount"], row["virtualmachineids"]) == (0, [])
    assert row["account"]


def test_a_group_keeps_its_description(cloud):
    group = cloud.group(description="What it is for: ü, 1 < 2 & ~*")
    assert cloud.one("listSecurityGroups", id=group["id"])["description"] == "What it is for: ü, 1 < 2 & ~*"


def test_a_groups_name_may_hold_colons_and_spaces(cloud):
    name = cloud.name("a:b c")
    assert cloud.one("listSecurityGroups", securitygroupname=cloud.group(name=name)["name"])["name"] == name


def test_a_groups_name_is_taken_in_any_case(cloud, group):
    error = cloud.refused("createSecurityGroup", name=group["name"].upper())
    assert (error.code, error.kind) == (431, "alreadyExists")


def test_each_cidr_is_a_rule_of_its_own(cloud, group):
    _authorize(cloud, group, cidrlist=[HERE, THERE])
    rules = _rules(cloud, group)
    assert {rule["cidr"] for rule in rules} == {HERE, THERE}
    assert len({rule["ruleid"] for rule in rules}) == 2
    assert [(rule["protocol"], rule["startport"], rule["endport"]) for rule in rules] == [("tcp", 80, 80)] * 2


def test_the_job_yields_only_the_rules_it_added(cloud, group):
    _authorize(cloud, group)
    added = _authorize(cloud, group, cidrlist=[HERE, THERE])
    assert [rule["cidr"] for rule in added["ingressrule"]] == [THERE]
    assert len(_rules(cloud, group)) == 2


def test_a_rule_that_is_there_fails_the_job_with_530(cloud, group):
    _authorize(cloud, group)
    error = _authorize(cloud, group, run=cloud.failed)
    assert (error.code, error.text) == (530, "Failed to authorize security group ingress rule(s)")


def test_a_rule_is_revoked_by_its_id_and_then_unknown(cloud, group):
    _authorize(cloud, group, cidrlist=[HERE, THERE])
    first = next(rule for rule in _rules(cloud, group) if rule["cidr"] == HERE)
    cloud.run("revokeSecurityGroupIngress", id=first["ruleid"])
    assert [rule["cidr"] for rule in _rules(cloud, group)] == [THERE]
    assert cloud.refused("revokeSecurityGroupIngress", id=first["ruleid"]).code == 431


@pytest.mark.parametrize(
    ("asked", "stored"),
    [
        ({"protocol": "all"}, {"protocol": "all", "startport": 0, "endport": 0}),
        ({"protocol": "tcp", "startport": 0, "endport": 65535}, {"protocol": "tcp", "startport": 0, "endport": 65535}),
        ({"protocol": "udp", "startport": 53, "endport": 53}, {"protocol": "udp", "startport": 53, "endport": 53}),
        ({"protocol": "icmp", "icmptype": -1, "icmpcode": -1}, {"protocol": "icmp", "icmptype": -1, "icmpcode": -1}),
        ({"protocol": "icmp", "icmptype": 8, "icmpcode": 0}, {"protocol": "icmp", "icmptype": 8, "icmpcode": 0}),
        ({"protocol": "50"}, {"protocol": "50", "startport": 0, "endport": 0}),
        ({"protocol": "6", "startport": 22, "endport": 22}, {"protocol": "6", "startport": 0, "endport": 0}),
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_a_rule_is_stored_with_its_protocols_members(cloud, group, asked, stored):
    _authorize(cloud, group, **asked)
    [rule] = _rules(cloud, group)
    assert {name: rule.get(name) for name in stored} == stored
    assert ("icmptype" in rule) == (asked["protocol"] == "icmp")


@pytest.mark.parametrize(
    "wrong",
    [
        {"cidrlist": ["192.0.2.1"]},
        {"protocol": "esp"},
        {"protocol": "tcp", "startport": 90, "endport": 80},
        {"protocol": "tcp", "startport": 80},
        {"protocol": "icmp"},
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_a_rule_that_makes_no_sense_fails(cloud, group, wrong):
    assert _authorize(cloud, group, run=cloud.failed, **wrong).code in (431, 530)
    assert _rules(cloud, group) == []


def test_a_cidr_is_kept_as_it_was_sent(cloud, group):
    _authorize(cloud, group, cidrlist=["192.0.2.7/24", "2001:db8::/64"])
    assert {rule["cidr"] for rule in _rules(cloud, group)} == {"192.0.2.7/24", "2001:db8::/64"}


def test_a_rule_for_nobody_keeps_egress_from_being_open(cloud, group):
    _authorize(cloud, group, "Egress", protocol="tcp", startport=1, endport=1, cidrlist=["255.255.255.255/32"])
    [rule] = _rules(cloud, group, "egress")
    assert rule["cidr"] == "255.255.255.255/32"
    cloud.run("revokeSecurityGroupEgress", id=rule["ruleid"])
    assert _rules(cloud, group, "egress") == []


def test_a_peer_group_is_named_and_its_id_is_not_told(cloud, group):
    peer = cloud.group()
    _authorize(cloud, group, usersecuritygrouplist=[{"account": peer["account"], "group": peer["name"]}])
    [rule] = _rules(cloud, group)
    assert (rule["securitygroupname"], rule["account"]) == (peer["name"], peer["account"])
    assert "cidr" not in rule
    assert cloud.refused("deleteSecurityGroup", id=peer["id"]).code == 536
    cloud.call("deleteSecurityGroup", id=group["id"])
    cloud.call("deleteSecurityGroup", id=peer["id"])


def test_a_peer_group_that_is_not_there_is_refused(cloud, group):
    peers = [{"account": group["account"], "group": "gsc-none"}]
    answer = cloud.call("authorizeSecurityGroupIngress", securitygroupid=group["id"], protocol="all",
                        usersecuritygrouplist=peers)  # fmt: skip
    assert cloud.wait(answer).failed


def test_a_group_goes_with_its_rules(cloud, group):
    _authorize(cloud, group)
    assert cloud.call("deleteSecurityGroup", id=group["id"]) == {"success": True}
    assert cloud.refused("listSecurityGroups", id=group["id"]).code == 431
    assert cloud.list("listSecurityGroups", securitygroupname=group["name"]) == []


def test_the_default_group_stays(cloud):
    default = cloud.one("listSecurityGroups", securitygroupname="default")
    assert cloud.refused("deleteSecurityGroup", id=default["id"]).code == 431


def test_rules_of_one_group_may_be_authorized_side_by_side(cloud, group):
    asked = {"securitygroupid": group["id"], "protocol": "tcp", "cidrlist": [ELSEWHERE]}
    calls = [("authorizeSecurityGroupIngress", asked | {"startport": n, "endport": n}) for n in range(100, 106)]
    assert all(cloud.wait(answer).done for answer in cloud.cloud.together(*calls))
    assert sorted(rule["startport"] for rule in _rules(cloud, group)) == list(range(100, 106))
