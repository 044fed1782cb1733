"""Isolated networks, public addresses and the rules on them, where no recorded line tells."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sim_cloud import DEBIAN, MICRO, Cloud

from gstack.simulator import Simulator

FRANKFURT = "90e2e73b-dc68-48f9-a796-9ec7bcdfec92"
VIENNA = "6ba8919d-8e54-45bf-b12c-d8eace18399f"
SHARED = "f2d4c429-6368-40ad-b3ad-8739eb8a62a4"
ISOLATED = "847d56dd-6687-427d-9994-b36e929032da"


def network(cloud: Cloud, name: str = "net-a", who: str = "tenant", **more: object) -> str:
    answer = cloud.do("createNetwork", who, zoneid=FRANKFURT, networkofferingid=ISOLATED, name=name, **more)
    return str(answer["network"]["id"])


def address(cloud: Cloud, net: str, who: str = "tenant") -> str:
    answer = cloud.do("associateIpAddress", who, networkid=net)
    cloud.wait(answer, who)
    return str(answer["id"])


def state(cloud: Cloud, net: str) -> str:
    return str(cloud.do("listNetworks", id=net)["network"][0]["state"])


@pytest.fixture
def served(cloud: Cloud) -> tuple[str, str, str]:
    """A network with a running machine and an address that is not its source NAT address."""
    net = network(cloud)
    machine = cloud.deploy("vm-1", zoneid=FRANKFURT, networkids=net)
    return net, machine, address(cloud, net)


def limit(cloud: Cloud, **limits: int) -> None:
    account = next(account for account in cloud.simulator.world.account if account.name == "other")
    account.limits = {"*": -1, **limits}


def rule(cloud: Cloud, ip: str, port: int, machine: str, **more: object) -> dict:
    params = {"ipaddressid": ip, "protocol": "tcp", "publicport": port, "privateport": port, **more}
    return cloud.do("createPortForwardingRule", virtualmachineid=machine, **params)


def test_a_network_comes_to_life_with_its_first_machine_and_goes_idle_after_its_last(cloud: Cloud) -> None:
    net = network(cloud)
    assert state(cloud, net) == "Allocated"
    params = {"zoneid": FRANKFURT, "templateid": DEBIAN, "serviceofferingid": MICRO, "networkids": net}
    answer = cloud.do("deployVirtualMachine", **params)
    cloud.clock.now += 0.4
    assert state(cloud, net) == "Implementing"
    cloud.wait(answer)
    assert state(cloud, net) == "Implemented"
    cloud.run("stopVirtualMachine", id=answer["id"])
    assert state(cloud, net) == "Implemented"
    cloud.clock.now += 601
    assert state(cloud, net) == "Allocated"
    assert cloud.do("listPublicIpAddresses", associatednetworkid=net, issourcenat="true")["count"] == 1
    cloud.run("startVirtualMachine", id=answer["id"])
    assert state(cloud, net) == "Implemented"
    assert cloud.do("listPublicIpAddresses", associatednetworkid=net)["count"] == 1


def test_a_deploy_without_a_network_uses_the_only_one_of_the_account(cloud: Cloud) -> None:
    first, second = (cloud.deploy(name, zoneid=FRANKFURT) for name in ("vm-1", "vm-2"))
    nets = {cloud.machine(key)["nic"][0]["networkname"] for key in (first, second)}
    assert nets == {"tenant-network"}


def test_a_deploy_that_is_refused_makes_no_network(cloud: Cloud) -> None:
    limit(cloud, user_vm=0)
    params = {"zoneid": FRANKFURT, "templateid": DEBIAN, "serviceofferingid": MICRO}
    assert cloud.do("deployVirtualMachine", "other", **params)["errorcode"] == 535
    assert cloud.do("listNetworks", "other", zoneid=FRANKFURT) == {}


def test_a_network_outlives_its_machines_until_they_are_expunged(cloud: Cloud, served: tuple[str, str, str]) -> None:
    net, machine, ip = served
    cloud.run("destroyVirtualMachine", id=machine)
    assert cloud.run("deleteNetwork", id=net)["jobresultcode"] == 530
    cloud.clock.now += 86_401
    assert cloud.run("deleteNetwork", id=net)["jobstatus"] == 1
    assert cloud.do("listNetworks", id=net) == {}
    assert cloud.do("listPublicIpAddresses") == {}
    free = cloud.do("listPublicIpAddresses", id=ip, state="Free")["publicipaddress"]
    assert [row["state"] for row in free] == ["Free"]


def test_the_first_address_of_a_network_without_source_nat_becomes_that(cloud: Cloud) -> None:
    net = network(cloud)
    first, second = address(cloud, net), address(cloud, net)
    rows = {row["id"]: row["issourcenat"] for row in cloud.do("listPublicIpAddresses")["publicipaddress"]}
    assert rows == {first: True, second: False}


def test_objects_of_others_are_not_listed_and_not_touched(cloud: Cloud, served: tuple[str, str, str]) -> None:
    net, machine, ip = served
    made = cloud.do("createFirewallRule", ipaddressid=ip, protocol="tcp", startport=22, endport=22)
    lists = {"listNetworks": net, "listPublicIpAddresses": ip, "listFirewallRules": made["id"]}
    assert [cloud.do(name, "other", id=key) for name, key in lists.items()] == [{}, {}, {}]
    verbs: list[tuple[str, dict[str, object]]] = [
        ("deleteNetwork", {"id": net}),
        ("associateIpAddress", {"networkid": net}),
        ("enableStaticNat", {"ipaddressid": ip, "virtualmachineid": machine}),
        ("createFirewallRule", {"ipaddressid": ip, "protocol": "udp"}),
        ("deleteFirewallRule", {"id": made["id"]}),
        ("createEgressFirewallRule", {"networkid": net, "protocol": "all"}),
    ]
    assert {cloud.do(name, "other", **params)["errorcode"] for name, params in verbs} == {531}
    assert cloud.run("disassociateIpAddress", "other", id=ip)["jobresult"]["errortext"].startswith(
        "Caller does not have"
    )


def test_a_deleted_project_gives_its_addresses_back(cloud: Cloud) -> None:
    project = cloud.do("listProjects")["project"][0]["id"]
    net = network(cloud, projectid=project)
    ip = address(cloud, net)
    assert cloud.do("listPublicIpAddresses", id=ip) == {}
    assert cloud.do("listPublicIpAddresses", id=ip, projectid=project)["count"] == 1
    free = cloud.do("listPublicIpAddresses", state="Free", pagesize=1, page=1)["count"]
    cloud.run("deleteProject", id=project, cleanup="true")
    assert cloud.do("listPublicIpAddresses", state="Free", pagesize=1, page=1)["count"] == free + 1


def test_networks_and_addresses_count_against_the_limits(cloud: Cloud) -> None:
    limit(cloud, network=1, public_ip=1)
    net = network(cloud, who="other")
    refused = cloud.do("createNetwork", "other", zoneid=FRANKFURT, networkofferingid=ISOLATED, name="net-b")
    assert refused["errorcode"] == 535
    address(cloud, net, "other")
    assert cloud.do("associateIpAddress", "other", networkid=net)["errorcode"] == 535


def test_no_free_address_is_a_lack_of_capacity(cloud: Cloud) -> None:
    net = network(cloud)
    for one in cloud.simulator.world.public_ip:
        one.state = "Allocated"
    assert cloud.do("associateIpAddress", networkid=net)["errorcode"] == 533
    params = {"zoneid": FRANKFURT, "templateid": DEBIAN, "serviceofferingid": MICRO, "networkids": net}
    job = cloud.wait(cloud.do("deployVirtualMachine", **params))
    assert job["jobresultcode"] == 533
    assert state(cloud, net) == "Allocated"


def test_a_deploy_that_fails_leaves_a_network_that_another_machine_is_starting(cloud: Cloud) -> None:
    net = network(cloud)
    params = {"zoneid": FRANKFURT, "templateid": DEBIAN, "serviceofferingid": MICRO, "networkids": net}
    cloud.simulator.faults.add("no-start", "deployVirtualMachine")
    cloud.do("deployVirtualMachine", name="vm-1", **params)
    cloud.clock.now += 0.3
    cloud.do("deployVirtualMachine", name="vm-2", **params)
    cloud.clock.now += 0.5
    assert state(cloud, net) == "Implementing"
    cloud.clock.now += 10
    assert state(cloud, net) == "Implemented"


def test_a_failed_association_gives_the_address_back(cloud: Cloud) -> None:
    net = network(cloud)
    cloud.simulator.faults.add("fail-job", "associateIpAddress")
    assert cloud.run("associateIpAddress", networkid=net)["jobstatus"] == 2
    assert cloud.do("listPublicIpAddresses") == {}


def test_expunging_a_machine_frees_all_that_led_to_it(cloud: Cloud, served: tuple[str, str, str]) -> None:
    net, machine, nat = served
    forwarded, balanced = address(cloud, net), address(cloud, net)
    cloud.do("enableStaticNat", ipaddressid=nat, virtualmachineid=machine)
    cloud.wait(rule(cloud, forwarded, 80, machine))
    params = {"publicipid": balanced, "name": "lb", "algorithm": "source", "publicport": 80, "privateport": 80}
    balancer = cloud.do("createLoadBalancerRule", **params)["id"]
    cloud.run("assignToLoadBalancerRule", id=balancer, virtualmachineids=machine)
    assert cloud.machine(machine)["publicipid"] == nat
    cloud.run("destroyVirtualMachine", id=machine)
    assert cloud.do("listPortForwardingRules")["count"] == 1
    assert cloud.do("listLoadBalancerRuleInstances", id=balancer) == {}
    cloud.clock.now += 86_401
    assert cloud.do("listPortForwardingRules") == {}
    assert cloud.do("listPublicIpAddresses", id=nat)["publicipaddress"][0]["isstaticnat"] is False
    assert cloud.do("listLoadBalancerRules")["count"] == 1


def test_disabling_static_nat_closes_the_firewall_of_the_address(cloud: Cloud, served: tuple[str, str, str]) -> None:
    _, machine, ip = served
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=machine)
    cloud.run("createFirewallRule", ipaddressid=ip, protocol="tcp", startport=22, endport=22)
    cloud.run("disableStaticNat", ipaddressid=ip)
    assert cloud.do("listFirewallRules", ipaddressid=ip) == {}


def test_an_address_that_is_released_loses_its_rules_and_tags(cloud: Cloud, served: tuple[str, str, str]) -> None:
    _, machine, ip = served
    cloud.wait(rule(cloud, ip, 80, machine))
    params = {"resourcetype": "PublicIpAddress", "resourceids": ip, "tags[0].key": "a", "tags[0].value": "b"}
    cloud.run("createTags", **params)
    assert cloud.do("listPublicIpAddresses", **{"tags[0].key": "a", "tags[0].value": "b"})["count"] == 1
    cloud.run("disassociateIpAddress", id=ip)
    assert [cloud.do(name) for name in ("listPortForwardingRules", "listFirewallRules", "listTags")] == [{}, {}, {}]


def test_a_load_balancer_with_a_protocol_can_be_updated(cloud: Cloud, served: tuple[str, str, str]) -> None:
    params = {"name": "lb", "algorithm": "source", "publicport": 80, "privateport": 80, "protocol": "tcp"}
    made = cloud.do("createLoadBalancerRule", publicipid=served[2], **params)
    job = cloud.run("updateLoadBalancerRule", id=made["id"], algorithm="leastconn")
    assert job["jobresult"]["loadbalancer"]["algorithm"] == "leastconn"


def test_a_member_may_join_a_load_balancer_under_a_secondary_address(
    cloud: Cloud, served: tuple[str, str, str]
) -> None:
    _, machine, ip = served
    nic = cloud.machine(machine)["nic"][0]
    second = cloud.run("addIpToNic", nicid=nic["id"])["jobresult"]["nicsecondaryip"]["ipaddress"]
    params = {"name": "lb", "algorithm": "source", "publicport": 80, "privateport": 80}
    made = cloud.do("createLoadBalancerRule", publicipid=ip, **params)
    for vmip, status in (("10.9.9.9", 2), (second, 1), (second, 2), (nic["ipaddress"], 1)):
        pair = {"vmidipmap[0].vmid": machine, "vmidipmap[0].vmip": vmip}
        assert cloud.run("assignToLoadBalancerRule", id=made["id"], **pair)["jobstatus"] == status
    rows = cloud.do("listLoadBalancerRuleInstances", id=made["id"], lbvmips="true")["lbrulevmidip"]
    assert [row["lbvmipaddresses"] for row in rows] == [[second, nic["ipaddress"]]]


def test_a_nic_that_rules_lead_to_stays(cloud: Cloud, served: tuple[str, str, str]) -> None:
    _, machine, _ = served
    other = network(cloud, "net-b")
    cloud.run("addNicToVirtualMachine", virtualmachineid=machine, networkid=other)
    nic = cloud.machine(machine)["nic"][1]["id"]
    address(cloud, other)
    ip = address(cloud, other)
    cloud.wait(rule(cloud, ip, 80, machine))
    job = cloud.run("removeNicFromVirtualMachine", virtualmachineid=machine, nicid=nic)
    assert (job["jobstatus"], len(cloud.machine(machine)["nic"])) == (2, 2)
    cloud.run("disassociateIpAddress", id=ip)
    assert cloud.run("removeNicFromVirtualMachine", virtualmachineid=machine, nicid=nic)["jobstatus"] == 1


def test_a_new_address_of_a_nic_takes_static_nat_along(cloud: Cloud, served: tuple[str, str, str]) -> None:
    _, machine, ip = served
    cloud.do("enableStaticNat", ipaddressid=ip, virtualmachineid=machine)
    nic = cloud.machine(machine)["nic"][0]["id"]
    cloud.run("stopVirtualMachine", id=machine)
    cloud.run("updateVmNicIp", nicid=nic, ipaddress="10.1.1.99")
    assert cloud.machine(machine)["ipaddress"] == "10.1.1.99"
    assert cloud.do("listPublicIpAddresses", id=ip)["publicipaddress"][0]["vmipaddress"] == "10.1.1.99"


def test_in_the_zone_with_security_groups_a_machine_gets_the_shared_network_and_a_group(cloud: Cloud) -> None:
    row = cloud.machine(cloud.deploy("vm-1", zoneid=VIENNA))
    assert [nic["networkid"] for nic in row["nic"]] == [SHARED]
    assert [group["name"] for group in row["securitygroup"]] == ["default"]


def test_root_sees_networks_of_others_only_with_listall(cloud: Cloud) -> None:
    net = network(cloud)
    assert cloud.do("listNetworks", "admin", id=net) == {}
    assert cloud.do("listNetworks", "admin", id=net, listall="true")["count"] == 1


def test_giving_out_an_address_leaves_three_events(cloud: Cloud) -> None:
    address(cloud, network(cloud))
    rows = cloud.do("listEvents", type="NET.IPASSIGN")["event"]
    assert [row["state"] for row in rows] == ["Scheduled", "Started", "Completed"]


def test_a_restart_keeps_networks_addresses_and_rules(tmp_path: Path) -> None:
    first = Simulator(job_seconds=0, state_dir=tmp_path, seed=3)
    net = first.do("tenant", "createNetwork", zoneid=FRANKFURT, networkofferingid=ISOLATED, name="net-a")
    ip = first.do("tenant", "associateIpAddress", networkid=net["network"]["id"])["id"]
    first.do("tenant", "createFirewallRule", ipaddressid=ip, protocol="tcp", startport=22, endport=22)
    kept = ("listNetworks", "listPublicIpAddresses", "listFirewallRules")
    before = [first.do("tenant", name) for name in kept]
    second = Simulator(job_seconds=0, state_dir=tmp_path, seed=3)
    assert [second.do("tenant", name) for name in kept] == before


def test_a_crash_takes_a_network_that_was_starting_back(tmp_path: Path) -> None:
    now = [1_795_253_000.0]
    first = Simulator(job_seconds=10, state_dir=tmp_path, clock=lambda: now[0])
    params = {"zoneid": FRANKFURT, "templateid": DEBIAN, "serviceofferingid": MICRO}
    first.do("tenant", "deployVirtualMachine", **params)
    now[0] += 4
    rows = first.do("tenant", "listNetworks", zoneid=FRANKFURT)["network"]
    assert [row["state"] for row in rows] == ["Implementing"]
    second = Simulator(job_seconds=10, state_dir=tmp_path, clock=lambda: now[0])
    rows = second.do("tenant", "listNetworks", zoneid=FRANKFURT)["network"]
    assert [row["state"] for row in rows] == ["Allocated"]


def test_a_simulator_shows_the_zones_it_is_told_to() -> None:
    zones = Simulator(zones=("ch-gva-2",)).do("tenant", "listZones")["zone"]
    assert [zone["name"] for zone in zones] == ["ch-gva-2"]


PORTS = st.integers(1, 4)
CIDRS = st.sets(st.sampled_from(["10.0.0.0/8", "11.0.0.0/8", "0.0.0.0/0"]), min_size=1)
RULES = st.tuples(st.sampled_from(["tcp", "udp"]), PORTS, PORTS, CIDRS).filter(lambda rule: rule[1] <= rule[2])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=RULES, other=RULES)
def test_firewall_rules_conflict_when_protocol_a_range_and_ports_meet(cloud: Cloud, one: tuple, other: tuple) -> None:
    ip = address(cloud, network(cloud))

    def create(protocol: str, start: int, end: int, cidrs: set[str]) -> dict:
        params = {"startport": start, "endport": end, "cidrlist": ",".join(sorted(cidrs))}
        return cloud.do("createFirewallRule", ipaddressid=ip, protocol=protocol, **params)

    create(*one)
    meet = one[0] == other[0] and one[1] <= other[2] and other[1] <= one[2] and bool(one[3] & other[3])
    assert (create(*other).get("errorcode") == 537) is meet


def test_a_reserved_address_is_nobody_elses_until_it_is_released(cloud: Cloud) -> None:
    free = cloud.do("listPublicIpAddresses", state="Free")["publicipaddress"][0]["id"]
    row = cloud.do("reserveIpAddress", id=free)["ipaddress"]
    assert (row["id"], row["state"], row["account"]) == (free, "Reserved", "tenant")
    assert cloud.do("reserveIpAddress", id=free)["ipaddress"]["state"] == "Reserved"
    assert cloud.do("reserveIpAddress", "other", id=free)["errorcode"] == 431
    assert cloud.do("releaseIpAddress", "other", id=free)["errorcode"] == 531
    assert address(cloud, network(cloud)) != free
    assert cloud.do("releaseIpAddress", id=free) == {"success": True}
    assert free in {one["id"] for one in cloud.do("listPublicIpAddresses", state="Free")["publicipaddress"]}


def shown(cloud: Cloud, **asked: str) -> list[str]:
    return [row["id"] for row in cloud.do("listPublicIpAddresses", **asked).get("publicipaddress", [])]


def reserved(cloud: Cloud) -> dict:
    free = cloud.do("listPublicIpAddresses", state="Free")["publicipaddress"][0]["id"]
    return cloud.do("reserveIpAddress", id=free)["ipaddress"]


def tag(cloud: Cloud, ip: str) -> None:
    params = {"tags[0].key": "name", "tags[0].value": "web"}
    cloud.run("createTags", resourcetype="PublicIpAddress", resourceids=ip, **params)


def test_a_reserved_address_is_shown_to_who_asks_for_that_state(cloud: Cloud) -> None:
    ip = reserved(cloud)["id"]
    assert shown(cloud, id=ip) == shown(cloud, id=ip, state="Allocated") == shown(cloud, id=ip, state="Free") == []
    assert shown(cloud, id=ip, state="Reserved") == shown(cloud, id=ip, allocatedonly="false") == [ip]
    for state in ("Free", "Reserved"):
        refused = cloud.do("listPublicIpAddresses", state=state, allocatedonly="true")
        assert (refused["errorcode"], refused["errortext"]) == (
            431,
            "Conflict: allocatedonly is true but state is Free",
        )


def test_its_owner_associates_a_reserved_address_by_value_and_keeps_its_tags(cloud: Cloud) -> None:
    row, net = reserved(cloud), network(cloud)
    address(cloud, net)  # so that the source NAT is another
    tag(cloud, row["id"])
    assert cloud.do("associateIpAddress", networkid=net, ipaddress=row["ipaddress"])["id"] == row["id"]
    cloud.clock.now += 10
    (used,) = cloud.do("listPublicIpAddresses", id=row["id"])["publicipaddress"]
    assert (used["state"], used["associatednetworkid"]) == ("Allocated", net)
    assert [one["value"] for one in used["tags"]] == ["web"]


def test_a_reserved_address_counts_once_in_its_owners_limit(cloud: Cloud) -> None:
    def total() -> int:
        return cloud.do("listAccounts")["account"][0]["iptotal"]

    net = network(cloud)
    address(cloud, net)
    before = total()
    row = reserved(cloud)
    cloud.do("reserveIpAddress", id=row["id"])
    assert total() == before + 1
    cloud.run("associateIpAddress", networkid=net, ipaddress=row["ipaddress"])
    assert total() == before + 1


@pytest.mark.parametrize("command", ["releaseIpAddress", "disassociateIpAddress"])
def test_a_reserved_address_is_given_back_with_its_tags_still_on_it(cloud: Cloud, command: str) -> None:
    ip = reserved(cloud)["id"]
    tag(cloud, ip)
    answer = cloud.do(command, id=ip)
    assert answer == {"success": True} or cloud.wait(answer)["jobresult"] == {"success": True}
    (row,) = cloud.do("listPublicIpAddresses", id=ip, state="Free")["publicipaddress"]
    assert [one["value"] for one in row["tags"]] == ["web"]


def test_an_address_that_served_a_network_loses_its_tags_when_it_is_given_back(cloud: Cloud) -> None:
    net = network(cloud)
    ip = [address(cloud, net), address(cloud, net)][1]  # the first one is the source NAT
    tag(cloud, ip)
    cloud.run("disassociateIpAddress", id=ip)
    (row,) = cloud.do("listPublicIpAddresses", id=ip, state="Free")["publicipaddress"]
    assert row["tags"] == []


def test_an_address_in_use_is_neither_reserved_nor_released(cloud: Cloud) -> None:
    ip = address(cloud, network(cloud))
    assert cloud.do("reserveIpAddress", id=ip)["errortext"] == "Unable to reserve a IP in Allocated state."
    assert cloud.do("releaseIpAddress", id=ip)["errorcode"] == 431


def test_no_health_check_policy_can_be_named(cloud: Cloud) -> None:
    for name in ("updateLBHealthCheckPolicy", "deleteLBHealthCheckPolicy"):
        assert cloud.do(name, id="11111111-2222-3333-4444-555555555555")["errorcode"] == 431
