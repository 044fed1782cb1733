"""Regional backend services with unmanaged groups behind external forwarding rules: what CloudStack holds of them, whom
its packets reach, and that nothing is left behind."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.translate import balancing
from tests.conftest import Gateway
from tests.resources.test_forwarding_rules import INSTANCES, REGION, RULES, allow, arriving, fra, held, machine

__all__ = ["fra"]
SERVICES, GROUPS = f"{REGION}/backendServices", "zones/de-fra-1/instanceGroups"
SERVICE, GROUP = f"{SERVICES}/be", f"{GROUPS}/ig"


def group(gateway: Gateway, *names: str, name: str = "ig") -> None:
    gateway.run("POST", GROUPS, {"name": name})
    if names:
        gateway.run("POST", f"{GROUPS}/{name}/addInstances", entries(*names))


def entries(*names: str) -> dict[str, Any]:
    return {"instances": [{"instance": f"{INSTANCES}/{name}"} for name in names]}


def service(gateway: Gateway, *groups: str, **more: Any) -> dict[str, Any]:
    backends = [{"group": f"{GROUPS}/{name}", "balancingMode": "CONNECTION"} for name in groups or ("ig",)]
    body = {"name": "be", "loadBalancingScheme": "EXTERNAL", "protocol": "TCP", "backends": backends, **more}
    gateway.run("POST", SERVICES, body)
    return gateway.get(SERVICE)


def rule(gateway: Gateway, **more: Any) -> dict[str, Any]:
    gateway.run("POST", RULES, {"name": "rule", "backendService": SERVICE, "ports": ["80"], **more})
    return gateway.get(f"{RULES}/rule")


def seen(gateway: Gateway) -> dict[str, str]:
    return {"fingerprint": gateway.get(SERVICE)["fingerprint"]}


def test_a_rule_leads_to_the_members_of_a_services_groups_and_leaves_nothing_behind(fra: Gateway) -> None:
    one, two = machine(fra, "one"), machine(fra, "two")
    before = held(fra)
    group(fra, "one")
    group(fra, "two", name="more")
    made = service(fra, "ig", "more")
    assert (made["protocol"], made["sessionAffinity"], made["timeoutSec"]) == ("TCP", "NONE", 30)
    assert [one["balancingMode"] for one in made["backends"]] == ["CONNECTION"] * 2
    shown = rule(fra)
    assert shown["backendService"].endswith(f"/{SERVICE}")
    assert (shown["ports"], "target" in shown) == (["80"], False)
    assert fra.get(SERVICE)["usedBy"] == [{"reference": shown["selfLink"]}]
    assert arriving(fra, shown["IPAddress"]) == {one, two}
    assert "forwardingRules/rule" in fra.refuse("DELETE", SERVICE)
    used = "The instance_group resource 'projects/tenant/zones/de-fra-1/instanceGroups/ig' is already being used by "
    assert fra.refuse("DELETE", GROUP) == f"{used}'projects/tenant/regions/de-fra/backendServices/be'"
    fra.run("DELETE", f"{RULES}/rule")
    fra.run("DELETE", SERVICE)
    fra.run("DELETE", GROUP)
    assert held(fra) == before


def test_members_come_and_go_with_the_group_and_the_backends(fra: Gateway) -> None:
    one, two, three = (machine(fra, name) for name in ("one", "two", "three"))
    group(fra, "one")
    group(fra, "three", name="more")
    service(fra)
    address = rule(fra)["IPAddress"]
    fra.run("POST", f"{GROUP}/addInstances", entries("two"))
    assert arriving(fra, address) == {one, two}
    fra.run("POST", f"{GROUP}/removeInstances", entries("one"))
    assert arriving(fra, address) == {two}
    both = [{"group": f"{GROUPS}/{name}"} for name in ("ig", "more")]
    fra.run("PATCH", SERVICE, {"backends": both, **seen(fra)})
    assert arriving(fra, address) == {two, three}
    fra.run("PUT", SERVICE, {"name": "be", "backends": both[1:], "sessionAffinity": "CLIENT_IP", **seen(fra)})
    assert arriving(fra, address) == {three}
    assert [row["algorithm"] for row in fra.cloudstack("listLoadBalancerRules")] == ["source"]
    fra.run("PATCH", SERVICE, {"backends": [], **seen(fra)})
    assert fra.cloudstack("listLoadBalancerRules") == []


def test_a_deleted_instance_leaves_the_balancer_and_its_last_member_takes_it_along(fra: Gateway) -> None:
    one = machine(fra, "one")
    machine(fra, "two")
    group(fra, "one", "two")
    service(fra)
    address = rule(fra)["IPAddress"]
    fra.run("DELETE", f"{INSTANCES}/two")
    assert arriving(fra, address) == {one}
    fra.run("DELETE", f"{INSTANCES}/one")
    assert fra.cloudstack("listLoadBalancerRules") == []
    assert fra.cloudstack("listFirewallRules") == []


def test_a_renamed_instance_stays_in_a_group_and_leaves_a_pool(fra: Gateway) -> None:
    one = machine(fra, "one")
    group(fra, "one")
    service(fra)
    through = rule(fra)["IPAddress"]
    pool = f"{REGION}/targetPools"
    fra.run("POST", pool, {"name": "pool", "instances": [f"{INSTANCES}/one"]})
    fra.run("POST", RULES, {"name": "second", "target": f"{pool}/pool", "portRange": "80"})
    old = fra.get(f"{RULES}/second")["IPAddress"]
    assert arriving(fra, old) == {one}
    fra.run("POST", f"{INSTANCES}/one/stop")
    fra.run("POST", f"{INSTANCES}/one/setName", {"name": "other", "currentName": "one"})
    fra.run("POST", f"{INSTANCES}/other/start")
    assert (arriving(fra, through), arriving(fra, old)) == ({one}, set())


def test_a_rule_of_a_pool_is_led_to_a_service(fra: Gateway) -> None:
    one = machine(fra, "one")
    group(fra, "one")
    service(fra)
    fra.run("POST", f"{REGION}/targetPools", {"name": "pool"})
    fra.run("POST", RULES, {"name": "rule", "target": f"{REGION}/targetPools/pool", "portRange": "80"})
    fra.run("POST", f"{RULES}/rule/setTarget", {"target": SERVICE})
    shown = fra.get(f"{RULES}/rule")
    assert (arriving(fra, shown["IPAddress"]), "target" in shown) == ({one}, False)


def test_the_health_of_a_group_is_which_of_its_instances_run(fra: Gateway) -> None:
    machine(fra, "one")
    group(fra, "one")
    service(fra)
    asked = (f"{SERVICE}/getHealth", {"group": GROUP})
    (status,) = fra.call("POST", *asked)["healthStatus"]
    assert (status["healthState"], status["instance"].rpartition("/")[2], "port" in status) == ("HEALTHY", "one", False)
    shown = rule(fra)
    fra.run("POST", f"{INSTANCES}/one/stop")
    (status,) = fra.call("POST", *asked)["healthStatus"]
    assert (status["healthState"], status["port"]) == ("UNHEALTHY", 80)
    assert (status["forwardingRule"], status["forwardingRuleIp"]) == (shown["selfLink"], shown["IPAddress"])
    group(fra, name="other")
    assert "no backend" in fra.refuse("POST", asked[0], {"group": f"{GROUPS}/other"})


def test_what_is_said_of_a_service_is_read_back_and_changes_with_its_fingerprint(fra: Gateway) -> None:
    fra.run("POST", "global/healthChecks", {"name": "hc", "type": "TCP"})
    fra.run("POST", f"{REGION}/healthChecks", {"name": "near", "type": "TCP"})
    group(fra)
    more = {"connectionDraining": {"drainingTimeoutSec": 9}, "timeoutSec": 7, "description": "d"}
    made = service(fra, healthChecks=["global/healthChecks/hc"], **more)
    assert {name: made[name] for name in more} == more
    assert "backendServices/be" in fra.refuse("DELETE", "global/healthChecks/hc")
    before = seen(fra)
    fra.run("PATCH", SERVICE, {"healthChecks": [f"{REGION}/healthChecks/near"], **before})
    assert fra.get(SERVICE)["healthChecks"][0].endswith(f"/{REGION}/healthChecks/near")
    assert fra.get(SERVICE)["timeoutSec"] == 7
    fra.refuse("PATCH", SERVICE, {"timeoutSec": 8, **before}, status=412)
    fra.refuse("PATCH", SERVICE, {"timeoutSec": 8}, status=412)
    fra.run("PUT", SERVICE, {**fra.get(SERVICE), "description": "e"})
    after = fra.get(SERVICE)
    assert (after["description"], after["timeoutSec"], len(after["backends"])) == ("e", 7, 1)
    fra.run("PUT", SERVICE, {"name": "be", **seen(fra)})
    bare = fra.get(SERVICE)
    assert (bare["timeoutSec"], "backends" in bare, "healthChecks" in bare) == (30, False, False)
    operation = fra.run("POST", RULES, {"name": "rule", "backendService": SERVICE, "ports": ["80"]})
    assert "warnings" not in operation


def test_a_service_has_no_policy_of_its_own_and_gets_none(fra: Gateway) -> None:
    group(fra)
    service(fra)
    assert fra.get(f"{SERVICE}/getIamPolicy") == {"version": 1, "etag": "ACAB"}
    fra.call("GET", f"{SERVICES}/none/getIamPolicy", status=404)
    fra.call("POST", f"{SERVICE}/setIamPolicy", {"policy": {}}, status=501)


def test_services_are_listed_in_their_region_and_none_is_global(fra: Gateway) -> None:
    group(fra)
    made = service(fra)
    assert fra.names(SERVICES) == ["be"]
    assert fra.get("aggregated/backendServices")["items"][REGION]["backendServices"] == [made]
    assert fra.names("global/backendServices") == []
    fra.call("GET", "global/backendServices/be", status=404)
    fra.call("POST", "global/backendServices", {"name": "be"}, status=501)
    assert fra.get(f"{SERVICES}/{made['id']}")["name"] == "be"


def test_firewalls_of_one_member_hold_for_all_behind_the_address(fra: Gateway) -> None:
    plain, guarded = machine(fra, "plain"), machine(fra, "guarded", tags={"items": ["guarded"]})
    denial = {"allowed": [], "denied": [{"IPProtocol": "tcp"}], "priority": 5, "targetTags": ["guarded"]}
    allow(fra, "no", ranges=["9.9.0.0/16"], **denial)
    group(fra, "plain", "guarded")
    service(fra)
    address = rule(fra)["IPAddress"]
    assert (arriving(fra, address), arriving(fra, address, "9.1.1.1")) == (set(), {plain, guarded})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"protocol": "UDP"}, "resource.protocol"),
        ({"protocol": "HTTP"}, "resource.protocol"),
        ({"loadBalancingScheme": "INTERNAL"}, "resource.loadBalancingScheme"),
        ({"sessionAffinity": "HTTP_COOKIE"}, "resource.sessionAffinity"),
        ({"backends": [{"group": GROUP, "balancingMode": "UTILIZATION"}]}, "resource.backends[0].balancingMode"),
        ({"backends": [{"group": GROUP, "capacityScaler": 0.5}]}, "resource.backends[0].capacityScaler"),
        ({"backends": [{"group": GROUP, "failover": True}]}, "resource.backends[0].failover"),
        ({"backends": [{"group": GROUP}, {"group": GROUP}]}, "resource.backends[1].group"),
        ({"backends": [{}]}, "resource.backends[0].group"),
        ({"backends": [{"group": "zones/ch-gva-2/instanceGroups/ig"}]}, "resource.backends[0].group"),
        ({"healthChecks": ["global/healthChecks/hc", "global/healthChecks/hc"]}, "one health check"),
        ({"enableCDN": True}, "resource.enableCDN"),
        ({"failoverPolicy": {"failoverRatio": 0.5}}, "resource.failoverPolicy"),
        ({"logConfig": {"enable": True}}, "resource.logConfig"),
        ({"name": "Be"}, "resource.name"),
    ],
)
def test_what_no_service_can_be_is_refused_by_name(fra: Gateway, more: dict[str, Any], said: str) -> None:
    fra.run("POST", "global/healthChecks", {"name": "hc", "type": "TCP"})
    group(fra)
    fra.run("POST", "zones/ch-gva-2/instanceGroups", {"name": "ig"})
    body = {"name": "be", "protocol": "TCP", "backends": [{"group": GROUP}], **more}
    assert said in fra.refuse("POST", SERVICES, body)
    assert fra.names(SERVICES) == []


def test_what_a_rule_or_a_service_names_must_be_there(fra: Gateway) -> None:
    group(fra)
    service(fra)
    body = {"name": "rule", "backendService": f"{SERVICES}/none", "ports": ["80"]}
    fra.refuse("POST", RULES, body, status=404)
    fra.refuse("POST", SERVICES, {"name": "b2", "backends": [{"group": f"{GROUPS}/none"}]}, status=404)


def test_who_joins_a_group_is_held_against_the_members_in_all_zones(fra: Gateway, monkeypatch: Any) -> None:
    machine(fra, "one")
    group(fra)
    service(fra)
    rule(fra)
    fra.zone = "ch-gva-2"
    far = fra.deploy("far")["id"]
    seen: list[set[str]] = []
    home = balancing.home
    monkeypatch.setattr(balancing, "home", lambda *args: seen.append({row["id"] for row in args[3]}) or home(*args))
    fra.run("POST", f"{GROUP}/addInstances", entries("one"))
    assert far in seen[0]
