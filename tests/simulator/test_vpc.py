"""Virtual private clouds, where no recorded line tells."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sim_cloud import Cloud

FRANKFURT = "90e2e73b-dc68-48f9-a796-9ec7bcdfec92"
OFFERING = "1ec0c1ce-f265-40df-8aad-7cecd81b6673"
TIER = "d182ea16-8be3-4688-acf4-1282712f0f05"
DEFAULT_ALLOW = "3578ce03-e584-11f1-ba46-02fc00000001"


@pytest.fixture
def vpc(cloud: Cloud) -> str:
    params = {"zoneid": FRANKFURT, "vpcofferingid": OFFERING, "name": "vpc-a", "cidr": "10.50.0.0/16"}
    answer = cloud.do("createVPC", **params)
    cloud.wait(answer)
    return str(answer["id"])


@pytest.fixture
def acl(cloud: Cloud, vpc: str) -> str:
    return str(cloud.do("createNetworkACLList", vpcid=vpc, name="acl-web")["id"])


def tier(cloud: Cloud, vpc: str) -> str:
    params = {"zoneid": FRANKFURT, "networkofferingid": TIER, "name": "tier-1", "vpcid": vpc}
    return str(cloud.do("createNetwork", gateway="10.50.1.1", netmask="255.255.255.0", **params)["network"]["id"])


def item(cloud: Cloud, acl: str, **more: object) -> str:
    answer = cloud.do("createNetworkACL", aclid=acl, protocol="tcp", **more)
    cloud.wait(answer)
    return str(answer["id"])


def positions(cloud: Cloud, acl: str) -> list[str]:
    rows = cloud.do("listNetworkACLs", aclid=acl).get("networkacl", [])
    assert len({row["number"] for row in rows}) == len(rows)
    return [row["id"] for row in sorted(rows, key=lambda row: row["number"])]


def test_a_vpc_goes_once_its_tiers_are_gone_and_gives_everything_back(cloud: Cloud, vpc: str, acl: str) -> None:
    net = tier(cloud, vpc)
    assert cloud.do("listPublicIpAddresses", vpcid=vpc)["count"] == 1
    assert cloud.run("deleteVPC", id=vpc)["jobresultcode"] == 431
    cloud.run("deleteNetwork", id=net)
    assert cloud.run("deleteVPC", id=vpc)["jobstatus"] == 1
    assert [cloud.do(name) for name in ("listVPCs", "listPublicIpAddresses")] == [{}, {}]
    assert acl not in {row["id"] for row in cloud.do("listNetworkACLLists")["networkacllist"]}


def test_an_address_of_a_vpc_belongs_to_a_tier_while_something_uses_it(cloud: Cloud, vpc: str) -> None:
    net = tier(cloud, vpc)
    machine = cloud.deploy("vm-1", zoneid=FRANKFURT, networkids=net)
    ip = cloud.do("associateIpAddress", vpcid=vpc)["id"]
    params = {"ipaddressid": ip, "protocol": "tcp", "publicport": 80, "privateport": 80}
    made = cloud.do("createPortForwardingRule", virtualmachineid=machine, **params)
    cloud.wait(made)
    assert cloud.do("listPublicIpAddresses", id=ip)["publicipaddress"][0]["associatednetworkid"] == net
    assert cloud.do("listFirewallRules") == {}
    cloud.run("deletePortForwardingRule", id=made["id"])
    assert "associatednetworkid" not in cloud.do("listPublicIpAddresses", id=ip)["publicipaddress"][0]


def test_a_tier_without_a_machine_has_no_source_nat_address_of_its_own(cloud: Cloud, vpc: str) -> None:
    net = tier(cloud, vpc)
    cloud.deploy("vm-1", zoneid=FRANKFURT, networkids=net)
    assert cloud.do("listPublicIpAddresses")["count"] == 1


def test_vpcs_of_others_are_not_listed_and_not_touched(cloud: Cloud, vpc: str, acl: str) -> None:
    assert cloud.do("listVPCs", "other", id=vpc) == {}
    assert cloud.do("listNetworkACLLists", "other", id=acl) == {}
    for command, params in (
        ("deleteVPC", {"id": vpc}),
        ("createNetworkACLList", {"vpcid": vpc, "name": "x"}),
        ("createNetworkACL", {"aclid": acl, "protocol": "tcp"}),
        ("createStaticRoute", {"vpcid": vpc, "nexthop": "10.50.1.9", "cidr": "10.80.0.0/16"}),
    ):
        assert cloud.do(command, "other", **params)["errorcode"] == 531


def test_the_lists_of_every_vpc_are_read_only(cloud: Cloud) -> None:
    def failed(command: str, **params: str) -> tuple[int, str]:
        result = cloud.run(command, **params)["jobresult"]
        return result["errorcode"], result["errortext"]

    assert failed("deleteNetworkACLList", id=DEFAULT_ALLOW) == (431, "Default ACL cannot be removed")
    assert failed("updateNetworkACLList", id=DEFAULT_ALLOW)[0] == 530
    for row in cloud.do("listNetworkACLs", aclid=DEFAULT_ALLOW)["networkacl"]:
        assert failed("deleteNetworkACL", id=row["id"]) == (431, "ACL Items in default ACL cannot be deleted")
        assert failed("updateNetworkACLItem", id=row["id"]) == (431, "Default ACL cannot be modified")


@pytest.mark.parametrize("given", [{"cidrlist": "10.0.0.0/8"}, {"traffictype": "Ingress"}])
def test_a_full_update_that_leaves_something_out_spoils_the_list(cloud: Cloud, acl: str, given: dict) -> None:
    key = item(cloud, acl)
    job = cloud.run("updateNetworkACLItem", id=key, protocol="tcp", partialupgrade="false", **given)
    assert job["jobresultcode"] == 530
    assert cloud.do("listNetworkACLs", aclid=acl)["errorcode"] == 530
    cloud.run("deleteNetworkACL", id=key)
    assert cloud.do("listNetworkACLs", aclid=acl) == {}


def test_a_private_gateway_with_routes_stays_and_users_do_not_see_its_vlan(cloud: Cloud, vpc: str) -> None:
    params = {"gateway": "10.70.0.1", "ipaddress": "10.70.0.2", "netmask": "255.255.255.0"}
    made = cloud.do("createPrivateGateway", "admin", vpcid=vpc, vlan="920", **params)
    route = cloud.do("createStaticRoute", gatewayid=made["id"], cidr="10.80.0.0/16")
    assert "vlan" not in cloud.do("listPrivateGateways")["privategateway"][0]
    assert cloud.run("deletePrivateGateway", "admin", id=made["id"])["jobstatus"] == 2
    cloud.run("deleteStaticRoute", id=route["id"])
    assert cloud.run("deletePrivateGateway", "admin", id=made["id"])["jobstatus"] == 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(numbers=st.lists(st.integers(1, 9), min_size=2, max_size=6, unique=True), data=st.data())
def test_an_item_moves_between_its_new_neighbours(
    cloud: Cloud, vpc: str, numbers: list[int], data: st.DataObject
) -> None:
    acl = str(cloud.do("createNetworkACLList", vpcid=vpc, name="acl")["id"])
    for number in numbers:
        item(cloud, acl, number=number)
    moved = data.draw(st.sampled_from(positions(cloud, acl)))
    others = [key for key in positions(cloud, acl) if key != moved]
    place = data.draw(st.integers(0, len(others)))
    near = {"previousaclruleid": others[place - 1]} if place else {}
    near.update({"nextaclruleid": others[place]} if place < len(others) else {})
    cloud.run("moveNetworkAclItem", id=moved, **near)
    assert positions(cloud, acl) == [*others[:place], moved, *others[place:]]


def test_a_vpn_gateway_takes_no_other_address_than_that_of_source_nat(cloud: Cloud, vpc: str) -> None:
    ip = cloud.do("associateIpAddress", vpcid=vpc)["id"]
    assert cloud.do("createVpnGateway", vpcid=vpc, ipaddressid=ip)["errorcode"] == 530
    assert cloud.do("listVpnGateways") == {}
