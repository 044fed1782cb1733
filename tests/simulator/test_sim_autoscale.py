"""Automatic scaling: the chain from counter to group, and the machines that a group keeps."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from sim_cloud import DEBIAN, MICRO, Cloud


class Scaled(NamedTuple):
    cloud: Cloud
    group: str
    rule: str
    policies: tuple[str, str]
    conditions: tuple[str, str]
    profile: str

    def show(self) -> dict:
        return dict(self.cloud.do("listAutoScaleVmGroups", id=self.group)["autoscalevmgroup"][0])


def make(cloud: Cloud, command: str, **params: object) -> str:
    answer = cloud.do(command, **params)
    assert "id" in answer, answer
    cloud.wait(answer)
    return str(answer["id"])


def balancer(cloud: Cloud, zone: str) -> str:
    """A load balancing rule on a fresh isolated network."""
    wanted = {"guestiptype": "Isolated", "supportedservices": "Lb,SourceNat", "forvpc": "false"}
    offering = cloud.do("listNetworkOfferings", **wanted, state="Enabled")["networkoffering"][0]["id"]
    made = cloud.do("createNetwork", zoneid=zone, name="lb", networkofferingid=offering)["network"]["id"]
    address = make(cloud, "associateIpAddress", networkid=made)
    ports = {"publicport": 80, "privateport": 8080, "algorithm": "roundrobin"}
    return make(cloud, "createLoadBalancerRule", name="web", publicipid=address, **ports)


@pytest.fixture
def scaled(cloud: Cloud) -> Scaled:
    zone = next(z["id"] for z in cloud.do("listZones")["zone"] if z["name"] == "de-fra-1")
    rule = balancer(cloud, zone)
    counter = cloud.do("listCounters", provider="VirtualRouter", source="CPU")["counter"][0]["id"]
    conditions = tuple(
        make(cloud, "createCondition", counterid=counter, relationaloperator=operator, threshold=threshold)
        for operator, threshold in (("GT", 80), ("lt", 20))
    )
    policies = tuple(
        make(cloud, "createAutoScalePolicy", action=action, duration=60, conditionids=condition)
        for action, condition in zip(("scaleup", "scaledown"), conditions, strict=True)
    )
    profile = make(cloud, "createAutoScaleVmProfile", zoneid=zone, serviceofferingid=MICRO, templateid=DEBIAN)
    follows = {"scaleuppolicyids": policies[0], "scaledownpolicyids": policies[1]}
    bounds = {"minmembers": 2, "maxmembers": 4, "interval": 30}
    group = make(cloud, "createAutoScaleVmGroup", lbruleid=rule, vmprofileid=profile, **bounds, **follows)
    return Scaled(cloud, group, rule, (policies[0], policies[1]), (conditions[0], conditions[1]), profile)


def test_a_group_deploys_its_least_number_of_members_behind_the_balancer(scaled: Scaled) -> None:
    cloud = scaled.cloud
    for _ in range(3):
        cloud.clock.now += 20
        cloud.do("listZones")
    assert scaled.show()["availablevirtualmachinecount"] == 2
    rows = cloud.do("listVirtualMachines", autoscalevmgroupid=scaled.group)["virtualmachine"]
    assert {(row["state"], row["autoscalevmgroupid"]) for row in rows} == {("Running", scaled.group)}
    behind = cloud.do("listLoadBalancerRuleInstances", id=scaled.rule)["loadbalancerruleinstance"]
    assert {row["id"] for row in behind} == {row["id"] for row in rows}


def test_what_a_group_follows_can_be_neither_changed_nor_deleted(scaled: Scaled) -> None:
    cloud = scaled.cloud
    change = {"relationaloperator": "GT", "threshold": 90}
    assert cloud.run("updateCondition", id=scaled.conditions[0], **change)["jobresultcode"] == 431
    assert cloud.run("deleteCondition", id=scaled.conditions[0])["jobresultcode"] == 536
    assert cloud.run("deleteAutoScalePolicy", id=scaled.policies[0])["jobresultcode"] == 431
    assert cloud.run("updateAutoScaleVmProfile", id=scaled.profile)["jobresultcode"] == 431
    assert cloud.run("deleteAutoScaleVmProfile", id=scaled.profile)["jobresultcode"] == 431
    cloud.run("disableAutoScaleVmGroup", id=scaled.group)
    assert cloud.run("updateCondition", id=scaled.conditions[0], **change)["jobresultcode"] == 0


def test_bounds_change_only_while_the_group_is_disabled(scaled: Scaled) -> None:
    cloud = scaled.cloud
    assert cloud.run("updateAutoScaleVmGroup", id=scaled.group, maxmembers=9)["jobresultcode"] == 431
    cloud.run("disableAutoScaleVmGroup", id=scaled.group)
    done = cloud.run("updateAutoScaleVmGroup", id=scaled.group, maxmembers=9)
    assert done["jobresult"]["autoscalevmgroup"]["maxmembers"] == 9
    assert cloud.run("enableAutoScaleVmGroup", id=scaled.group)["jobresult"]["autoscalevmgroup"]["state"] == "ENABLED"


def test_a_group_with_machines_goes_with_them_or_not_at_all(scaled: Scaled) -> None:
    cloud = scaled.cloud
    cloud.clock.now += 20
    cloud.do("listZones")
    assert cloud.run("deleteAutoScaleVmGroup", id=scaled.group)["jobresultcode"] == 431
    assert cloud.run("deleteAutoScaleVmGroup", id=scaled.group, cleanup="true")["jobresult"] == {"success": True}
    assert cloud.do("listVirtualMachines") == {}


def test_another_account_sees_and_touches_none_of_it(scaled: Scaled) -> None:
    cloud = scaled.cloud
    for command in ("listConditions", "listAutoScalePolicies", "listAutoScaleVmProfiles", "listAutoScaleVmGroups"):
        assert cloud.do(command, "other") == {}
    assert cloud.do("deleteAutoScaleVmGroup", "other", id=scaled.group)["errorcode"] == 531


def sizes(scaled: Scaled, minutes: int) -> list[int]:
    """How many members there are after each minute."""
    found = []
    for _ in range(minutes):
        for _ in range(6):
            scaled.cloud.clock.now += 10
            scaled.cloud.do("listZones")
        found.append(scaled.show()["availablevirtualmachinecount"])
    return found


def test_a_group_grows_while_it_is_busy_and_no_larger_than_it_may(scaled: Scaled) -> None:
    assert sizes(scaled, 2) == [2, 2]
    scaled.cloud.simulator.measure(scaled.group, cpu(scaled), 95)
    found = sizes(scaled, 25)
    assert found[0] == 2, "for as long as the policy asks it stays"
    assert found == sorted(found)
    assert set(found) == {2, 3, 4}
    behind = scaled.cloud.do("listLoadBalancerRuleInstances", id=scaled.rule)["loadbalancerruleinstance"]
    assert len(behind) == 4


def test_a_group_shrinks_to_its_least_and_the_balancer_forgets(scaled: Scaled) -> None:
    scaled.cloud.simulator.measure(scaled.group, cpu(scaled), 95)
    assert sizes(scaled, 25)[-1] == 4
    scaled.cloud.simulator.measure(scaled.group, cpu(scaled), 50)
    assert set(sizes(scaled, 10)) == {4}
    scaled.cloud.simulator.measure(scaled.group, cpu(scaled), 5)
    found = sizes(scaled, 30)
    assert (found == sorted(found, reverse=True), found[-1]) == (True, 2)
    behind = scaled.cloud.do("listLoadBalancerRuleInstances", id=scaled.rule)["loadbalancerruleinstance"]
    assert len(behind) == 2


def test_a_disabled_group_stays_as_it_is(scaled: Scaled) -> None:
    sizes(scaled, 2)
    scaled.cloud.run("disableAutoScaleVmGroup", id=scaled.group)
    scaled.cloud.simulator.measure(scaled.group, cpu(scaled), 95)
    assert set(sizes(scaled, 20)) == {2}


def cpu(scaled: Scaled) -> str:
    row = scaled.cloud.do("listCounters", provider="VirtualRouter", source="CPU")["counter"][0]
    return str(row["value"])
