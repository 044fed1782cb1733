"""VPCs: their addresses, tiers, access lists and routes. See gstack.firewall.aclitems."""

from __future__ import annotations

import pytest

from gstack.cloudstack.errors import CloudStackError

HERE = "192.0.2.0/24"


@pytest.fixture(scope="module")
def vpc(subject):
    """A VPC that the tests share; each takes its tiers and lists away again."""
    before = len(subject.made)
    yield subject.vpc()
    subject.remove(before)


@pytest.fixture
def acl(cloud, vpc):
    """An empty access list; what it holds goes with it."""
    key = cloud.made_id("createNetworkACLList", vpcid=vpc["id"], name=cloud.name("acl"))
    yield key
    cloud.wait(cloud.call("deleteNetworkACLList", id=key))


def _item(cloud, acl, run=None, **params):
    chosen = {"aclid": acl, "protocol": "tcp", "startport": 80, "endport": 80, "cidrlist": [HERE]}
    if params.get("protocol", "tcp") not in ("tcp", "udp"):
        chosen = {"aclid": acl, "cidrlist": [HERE]}
    return (run or cloud.made_id)("createNetworkACL", **(chosen | params))


def _default(cloud, name):
    return next(row for row in cloud.list("listNetworkACLLists", name=name) if "vpcid" not in row)


def test_a_vpc_has_an_address_for_source_nat_from_the_start(cloud, vpc):
    row = cloud.one("listVPCs", id=vpc["id"])
    assert (row["state"], row["cidr"], row["zoneid"]) == ("Enabled", "10.77.0.0/16", cloud.routed["id"])
    [address] = cloud.list("listPublicIpAddresses", vpcid=vpc["id"])
    assert (address["issourcenat"], address["vpcid"]) == (True, vpc["id"])


def test_a_tier_is_a_network_of_its_vpc_and_lies_in_its_range(cloud, vpc):
    row = cloud.one("listNetworks", id=cloud.tier(vpc, 3)["id"])
    assert (row["vpcid"], row["cidr"], row["type"]) == (vpc["id"], "10.77.3.0/24", "Isolated")
    asked = {"gateway": "10.78.0.1", "vpcid": vpc["id"], "netmask": "255.255.255.0", "zoneid": cloud.routed["id"]}
    offering = row["networkofferingid"]
    error = cloud.refused("createNetwork", name=cloud.name("net"), networkofferingid=offering, **asked)
    assert error.code in (431, 530)


def test_tiers_do_not_overlap(cloud, vpc):
    row = cloud.tier(vpc, 4)
    ends = {"gateway": "10.77.4.1", "netmask": "255.255.255.128", "vpcid": vpc["id"]}
    asked = {"name": cloud.name("net"), "networkofferingid": row["networkofferingid"], "zoneid": row["zoneid"]}
    assert cloud.refused("createNetwork", **asked, **ends).code in (431, 530)


def test_a_vpc_with_tiers_is_not_deleted(cloud, vpc):
    cloud.tier(vpc, 5)
    assert cloud.failed("deleteVPC", id=vpc["id"]).code == 431


def test_a_tier_takes_its_list_with_it_and_gets_another(cloud, vpc, acl):
    tier = cloud.tier(vpc, 6, aclid=acl)
    assert cloud.one("listNetworks", id=tier["id"])["aclid"] == acl
    assert cloud.failed("deleteNetworkACLList", id=acl).code == 530
    allow = _default(cloud, "default_allow")["id"]
    cloud.run("replaceNetworkACLList", networkid=tier["id"], aclid=allow)
    assert cloud.one("listNetworks", id=tier["id"])["aclid"] == allow


def test_two_lists_serve_every_vpc_and_are_nobodys_to_change(cloud):
    for name in ("default_allow", "default_deny"):
        key = _default(cloud, name)["id"]
        assert _item(cloud, key, run=cloud.refused).code == 431
        assert cloud.failed("deleteNetworkACLList", id=key).code == 431
        assert cloud.failed("updateNetworkACLList", id=key, name="mine").code == 530
        rows = cloud.list("listNetworkACLs", aclid=key)
        action = name.removeprefix("default_").capitalize()
        assert {(row["protocol"], row["cidrlist"], row["action"]) for row in rows} == {("all", "0.0.0.0/0", action)}
        assert {row["traffictype"] for row in rows} == {"Ingress", "Egress"}
        for row in rows:
            assert cloud.failed("deleteNetworkACL", id=row["id"]).code == 431
            assert cloud.failed("updateNetworkACLItem", id=row["id"], action="deny").code == 431


def test_an_item_says_what_passes_and_ports_are_text(cloud, acl):
    key = _item(cloud, acl, number=7, action="Deny", traffictype="Egress", reason="no web", endport=90)
    row = cloud.one("listNetworkACLs", id=key)
    assert (row["number"], row["action"], row["traffictype"], row["state"]) == (7, "Deny", "Egress", "Active")
    assert (row["protocol"], row["startport"], row["endport"]) == ("tcp", "80", "90")
    assert (row["cidrlist"], row["aclid"], row["reason"]) == (HERE, acl, "no web")


def test_items_are_numbered_on_and_numbers_are_unique(cloud, acl):
    _item(cloud, acl, number=7)
    row = cloud.one("listNetworkACLs", id=_item(cloud, acl))
    assert (row["number"], row["action"], row["traffictype"]) == (8, "Allow", "Ingress")
    assert _item(cloud, acl, run=cloud.refused, number=7).code == 431


def test_an_item_without_an_end_is_for_one_port_and_without_ranges_for_all_or_none(cloud, acl):
    asked = {"aclid": acl, "protocol": "tcp"}
    row = cloud.one("listNetworkACLs", id=cloud.made_id("createNetworkACL", **asked, startport=0))
    assert (row["startport"], row["endport"], row["cidrlist"]) == ("0", "0", "0.0.0.0/0,::/0")
    assert cloud.one("listNetworkACLs", id=cloud.made_id("createNetworkACL", **asked, cidrlist=""))["cidrlist"] == ""
    assert cloud.refused("createNetworkACL", **asked, endport=5).code == 530


def test_an_item_for_everything_has_no_ports(cloud, acl):
    row = cloud.one("listNetworkACLs", id=_item(cloud, acl, protocol="all"))
    assert row["protocol"] == "all"
    assert "startport" not in row


def test_a_protocol_is_told_in_the_case_it_was_sent_in(cloud, acl):
    key = _item(cloud, acl, protocol="ALL", traffictype="EGRESS", action="DENY")
    item = cloud.one("listNetworkACLs", id=key)
    assert (item["protocol"], item["traffictype"], item["action"]) == ("ALL", "Egress", "Deny")
    assert [row["id"] for row in cloud.list("listNetworkACLs", aclid=acl, protocol="all")] == [key]


def test_an_item_is_changed_in_part_and_deleted(cloud, acl):
    key = _item(cloud, acl, number=7)
    cloud.run("updateNetworkACLItem", id=key, action="Deny", partialupgrade=True)
    row = cloud.one("listNetworkACLs", id=key)
    assert (row["action"], row["number"], row["cidrlist"], row["startport"]) == ("Deny", 7, HERE, "80")
    cloud.run("deleteNetworkACL", id=key)
    assert cloud.list("listNetworkACLs", aclid=acl) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"protocol": "esp"},
        {"action": "perhaps"},
        {"traffictype": "sideways"},
        {"number": 0},
        {"startport": 9, "endport": 8},
        {"protocol": "all", "startport": 1, "endport": 1},
    ],
    ids=lambda value: "-".join(map(str, value.values())),
)
def test_an_item_that_makes_no_sense_is_refused_at_once(cloud, acl, wrong):
    assert _item(cloud, acl, run=cloud.refused, **wrong).code == 431
    assert cloud.list("listNetworkACLs", aclid=acl) == []


def test_a_static_route_leads_out_of_the_range_once(cloud, vpc):
    cloud.tier(vpc, 9)
    asked = {"vpcid": vpc["id"], "nexthop": "10.77.9.50", "cidr": "10.99.0.0/16"}
    key = cloud.made_id("createStaticRoute", **asked)
    row = cloud.one("listStaticRoutes", id=key)
    assert (row["cidr"], row["nexthop"], row["vpcid"], row["state"]) == (
        "10.99.0.0/16",
        "10.77.9.50",
        vpc["id"],
        "Active",
    )
    assert cloud.refused("createStaticRoute", **asked).code == 537
    assert cloud.refused("createStaticRoute", **(asked | {"cidr": "10.77.128.0/20"})).code == 431
    assert cloud.refused("createStaticRoute", **(asked | {"cidr": "10.99.7.0/24"})).code == 537
    cloud.run("deleteStaticRoute", id=key)
    assert cloud.list("listStaticRoutes", vpcid=vpc["id"]) == []


@pytest.mark.parametrize(
    "wrong",
    [{"cidr": "169.254.0.0/16"}, {"cidr": "0.0.0.0/0"}, {"cidr": "nowhere"}, {"nexthop": "192.168.200.3"}],
    ids=lambda value: "-".join(value.values()),
)
def test_a_static_route_that_leads_nowhere_is_refused_at_once(cloud, vpc, wrong):
    asked = {"vpcid": vpc["id"], "nexthop": "10.77.9.50", "cidr": "10.97.0.0/16"} | wrong
    assert cloud.refused("createStaticRoute", **asked).code == 431
    assert cloud.refused("createStaticRoute", vpcid=vpc["id"], cidr="10.97.0.0/16").code == 431
    assert cloud.list("listStaticRoutes", vpcid=vpc["id"]) == []


def test_addresses_of_a_vpc_know_no_firewall_rules(cloud, vpc):
    address = cloud.address(vpcid=vpc["id"])
    assert (address["vpcid"], address["issourcenat"]) == (vpc["id"], False)
    asked = {"ipaddressid": address["id"], "protocol": "tcp", "startport": 80, "endport": 80}
    assert cloud.refused("createFirewallRule", **asked).code == 431


def test_vpcs_items_and_routes_are_tagged(cloud, vpc, acl):
    cloud.tier(vpc, 10)
    route = cloud.made_id("createStaticRoute", vpcid=vpc["id"], nexthop="10.77.10.50", cidr="10.98.0.0/16")
    for kind, command, key in (
        ("Vpc", "listVPCs", vpc["id"]),
        ("NetworkACL", "listNetworkACLs", _item(cloud, acl)),
        ("StaticRoute", "listStaticRoutes", route),
    ):
        cloud.run("createTags", resourceids=[key], resourcetype=kind, tags=[{"key": "env", "value": "prod"}])
        assert {tag["key"]: tag["value"] for tag in cloud.one(command, id=key)["tags"]} == {"env": "prod"}
    cloud.run("deleteStaticRoute", id=route)


def test_foreign_vpcs_are_neither_seen_nor_touched(cloud, stranger, vpc, acl):
    assert stranger.list("listVPCs", id=vpc["id"]) == []
    assert stranger.list("listNetworkACLLists", id=acl) == []
    assert stranger.refused("deleteVPC", id=vpc["id"]).code == 531
    assert _item(stranger, acl, run=stranger.refused).code == 531
    item, tier = _item(cloud, acl), cloud.tier(vpc, 11)
    for command, where in (
        ("deleteNetworkACL", {"id": item}),
        ("updateNetworkACLItem", {"id": item, "action": "deny"}),
    ):
        assert stranger.failed(command, **where).code == 530
    assert stranger.failed("deleteNetworkACLList", id=acl).code == 530
    assert stranger.failed("replaceNetworkACLList", networkid=tier["id"], aclid=acl).code == 530
    for command, where in (
        ("listNetworkACLs", {"aclid": acl}),
        ("listNetworkACLLists", {"vpcid": vpc["id"]}),
        ("listPublicIpAddresses", {"vpcid": vpc["id"]}),
    ):
        with pytest.raises(CloudStackError) as refused:
            stranger.list(command, **where)
        assert refused.value.code == 531
    assert cloud.one("listNetworkACLs", id=item)["action"] == "Allow"
