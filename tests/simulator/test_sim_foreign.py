"""What another account's objects answer where the server words or orders it in a way of its own.

Apart from the commands, whose tests only see that they are refused. Texts are those of a CloudStack 4.22 built from
its source, asked the same.
"""

from __future__ import annotations

import pytest
from sim_cloud import DEBIAN, MICRO, ZONE, Cloud

FRANKFURT = "90e2e73b-dc68-48f9-a796-9ec7bcdfec92"
ISOLATED = "847d56dd-6687-427d-9994-b36e929032da"
UNKNOWN = "11111111-2222-3333-4444-555555555555"
DENIED = "Caller does not have permission to operate with provided resource."
GONE = "Failed to delete tags"


def network(cloud: Cloud) -> str:
    made = cloud.do("createNetwork", zoneid=FRANKFURT, networkofferingid=ISOLATED, name="net-a")
    return str(made["network"]["id"])


def failed(cloud: Cloud, command: str, who: str = "tenant", **params: object) -> tuple[int, str]:
    job = cloud.run(command, who, **params)
    return job["jobresultcode"], job["jobresult"]["errortext"]


def test_an_affinity_group_names_itself_and_who_asks(cloud: Cloud) -> None:
    group = cloud.do("createAffinityGroup", name="apart", type="host anti-affinity")["id"]
    told = f'does not have permission to operate with resource AffinityGroup {{"id":1,"name":"apart","uuid":"{group}"}}'
    params = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "affinitygroupids": group}
    for answer in (
        cloud.do("deleteAffinityGroup", "other", id=group),
        cloud.do("deployVirtualMachine", "other", **params),
    ):
        assert answer["errorcode"] == 531
        assert answer["errortext"].startswith('Account [{"accountName":"other",')
        assert answer["errortext"].endswith(told)


@pytest.mark.parametrize("name", ["networkids", "iptonetworklist[0].networkid"])
def test_a_machine_on_a_foreign_network_names_the_network(cloud: Cloud, name: str) -> None:
    net = network(cloud)
    params = {"zoneid": FRANKFURT, "templateid": DEBIAN, "serviceofferingid": MICRO, name: net}
    answer = cloud.do("deployVirtualMachine", "other", **params)
    told = f"Unable to use network with id= {net}, permission denied"
    assert (answer["errorcode"], answer["errortext"]) == (531, told)


def test_whether_an_address_has_static_nat_comes_before_whose_it_is(cloud: Cloud) -> None:
    net = network(cloud)
    machine = cloud.deploy("vm-1", zoneid=FRANKFURT, networkids=net)
    address = cloud.do("associateIpAddress", networkid=net)["id"]
    cloud.clock.now += 10
    told = "Specified IP address id is not associated with any vm Id"
    assert failed(cloud, "disableStaticNat", "other", ipaddressid=address) == (431, told)
    cloud.do("enableStaticNat", ipaddressid=address, virtualmachineid=machine)
    assert failed(cloud, "disableStaticNat", "other", ipaddressid=address) == (530, DENIED)
    assert cloud.run("disableStaticNat", ipaddressid=address)["jobresult"] == {"success": True}


def test_whether_a_machine_runs_comes_before_whose_its_nic_is(cloud: Cloud) -> None:
    key = cloud.deploy("vm-1")
    nic = cloud.do("listNics", virtualmachineid=key)["nic"][0]["id"]
    told = "VM is not Stopped, unable to update the vm nic having the specified id"
    assert failed(cloud, "updateVmNicIp", "other", nicid=nic) == (431, told)
    cloud.run("stopVirtualMachine", id=key)
    assert failed(cloud, "updateVmNicIp", "other", nicid=nic) == (530, DENIED)


def test_a_balancer_s_members_are_looked_at_in_the_job(cloud: Cloud) -> None:
    net = network(cloud)
    machine = cloud.deploy("vm-1", zoneid=FRANKFURT, networkids=net)
    address = cloud.do("associateIpAddress", networkid=net)["id"]
    cloud.clock.now += 10
    params = {"publicipid": address, "name": "lb", "algorithm": "roundrobin", "publicport": 80, "privateport": 80}
    made = cloud.do("createLoadBalancerRule", **params)
    cloud.wait(made)
    where = {"id": made["id"], "virtualmachineids": machine}
    assert failed(cloud, "assignToLoadBalancerRule", "other", **where) == (530, "Failed to assign load balancer rule")
    assert failed(cloud, "removeFromLoadBalancerRule", "other", **where) == (530, DENIED)


def test_a_user_does_not_expunge_unless_users_may(cloud: Cloud) -> None:
    key = cloud.deploy("vm-1")
    cloud.run("destroyVirtualMachine", id=key)
    told = "Expunging a vm can only be done by an Admin. Or when the allow.user.expunge.recover.vm key is set."
    assert failed(cloud, "expungeVirtualMachine", id=key) == (530, told)
    cloud.simulator.settings["allow.user.expunge.recover.vm"] = True
    assert cloud.run("expungeVirtualMachine", id=key)["jobresult"] == {"success": True}


def test_tags_are_looked_for_before_anybody_asks_whose_they_are(cloud: Cloud) -> None:
    key = cloud.deploy("vm-1")
    where = {"resourcetype": "UserVm", "resourceids": key}
    assert failed(cloud, "deleteTags", **where) == (530, GONE)
    cloud.run("createTags", **where, **{"tags[0].key": "a", "tags[0].value": "b"})
    assert failed(cloud, "deleteTags", "other", **where, **{"tags[0].key": "zz"}) == (530, GONE)
    assert failed(cloud, "deleteTags", "other", **where, **{"tags[0].key": "a"}) == (530, DENIED)
    assert failed(cloud, "deleteTags", "other", **where) == (530, DENIED)
    assert failed(cloud, "deleteTags", **{**where, "resourceids": UNKNOWN}) == (530, GONE)
    assert failed(cloud, "deleteTags", **{**where, "resourcetype": "Volume"}) == (530, GONE)
    some = {"tags[0].key": "A", "tags[1].key": "zz", "tags[1].value": "x"}
    assert cloud.run("deleteTags", **where, **some)["jobresult"] == {"success": True}
    assert cloud.do("listTags", resourceid=key) == {}


def test_tags_of_several_objects_go_together_and_by_their_numbers(cloud: Cloud) -> None:
    keys = [cloud.deploy(name) for name in ("vm-1", "vm-2")]
    numbers = ",".join(str(cloud.simulator.world.machine[key].number) for key in keys)
    cloud.run("createTags", resourcetype="UserVm", resourceids=keys[1], **{"tags[0].key": "a", "tags[0].value": "b"})
    gone = cloud.run("deleteTags", resourcetype="UserVm", resourceids=numbers, **{"tags[0].key": "a"})
    assert gone["jobresult"] == {"success": True}
    assert cloud.do("listTags") == {}


@pytest.mark.parametrize(
    ("asked", "code", "text"),
    [
        ({"resourcetype": "VirtualMachine"}, 531, DENIED),
        ({}, 431, "resourceid parameter must be used with resourcetype parameter"),
        ({"resourcetype": "UserVm"}, 431, "Invalid resourcetype"),
        ({"resourcetype": "Volume"}, 431, "Invalid resourceid"),
        ({"resourcetype": "Bucket"}, 431, "Invalid resourceid"),
        ({"resourcetype": "VirtualMachine", "resourceid": UNKNOWN}, 431, "Invalid resourceid"),
    ],
    ids=str,
)
def test_events_are_listed_of_what_is_there_and_ones_own(cloud: Cloud, asked: dict, code: int, text: str) -> None:
    key = cloud.deploy("vm-1")
    answer = cloud.do("listEvents", "other", **{"resourceid": key, **asked})
    assert (answer["errorcode"], answer["errortext"]) == (code, text)


def test_events_of_ones_own_outlive_their_object(cloud: Cloud) -> None:
    key = cloud.deploy("vm-1")
    asked = {"resourceid": key, "resourcetype": "VirtualMachine"}
    assert cloud.do("listEvents", **asked)["count"] == 3
    cloud.run("destroyVirtualMachine", "admin", id=key, expunge="true")
    assert cloud.do("listEvents", state="Completed", **asked)["count"] == 2
    assert cloud.do("listEvents", state="Over")["errortext"] == "Invalid state specified: Over"


def test_an_account_is_named_with_its_domain_by_who_makes_something(cloud: Cloud) -> None:
    answer = cloud.do("createSecurityGroup", name="web", account="tenant")
    assert (answer["errorcode"], answer["errortext"]) == (431, "AccountName and domainId must be specified together")
