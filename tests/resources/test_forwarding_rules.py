"""Target pools and forwarding rules in a zone with isolated networks: what CloudStack holds of them, whom its packets
reach, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.simulator.packets import Verdict
from tests.conftest import Gateway
from tests.resources.test_isolated_networks import INSTANCES, instance, make_network

REGION = "regions/de-fra"
POOLS, RULES, ADDRESSES = f"{REGION}/targetPools", f"{REGION}/forwardingRules", f"{REGION}/addresses"
CLIENT, STRANGER = "9.9.9.9", "8.8.8.8"
HELD = ("listPublicIpAddresses", "listLoadBalancerRules", "listFirewallRules", "listNetworks", "listSecurityGroups")


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway with a network in the zone with isolated networks, and tcp:80 open to it from some addresses."""
    gateway.zone = "de-fra-1"
    make_network(gateway)
    allow(gateway, "web", ranges=["9.0.0.0/8"])
    return gateway


def allow(gateway: Gateway, name: str, *, ranges: list[str], port: str = "80", **more: Any) -> None:
    body = {"name": name, "network": "global/networks/net", "allowed": [{"IPProtocol": "tcp", "ports": [port]}]}
    gateway.run("POST", "global/firewalls", {**body, "sourceRanges": ranges, **more})


def machine(gateway: Gateway, name: str, **more: Any) -> str:
    """A new instance; CloudStack's id."""
    gateway.run("POST", INSTANCES, {**instance(name, subnetwork=f"{REGION}/subnetworks/net-fra"), **more})
    rows = gateway.cloudstack("listVirtualMachines", name=name)
    return str(rows[0]["id"])


def pool(gateway: Gateway, *names: str, **more: Any) -> None:
    body = {"name": "pool", "instances": [f"{INSTANCES}/{name}" for name in names], **more}
    gateway.run("POST", POOLS, body)


def rule(gateway: Gateway, name: str = "rule", **more: Any) -> dict[str, Any]:
    gateway.run("POST", RULES, {"name": name, "target": f"{POOLS}/pool", "portRange": "80", **more})
    return gateway.get(f"{RULES}/{name}")


def arriving(gateway: Gateway, address: str, source: str = CLIENT, port: int = 80) -> set[str]:
    """The machines that a packet may reach."""
    verdict: Verdict = gateway.simulator.reaches(source, address, port=port)
    return set(verdict.machines) if verdict else set()


def held(gateway: Gateway) -> dict[str, list[str]]:
    return {command: sorted(row["id"] for row in gateway.cloudstack(command)) for command in HELD}


def test_a_forwarding_rule_leads_to_the_instances_of_its_pool_and_leaves_nothing_behind(fra: Gateway) -> None:
    one, two = machine(fra, "one"), machine(fra, "two")
    before = held(fra)
    pool(fra, "one", "two")
    made = rule(fra, description="d")
    assert (made["IPProtocol"], made["portRange"], made["loadBalancingScheme"]) == ("TCP", "80-80", "EXTERNAL")
    assert made["target"].endswith(f"/{POOLS}/pool")
    assert arriving(fra, made["IPAddress"]) == {one, two}
    assert arriving(fra, made["IPAddress"], STRANGER) == set()
    assert arriving(fra, made["IPAddress"], port=81) == set()
    assert fra.names(ADDRESSES) == []
    assert "forwardingRules/rule" in fra.refuse("DELETE", f"{POOLS}/pool")
    fra.run("DELETE", f"{RULES}/rule")
    fra.run("DELETE", f"{POOLS}/pool")
    assert held(fra) == before


def test_members_come_and_go_with_the_pool(fra: Gateway) -> None:
    one, two = machine(fra, "one"), machine(fra, "two")
    pool(fra, "one")
    address = rule(fra)["IPAddress"]
    entry = {"instances": [{"instance": f"{INSTANCES}/two"}]}
    fra.run("POST", f"{POOLS}/pool/addInstance", entry)
    assert arriving(fra, address) == {one, two}
    fra.run("POST", f"{POOLS}/pool/addInstance", entry)
    fra.run("POST", f"{POOLS}/pool/removeInstance", {"instances": [{"instance": f"{INSTANCES}/one"}]})
    assert arriving(fra, address) == {two}
    fra.run("POST", f"{POOLS}/pool/removeInstance", entry)
    assert fra.cloudstack("listLoadBalancerRules") == []
    assert fra.cloudstack("listFirewallRules") == []


def test_an_instance_that_comes_later_is_led_to_under_its_name(fra: Gateway) -> None:
    pool(fra, "late")
    address = rule(fra)["IPAddress"]
    assert arriving(fra, address) == set()
    late = machine(fra, "late")
    assert arriving(fra, address) == {late}
    fra.run("DELETE", f"{INSTANCES}/late")
    assert arriving(fra, address) == set()
    again = machine(fra, "late")
    assert arriving(fra, address) == {again}


def test_firewalls_open_an_address_as_far_as_all_members_may_be_sent(fra: Gateway) -> None:
    plain, guarded = machine(fra, "plain"), machine(fra, "guarded", tags={"items": ["guarded"]})
    denial = {"allowed": [], "denied": [{"IPProtocol": "tcp"}], "priority": 5, "targetTags": ["guarded"]}
    allow(fra, "no", ranges=["9.9.0.0/16"], **denial)
    pool(fra, "plain")
    address = rule(fra)["IPAddress"]
    assert arriving(fra, address) == {plain}
    operation = fra.run("POST", f"{POOLS}/pool/addInstance", {"instances": [{"instance": f"{INSTANCES}/guarded"}]})
    assert "the same to all members" in str(operation["warnings"])
    assert (arriving(fra, address), arriving(fra, address, "9.1.1.1")) == (set(), {plain, guarded})
    fra.run("DELETE", "global/firewalls/no")
    assert arriving(fra, address) == {plain, guarded}
    fra.run("DELETE", "global/firewalls/web")
    assert arriving(fra, address) == set()


def test_a_range_of_ports_is_a_rule_each_and_one_hole_in_the_firewall(fra: Gateway) -> None:
    one = machine(fra, "one")
    allow(fra, "many", ranges=["0.0.0.0/0"], port="8000-8004")
    pool(fra, "one", sessionAffinity="CLIENT_IP")
    made = rule(fra, portRange="8001-8003")
    rows = fra.cloudstack("listLoadBalancerRules")
    assert {(row["name"], row["algorithm"]) for row in rows} == {(f"rule-{n}", "source") for n in (8001, 8002, 8003)}
    (opened,) = fra.cloudstack("listFirewallRules")
    assert (opened["startport"], opened["endport"]) == (8001, 8003)
    assert [arriving(fra, made["IPAddress"], port=port) for port in (8000, 8002)] == [set(), {one}]


def test_a_reserved_address_serves_several_rules_and_outlives_them(fra: Gateway) -> None:
    machine(fra, "one")
    fra.run("POST", ADDRESSES, {"name": "front"})
    pool(fra, "one")
    first = rule(fra, IPAddress=f"{ADDRESSES}/front")
    address = fra.get(f"{ADDRESSES}/front")
    assert (address["status"], address["address"]) == ("IN_USE", first["IPAddress"])
    assert address["users"] == [first["selfLink"]]
    other = {"name": "other", "target": f"{POOLS}/pool", "IPAddress": address["address"]}
    assert "rule" in fra.refuse("POST", RULES, {**other, "portRange": "79-81"})
    rule(fra, "other", IPAddress=address["address"], portRange="443")
    config = [{"natIP": address["address"]}]
    taken = instance("two", subnetwork=f"{REGION}/subnetworks/net-fra", accessConfigs=config)
    assert "in-use" in fra.refuse("POST", INSTANCES, taken)
    fra.run("DELETE", f"{RULES}/rule")
    assert fra.get(f"{ADDRESSES}/front")["users"][0].endswith("/other")
    assert "is already being used" in fra.refuse("DELETE", f"{ADDRESSES}/front")
    fra.run("DELETE", f"{RULES}/other")
    assert fra.get(f"{ADDRESSES}/front")["status"] == "RESERVED"
    assert arriving(fra, address["address"]) == set()
    fra.run("DELETE", f"{ADDRESSES}/front")


def test_an_address_follows_the_instances_into_their_network(fra: Gateway) -> None:
    make_network(fra, "far", "10.9.0.0/24")
    allow(fra, "far", ranges=["9.0.0.0/8"], network="global/networks/far")
    pool(fra)
    address = rule(fra)["IPAddress"]
    fra.run("POST", INSTANCES, instance("away", subnetwork=f"{REGION}/subnetworks/far-fra"))
    (away,) = fra.cloudstack("listVirtualMachines", name="away")
    fra.run("POST", f"{POOLS}/pool/addInstance", {"instances": [{"instance": f"{INSTANCES}/away"}]})
    assert arriving(fra, address) == {away["id"]}
    machine(fra, "near")
    entry = {"instances": [{"instance": f"{INSTANCES}/near"}]}
    assert "inside one network" in fra.refuse("POST", f"{POOLS}/pool/addInstance", entry)
    fra.run("DELETE", f"{INSTANCES}/away")
    assert "forwarding rule 'rule'" in fra.fail("DELETE", f"{REGION}/subnetworks/far-fra")["message"]
    fra.run("DELETE", f"{RULES}/rule")


def test_a_rule_is_led_elsewhere_and_labelled(fra: Gateway) -> None:
    machine(fra, "one")
    two = machine(fra, "two")
    pool(fra, "one")
    fra.run("POST", POOLS, {"name": "next", "instances": [f"{INSTANCES}/two"]})
    made = rule(fra)
    operation = fra.run("POST", f"{RULES}/rule/setTarget", {"target": f"{POOLS}/next"})
    assert operation["operationType"] == "SetTarget"
    assert arriving(fra, made["IPAddress"]) == {two}
    body = {"labels": {"a": "b"}, "labelFingerprint": made["labelFingerprint"]}
    fra.run("POST", f"{RULES}/rule/setLabels", body)
    assert fra.get(f"{RULES}/rule")["labels"] == {"a": "b"}
    fra.refuse("POST", f"{RULES}/rule/setLabels", body, status=412)
    fra.run("PATCH", f"{RULES}/rule", {"networkTier": "PREMIUM"})
    fra.refuse("PATCH", f"{RULES}/rule", {"networkTier": "STANDARD"})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"IPProtocol": "UDP"}, "resource.IPProtocol"),
        ({"portRange": ""}, "resource.portRange"),
        ({"portRange": "1-65535"}, "20 ports at most"),
        ({"portRange": "90-80"}, "resource.portRange"),
        ({"portRange": "x"}, "resource.portRange"),
        ({"ports": ["80"]}, "resource.portRange"),
        ({"portRange": "", "ports": ["80", "080"]}, "twice"),
        ({"loadBalancingScheme": "INTERNAL"}, "resource.loadBalancingScheme"),
        ({"network": "global/networks/net"}, "resource.network"),
        ({"target": f"{REGION}/targetInstances/x"}, "no proxies"),
        ({"target": ""}, "resource.target"),
        ({"IPAddress": "1.2.3.4"}, "resource.IPAddress"),
        ({"allPorts": True, "portRange": ""}, "resource.allPorts"),
        ({"name": ""}, "resource.name"),
    ],
)
def test_what_cannot_be_balanced_is_refused_by_name(fra: Gateway, more: dict[str, Any], said: str) -> None:
    pool(fra)
    body = {"name": "rule", "target": f"{POOLS}/pool", "portRange": "80", **more}
    assert said in fra.refuse("POST", RULES, body)
    assert fra.names(RULES) == []


def test_where_cloudstack_has_no_balancers_a_rule_is_refused_with_the_reason(fra: Gateway) -> None:
    fra.run("POST", "regions/ch-gva/targetPools", {"name": "pool"})
    body = {"name": "rule", "target": "regions/ch-gva/targetPools/pool", "portRange": "80"}
    assert "security groups" in fra.refuse("POST", "regions/ch-gva/forwardingRules", body)
    fra.refuse("POST", RULES, {**body, "target": f"{POOLS}/none"}, status=404)


def test_in_a_vpc_where_no_access_list_is_asked_a_rule_is_refused_with_the_reason(gateway: Gateway) -> None:
    gateway.zone = "de-fra-1"
    vpc = {"resourceManagerTags": {"gstack-network-model": "vpc"}}
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False, "params": vpc})
    piece = {"name": "net-fra", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24"}
    gateway.run("POST", f"{REGION}/subnetworks", piece)
    machine(gateway, "one")
    pool(gateway, "one")
    body = {"name": "rule", "target": f"{POOLS}/pool", "portRange": "80"}
    assert "ask no access list" in gateway.refuse("POST", RULES, body)
    assert gateway.cloudstack("listLoadBalancerRules") == []


def test_a_pool_says_which_instances_run_and_which_are_not_its_own(fra: Gateway) -> None:
    machine(fra, "one")
    pool(fra, "one", "absent")
    asked = f"{POOLS}/pool/getHealth"
    (status,) = fra.call("POST", asked, {"instance": f"{INSTANCES}/one"})["healthStatus"]
    assert (status["healthState"], status["instance"].rpartition("/")[2]) == ("HEALTHY", "one")
    fra.run("POST", f"{INSTANCES}/one/stop")
    assert fra.call("POST", asked, {"instance": f"{INSTANCES}/one"})["healthStatus"][0]["healthState"] == "UNHEALTHY"
    assert "healthStatus" not in fra.call("POST", asked, {"instance": f"{INSTANCES}/absent"})
    assert "pool" in fra.refuse("POST", asked, {"instance": f"{INSTANCES}/other"})


def test_a_pool_has_one_health_check_which_is_used_and_not_carried_out(fra: Gateway) -> None:
    for name in ("hc", "second"):
        fra.run("POST", "global/httpHealthChecks", {"name": name})
    pool(fra)
    entry = {"healthChecks": [{"healthCheck": "global/httpHealthChecks/hc"}]}
    fra.run("POST", f"{POOLS}/pool/addHealthCheck", entry)
    assert fra.get(f"{POOLS}/pool")["healthChecks"][0].endswith("/global/httpHealthChecks/hc")
    more = {"healthChecks": [{"healthCheck": "global/httpHealthChecks/second"}]}
    assert "one health check" in fra.refuse("POST", f"{POOLS}/pool/addHealthCheck", more)
    assert "targetPools/pool" in fra.refuse("DELETE", "global/httpHealthChecks/hc")
    operation = fra.run("POST", RULES, {"name": "rule", "target": f"{POOLS}/pool", "portRange": "80"})
    assert "health checks" in operation["warnings"][0]["message"]
    fra.run("POST", f"{POOLS}/pool/removeHealthCheck", entry)
    fra.run("DELETE", "global/httpHealthChecks/hc")
    assert "does not have it" in fra.refuse("POST", f"{POOLS}/pool/removeHealthCheck", more)


def test_a_pool_is_changed_by_nothing_at_all_as_terraform_does(fra: Gateway) -> None:
    one = machine(fra, "one")
    pool(fra, "one")
    address = rule(fra)["IPAddress"]
    for verb, member in (("Instance", "instances"), ("HealthCheck", "healthChecks")):
        for change in ("add", "remove"):
            fra.run("POST", f"{POOLS}/pool/{change}{verb}", {member: []})
            assert fra.upstream == []
            assert f"'{member}'" in fra.refuse("POST", f"{POOLS}/pool/{change}{verb}", {})
    assert (arriving(fra, address), len(fra.get(f"{POOLS}/pool")["instances"])) == ({one}, 1)


def test_what_a_pool_cannot_be_is_refused_by_name(fra: Gateway) -> None:
    for more, said in (
        ({"backupPool": f"{POOLS}/x"}, "resource.backupPool"),
        ({"sessionAffinity": "HTTP_COOKIE"}, "resource.sessionAffinity"),
        ({"instances": ["zones/ch-gva-2/instances/a"]}, "resource.instances[0]"),
    ):
        assert said in fra.refuse("POST", POOLS, {"name": "pool", **more})
    fra.refuse("POST", POOLS, {"name": "pool", "healthChecks": ["global/httpHealthChecks/x"]}, status=404)
    pool(fra)
    assert "not in the target pool" in fra.refuse(
        "POST", f"{POOLS}/pool/removeInstance", {"instances": [{"instance": f"{INSTANCES}/x"}]}
    )
    fra.call("POST", f"{POOLS}/pool/setBackup", {"target": ""}, status=501)
