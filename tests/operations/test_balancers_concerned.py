"""Which balancers a change looks at and changes: those that it concerns, and that are this gateway's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gstack.operations import balancing
from gstack.operations import forwarding_rules as workflows
from gstack.store import overlay
from gstack.store.db import db
from gstack.translate import balancing as naming
from tests.conftest import Gateway
from tests.resources.test_backend_services import GROUP, GROUPS, SERVICE, SERVICES, entries, group, service
from tests.resources.test_forwarding_rules import (
    ADDRESSES,
    INSTANCES,
    POOLS,
    RULES,
    allow,
    arriving,
    fra,
    held,
    machine,
    pool,
    rule,
)

__all__ = ["fra"]
STORED = (naming.POOLS, naming.RULES, "store")


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The IP addresses whose balancers were read, look by look."""
    found: list[list[str]] = []
    read = balancing.read

    def noting(cloud: Any, project: Any, at: Any = None) -> Any:
        found.append(sorted(at))
        return read(cloud, project, at)

    monkeypatch.setattr(balancing, "read", noting)
    return found


@contextmanager
def asked(gateway: Gateway, command: str) -> Iterator[list[int]]:
    """How often CloudStack is asked something, known at the end."""
    fault, found = gateway.simulator.faults.add("slow", command, times=None), [0]
    yield found
    found[0] = fault.hits
    gateway.simulator.faults.clear()


def taken(gateway: Gateway) -> list[dict[str, Any]]:
    """Take away what the store holds of load balancing, as if it were another one."""
    with gateway.app.app_context():
        found = db.session.query(overlay.Overlay).filter(overlay.Overlay.kind.in_(STORED)).all()
        rows = [{name: getattr(row, name) for name in ("kind", "cloudstack_id", "project", "data")} for row in found]
        for row in found:
            db.session.delete(row)
        db.session.commit()
    return rows


def given(gateway: Gateway, rows: list[dict[str, Any]]) -> None:
    with gateway.app.app_context():
        db.session.add_all(overlay.Overlay(**row) for row in rows)
        db.session.commit()


def test_an_instance_that_no_rule_leads_to_comes_and_goes_without_a_look_at_balancers(
    fra: Gateway, looked_at: list[list[str]]
) -> None:
    machine(fra, "one")
    pool(fra, "one", "late")
    fra.run("POST", POOLS, {"name": "idle", "instances": [f"{INSTANCES}/two"]})
    address = rule(fra)["IPAddress"]
    group(fra, "one")
    looked_at.clear()
    machine(fra, "two")
    fra.run("POST", f"{INSTANCES}/two/stop")
    fra.run("POST", f"{INSTANCES}/two/setName", {"name": "three", "currentName": "two"})
    fra.run("DELETE", f"{INSTANCES}/three")
    assert looked_at == []
    machine(fra, "late")
    fra.run("POST", f"{INSTANCES}/late/stop")
    fra.run("POST", f"{INSTANCES}/late/setName", {"name": "other", "currentName": "late"})
    assert {address} == {one for at in looked_at for one in at}


def test_only_the_rules_that_lead_to_a_change_are_looked_at(fra: Gateway, looked_at: list[list[str]]) -> None:
    machine(fra, "one")
    two = machine(fra, "two")
    pool(fra, "one")
    rule(fra)
    group(fra, "two")
    service(fra)
    fra.run("POST", RULES, {"name": "second", "backendService": SERVICE, "ports": ["80"]})
    second = fra.get(f"{RULES}/second")["IPAddress"]
    looked_at.clear()
    assert arriving(fra, second) == {two}
    fra.run("POST", f"{GROUP}/removeInstances", entries("two"))
    fra.run("POST", f"{GROUP}/addInstances", entries("two"))
    fra.run("DELETE", f"{INSTANCES}/two")
    assert {second} == {one for at in looked_at for one in at}
    assert arriving(fra, second) == set()


def test_a_pool_leads_to_whoever_gets_the_name_of_one_that_is_deleted(fra: Gateway) -> None:
    machine(fra, "one")
    pool(fra, "one")
    address = rule(fra)["IPAddress"]
    (net,) = [row for row in fra.cloudstack("listNetworks") if row["type"] == "Isolated"]
    clock = fra.simulator.world.clock
    fra.simulator.world.clock = lambda: clock() + 60  # the older one keeps the name
    other = fra.deploy("One", networkids=net["id"])["id"]
    assert arriving(fra, address) != {other}
    fra.run("DELETE", f"{INSTANCES}/one")
    assert arriving(fra, address) == {other}


def test_members_are_asked_for_only_where_firewalls_tell_them_apart_and_then_machine_by_machine(fra: Gateway) -> None:
    machine(fra, "one")
    allow(fra, "many", ranges=["0.0.0.0/0"], port="8000-8019")
    pool(fra, "one")
    rule(fra, portRange="8000-8019")
    with asked(fra, "listLoadBalancerRuleInstances") as by_balancer, asked(fra, "listLoadBalancerRules") as lists:
        machine(fra, "two")
    assert (by_balancer, lists) == ([0], [1])
    denial = {"allowed": [], "denied": [{"IPProtocol": "tcp"}], "priority": 5, "targetTags": ["guarded"]}
    allow(fra, "no", ranges=["0.0.0.0/0"], **denial)
    machine(fra, "three", tags={"items": ["guarded"]})
    with asked(fra, "listLoadBalancerRuleInstances") as by_balancer, asked(fra, "listLoadBalancerRules") as lists:
        machine(fra, "four")
    assert (by_balancer, lists) == ([0], [1 + 4])


def test_a_pool_that_is_deleted_while_a_rule_is_made_takes_the_rule_along(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(fra, "one")
    before = held(fra)
    pool(fra)
    mark = balancing.mark

    def meanwhile(*args: Any) -> None:
        fra.run("DELETE", f"{POOLS}/pool")
        mark(*args)

    monkeypatch.setattr(balancing, "mark", meanwhile)
    error = fra.fail("POST", RULES, {"name": "rule", "target": f"{POOLS}/pool", "portRange": "80"})
    assert (error["http"], "targetPools/pool" in error["message"]) == (404, True)
    assert (fra.names(RULES), fra.names(POOLS), held(fra)) == ([], [], before)


def test_a_pool_to_which_a_rule_leads_by_now_is_not_deleted(fra: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    pool(fra)
    hold = overlay.hold

    def meanwhile(*args: str) -> bool:
        monkeypatch.undo()
        rule(fra)
        return hold(*args)

    monkeypatch.setattr(overlay, "hold", meanwhile)
    assert "forwardingRules/rule" in fra.refuse("DELETE", f"{POOLS}/pool")
    assert (fra.names(RULES), fra.names(POOLS)) == (["rule"], ["pool"])


def test_what_is_deleted_while_a_service_is_to_lead_to_it_is_not_named(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    group(fra)
    hold = naming.hold

    def meanwhile(*args: Any) -> None:
        monkeypatch.undo()
        fra.run("DELETE", GROUP)
        hold(*args)

    monkeypatch.setattr(naming, "hold", meanwhile)
    body = {"name": "be", "protocol": "TCP", "backends": [{"group": f"{GROUPS}/ig"}]}
    assert "instanceGroups/ig" in fra.refuse("POST", SERVICES, body, status=404)
    assert fra.names(SERVICES) == []


def test_what_a_rule_leads_to_stays_until_the_rule_is_gone(fra: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    one = machine(fra, "one")
    pool(fra, "one")
    address = rule(fra)["IPAddress"]
    bring = balancing.bring_quietly
    said: list[str] = []

    def meanwhile(*args: Any) -> None:
        bring(*args)
        said.append(fra.refuse("DELETE", f"{POOLS}/pool"))

    monkeypatch.setattr(balancing, "bring_quietly", meanwhile)
    monkeypatch.setattr(workflows, "_held", lambda *_: 1 / 0)
    fra.fail("DELETE", f"{RULES}/rule")
    monkeypatch.undo()
    assert all("forwardingRules/rule" in one for one in said)
    assert (len(said), arriving(fra, address)) == (2, {one})
    fra.run("DELETE", f"{RULES}/rule")
    fra.run("DELETE", f"{POOLS}/pool")


def test_a_rule_that_another_gateway_makes_on_its_address_is_left_to_it(fra: Gateway) -> None:
    one, two = machine(fra, "one"), machine(fra, "two")
    fra.run("POST", ADDRESSES, {"name": "front"})
    allow(fra, "more", ranges=["9.0.0.0/8"], port="81-82")
    pool(fra, "one")
    address = rule(fra, IPAddress=f"{ADDRESSES}/front", portRange="80-81")["IPAddress"]
    first = taken(fra)
    pool(fra, "two")
    other = {"name": "other", "target": f"{POOLS}/pool", "portRange": "81", "IPAddress": address}
    assert "already being used" in fra.refuse("POST", RULES, other)
    rule(fra, IPAddress=f"{ADDRESSES}/front", portRange="81-82")
    assert [arriving(fra, address, port=port) for port in (80, 81, 82)] == [set(), {two}, {two}]
    second = taken(fra)
    given(fra, first)
    operation = fra.run("POST", f"{POOLS}/pool/removeInstance", {"instances": [{"instance": f"{INSTANCES}/one"}]})
    assert f"The address {address} of forwarding rule 'rule' is another gateway's" in str(operation["warnings"])
    more = {"name": "more", "target": f"{POOLS}/pool", "portRange": "90", "IPAddress": address}
    assert "already being used" in fra.fail("POST", RULES, more)["message"]
    operation = fra.run("DELETE", f"{RULES}/rule")
    assert "is another gateway's" in str(operation["warnings"])
    assert [arriving(fra, address, port=port) for port in (81, 82)] == [{two}, {two}]
    taken(fra)
    given(fra, second)
    fra.run("DELETE", f"{RULES}/rule")
    assert fra.cloudstack("listLoadBalancerRules") == []
    assert fra.get(f"{ADDRESSES}/front")["status"] == "RESERVED"
    assert one not in arriving(fra, address)


def test_of_lost_rules_on_one_address_each_finds_its_own_balancer(fra: Gateway) -> None:
    one = machine(fra, "one")
    fra.run("POST", ADDRESSES, {"name": "front"})
    allow(fra, "more", ranges=["9.0.0.0/8"], port="443")
    pool(fra, "one")
    address = rule(fra, IPAddress=f"{ADDRESSES}/front")["IPAddress"]
    rule(fra, "tls", IPAddress=address, portRange="443")
    balancers = {row["id"] for row in fra.cloudstack("listLoadBalancerRules")}
    taken(fra)
    pool(fra, "one")
    body = {"name": "rule", "target": f"{POOLS}/pool", "portRange": "80", "IPAddress": address}
    operation = fra.run("POST", RULES, body)
    assert "'tls-443'" in str(operation["warnings"])
    assert arriving(fra, address, port=443) == {one}
    rule(fra, "tls", IPAddress=address, portRange="443")
    assert {row["id"] for row in fra.cloudstack("listLoadBalancerRules")} == balancers
    for name in ("rule", "tls"):
        fra.run("DELETE", f"{RULES}/{name}")
    assert fra.cloudstack("listLoadBalancerRules") == []


def test_where_another_tool_balances_a_port_the_rule_gets_nothing_of_it_and_says_so(fra: Gateway) -> None:
    one = machine(fra, "one")
    pool(fra)
    made = rule(fra)
    (row,) = [row for row in fra.cloudstack("listPublicIpAddresses") if row["ipaddress"] == made["IPAddress"]]
    theirs = {"name": "theirs", "algorithm": "source", "privateport": 80, "publicport": 80, "protocol": "tcp"}
    key = fra.cloudstack("createLoadBalancerRule", publicipid=row["id"], **theirs)["id"]
    fra.simulator.settle()
    operation = fra.run("POST", f"{POOLS}/pool/addInstance", {"instances": [{"instance": f"{INSTANCES}/one"}]})
    assert "The balancer 'theirs'" in str(operation["warnings"])
    assert (arriving(fra, made["IPAddress"]), one) == (set(), one)
    fra.cloudstack("deleteLoadBalancerRule", id=key)
    fra.simulator.settle()
    fra.run("POST", f"{POOLS}/pool/addInstance", {"instances": [{"instance": f"{INSTANCES}/one"}]})
    assert arriving(fra, made["IPAddress"]) == {one}
