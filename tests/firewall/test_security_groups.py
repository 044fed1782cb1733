"""The enforcer in front of the embedded CloudStack: what machines may do, and that only gstack's own groups change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_network
from types import SimpleNamespace
from typing import Any

import pytest

from gstack.cloudstack.client import Cloud, Endpoint
from gstack.cloudstack.trace import trace
from gstack.errors import GceError
from gstack.firewall import security_groups
from gstack.firewall.groups import Group, network_group
from gstack.firewall.plan import leftovers
from gstack.translate.tags import NETWORK_TAG
from tests.conftest import Gateway

SHARED = network_group("default")
ALL_EGRESS = "255.255.255.255/32"


class Run:
    """A run whose steps are plain calls."""

    def __init__(self, cloud: Cloud, name: str = "operation-1") -> None:
        self.name = name
        self.cloud = SimpleNamespace(use=lambda function: function(cloud))
        self.runtime = SimpleNamespace(pause=time.sleep, patience=SimpleNamespace(job_poll=0.001))
        self.undos: list[Callable[..., Any]] = []
        self.laters: list[tuple[str, dict[str, Any]]] = []
        self.percents: list[int] = []

    def step(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        return function(*args)

    def undo(self, name: str, function: Callable[..., Any], *args: Any) -> None:
        self.undos.append(lambda: function(*args))

    def later(self, workflow: str, plan: dict[str, Any], *, delay: float = 0.0) -> None:
        self.laters.append((workflow, plan))

    def progress(self, percent: int) -> None:
        self.percents.append(percent)


class World:
    """An account with machines that joined through the enforcer."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.endpoint = Endpoint(gateway.settings)
        self.cloud = self.endpoint.cloud(*gateway.simulator.keys("tenant"), key="tenant")
        self.run = Run(self.cloud)

    def join(self, name: str, *tags: str, accounts: tuple[str, ...] = ()) -> list[str]:
        return security_groups.join(
            Run(self.cloud, f"operation-{name}"),
            network="default",
            zone=self.gateway.zone,
            instance=name,
            tags=tags,
            service_accounts=accounts,
        )

    def deploy(self, name: str, *tags: str, accounts: tuple[str, ...] = ()) -> dict[str, Any]:
        """As the instances' workflow does it: join, deploy, tag, converge."""
        groups = self.join(name, *tags, accounts=accounts)
        row = self.gateway.deploy(name, securitygroupids=",".join(groups))
        if tags:
            self.tag(row, *tags)
        self.converge()
        return row

    def tag(self, row: dict[str, Any], *tags: str) -> None:
        marks = {f"tags[{index}].key": NETWORK_TAG + tag for index, tag in enumerate(tags)}
        marks |= {f"tags[{index}].value": "true" for index in range(len(tags))}
        self.gateway.cloudstack("createTags", resourcetype="UserVm", resourceids=row["id"], **marks)
        self.gateway.simulator.settle()

    def converge(self) -> list[str]:
        return security_groups.converge(self.run)

    def insert(self, name: str, **members: Any) -> None:
        self.gateway.run("POST", "global/firewalls", {"name": name, **members})

    def groups(self) -> dict[str, Group]:
        return {row["name"]: Group(row) for row in self.gateway.cloudstack("listSecurityGroups")}

    def shared(self) -> set[tuple[str, int, int, str]]:
        return self.said(SHARED)

    def own(self, name: str) -> set[tuple[str, int, int, str]]:
        found = [group for group in self.groups() if f":{self.gateway.zone}:{name}:" in group]
        assert len(found) == 1
        return self.said(found[0])

    def own_name(self, name: str) -> str:
        return next(group for group in self.groups() if f":{self.gateway.zone}:{name}:" in group)

    def said(self, group: str) -> set[tuple[str, int, int, str]]:
        return {(rule.protocol, rule.first, rule.last, rule.peer) for rule in self.groups()[group].rules}


@pytest.fixture
def world(gateway: Gateway) -> Iterator[World]:
    made = World(gateway)
    yield made
    made.endpoint.close()


def _tcp(*ports: str) -> list[dict[str, Any]]:
    return [{"IPProtocol": "tcp", "ports": list(ports)}]


def _host(row: dict[str, Any]) -> str:
    return f"{row['nic'][0]['ipaddress']}/32"


def test_an_instance_joins_the_networks_group_and_its_own(world: World) -> None:
    first, second = world.join("one"), world.join("two")
    assert first[0] == second[0]
    assert len({*first, *second}) == 3
    shared, own = world.groups()[SHARED], world.groups()[world.own_name("one")]
    assert [shared.id, own.id] == first
    assert shared.content["owner"] == own.content["owner"] == "gstack"


def test_joining_twice_makes_nothing_twice(world: World) -> None:
    assert world.join("one", accounts=("a@b.c",)) == world.join("one", accounts=("a@b.c",))
    assert len(world.groups()) == 3
    assert world.groups()[world.own_name("one")].content["accounts"] == ["a@b.c"]


def test_the_second_instance_of_a_name_has_a_group_of_its_own(world: World) -> None:
    members: dict[str, Any] = {"network": "default", "zone": "z-a", "instance": "i", "tags": (), "service_accounts": ()}
    first = security_groups.join(Run(world.cloud, "operation-1"), **members)
    second = security_groups.join(Run(world.cloud, "operation-2"), **members)
    assert first[1] != second[1]


def test_an_undone_join_leaves_no_group_of_the_instance(world: World) -> None:
    run = Run(world.cloud)
    security_groups.join(run, network="default", zone="z-a", instance="i", tags=(), service_accounts=())
    for undo in run.undos:
        undo()
    assert set(world.groups()) == {"default", SHARED}


def test_a_firewall_for_all_is_one_rule_in_the_networks_group(world: World) -> None:
    world.deploy("one")
    world.deploy("two")
    world.insert("ssh", allowed=_tcp("22"))
    assert world.shared() == {("tcp", 22, 22, "0.0.0.0/0")}
    assert world.own("one") == world.own("two") == set()


def test_machines_are_not_listed_while_no_firewall_depends_on_them(world: World) -> None:
    world.deploy("one")
    world.insert("ssh", allowed=_tcp("22"))
    with trace() as calls:
        world.converge()
    assert [call.command for call in calls] == ["listSecurityGroups", "listNetworks"]


def test_a_target_tag_opens_the_own_groups_of_those_who_carry_it(world: World) -> None:
    world.deploy("one", "web")
    world.deploy("two", "db")
    world.insert("http", allowed=_tcp("80"), targetTags=["web"])
    assert world.own("one") == {("tcp", 80, 80, "0.0.0.0/0")}
    assert world.shared() == world.own("two") == set()


def test_an_instance_made_after_the_firewall_is_open_when_it_starts(world: World) -> None:
    world.insert("http", allowed=_tcp("80"), targetTags=["web"])
    world.insert("ssh", allowed=_tcp("22"))
    world.join("one", "web")
    assert world.own("one") == {("tcp", 80, 80, "0.0.0.0/0")}
    assert world.shared() == {("tcp", 22, 22, "0.0.0.0/0")}


def test_a_denial_that_touches_a_rule_moves_it_to_the_own_groups(world: World) -> None:
    world.deploy("one", "web")
    world.deploy("two")
    world.insert("inside", allowed=_tcp("1-100"), sourceRanges=["10.0.0.0/8"])
    world.insert("not-web", denied=_tcp("22"), targetTags=["web"], priority=1, sourceRanges=["10.0.0.0/8"])
    assert world.shared() == {("tcp", 1, 21, "10.0.0.0/8"), ("tcp", 23, 100, "10.0.0.0/8")}
    assert world.own("one") == set()
    assert world.own("two") == {("tcp", 22, 22, "10.0.0.0/8")}


def test_source_tags_name_the_own_groups_of_peers(world: World) -> None:
    world.deploy("front", "web")
    world.deploy("back", "db")
    world.insert("db", allowed=_tcp("5432"), sourceTags=["web"], targetTags=["db"])
    assert world.own("back") == {("tcp", 5432, 5432, world.own_name("front"))}
    world.deploy("more", "web")
    assert {peer for *_, peer in world.own("back")} == {world.own_name("front"), world.own_name("more")}


def test_a_machine_of_another_tool_is_a_source_by_its_address(world: World) -> None:
    group = world.gateway.cloudstack("createSecurityGroup", name="theirs")["securitygroup"]["id"]
    row = world.gateway.deploy("their-machine", securitygroupids=group)
    world.deploy("back", "db")
    world.insert("db", allowed=_tcp("5432"), sourceTags=["theirs"], targetTags=["db"])
    assert world.own("back") == {("tcp", 5432, 5432, _host(row))}
    assert world.said("theirs") == set()


def test_service_accounts_are_known_from_the_own_group(world: World) -> None:
    world.deploy("front", accounts=("web@x.y",))
    world.deploy("back", accounts=("db@x.y",))
    rule = {"sourceServiceAccounts": ["web@x.y"], "targetServiceAccounts": ["db@x.y"]}
    world.insert("db", allowed=_tcp("5432"), **rule)
    assert world.own("back") == {("tcp", 5432, 5432, world.own_name("front"))}
    assert world.own("front") == set()


def test_denying_all_egress_is_one_rule_that_matches_nothing(world: World) -> None:
    world.deploy("one")
    world.insert("none", direction="EGRESS", denied=[{"IPProtocol": "all"}], destinationRanges=["0.0.0.0/0", "::/0"])
    assert world.shared() == {("tcp", 1, 1, ALL_EGRESS)}
    assert world.own("one") == set()
    world.gateway.run("DELETE", "global/firewalls/none")
    assert world.shared() == set()


def test_an_egress_denial_for_some_moves_all_egress_to_the_own_groups(world: World) -> None:
    world.deploy("one", "web")
    world.deploy("two")
    world.insert("no-mail", direction="EGRESS", denied=[{"IPProtocol": "all"}], destinationRanges=["10.0.0.0/9"])
    assert world.shared() == {("all", 0, 0, cidr) for cidr in _all_but_10_0_to_127()}
    everything = ["0.0.0.0/0", "::/0"]
    world.insert(
        "web-none",
        direction="EGRESS",
        denied=[{"IPProtocol": "all"}],
        targetTags=["web"],
        priority=1,
        destinationRanges=everything,
    )
    assert world.shared() == set()
    assert world.own("one") == {("tcp", 1, 1, ALL_EGRESS)}
    assert world.own("two") == {("all", 0, 0, cidr) for cidr in _all_but_10_0_to_127()}


def _all_but_10_0_to_127() -> list[str]:
    rest = ip_network("0.0.0.0/0").address_exclude(ip_network("10.0.0.0/9"))
    return [*map(str, rest), "::/0"]


def test_new_tags_take_effect_at_the_next_convergence(world: World) -> None:
    row = world.deploy("one")
    world.insert("http", allowed=_tcp("80"), targetTags=["web"])
    assert world.own("one") == set()
    world.tag(row, "web")
    world.converge()
    assert world.own("one") == {("tcp", 80, 80, "0.0.0.0/0")}


def test_rules_that_somebody_added_to_our_groups_go_and_missing_ones_come(world: World) -> None:
    world.deploy("one")
    world.insert("ssh", allowed=_tcp("22"))
    shared = world.groups()[SHARED]
    world.gateway.cloudstack("revokeSecurityGroupIngress", id=next(iter(shared.rules.values())))
    world.gateway.cloudstack("authorizeSecurityGroupIngress", securitygroupid=shared.id, cidrlist="0.0.0.0/0")
    world.gateway.simulator.settle()
    world.converge()
    assert world.shared() == {("tcp", 22, 22, "0.0.0.0/0")}


def test_a_deleted_firewall_closes_what_it_opened(world: World) -> None:
    world.deploy("one", "web")
    world.insert("ssh", allowed=_tcp("22"))
    world.insert("http", allowed=_tcp("80"), targetTags=["web"])
    for name in ("ssh", "http"):
        world.gateway.run("DELETE", f"global/firewalls/{name}")
    assert world.shared() == world.own("one") == set()


def test_groups_of_other_tools_are_never_written(world: World) -> None:
    group = world.gateway.cloudstack("createSecurityGroup", name="theirs")["securitygroup"]["id"]
    world.gateway.cloudstack("authorizeSecurityGroupIngress", securitygroupid=group, cidrlist="10.0.0.0/8")
    world.gateway.simulator.settle()
    world.deploy("one", "theirs")
    world.converge()
    assert world.said("theirs") == {("all", 0, 0, "10.0.0.0/8")}
    assert world.own("one") == {("all", 0, 0, "10.0.0.0/8")}


def test_a_destroyed_instance_leaves_all_rules_and_its_group_goes_when_it_is_expunged(world: World) -> None:
    row = world.deploy("front", "web")
    world.deploy("back", "db")
    world.insert("db", allowed=_tcp("5432"), sourceTags=["web"], targetTags=["db"])
    groups = [group["id"] for group in row["securitygroup"]]
    world.gateway.cloudstack("destroyVirtualMachine", id=row["id"])
    world.gateway.simulator.settle()
    assert security_groups.leave(world.run, groups=groups) is False
    assert world.own("back") == set()
    assert world.run.laters == [(security_groups.SWEEP, {"groups": groups})]
    world.gateway.as_user("admin").cloudstack("expungeVirtualMachine", id=row["id"])
    world.gateway.simulator.settle()
    assert security_groups.sweep(world.run, groups) is True
    assert not [name for name in world.groups() if ":front:" in name]
    assert SHARED in world.groups()


def test_trouble_with_rules_does_not_fail_what_destroyed_the_machine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = world.deploy("one")

    def away(*_: Any) -> Any:
        raise GceError("backendError", "CloudStack is away.")

    monkeypatch.setattr(security_groups, "bring", away)
    assert security_groups.leave(world.run, groups=[group["id"] for group in row["securitygroup"]]) is False
    assert world.run.laters


def test_firewalls_that_come_at_once_all_take_effect(world: World) -> None:
    world.deploy("one", "web")
    world.gateway.simulator.job_seconds = 0.01

    def insert(number: int) -> None:
        target = {"targetTags": ["web"]} if number % 2 else {}
        body = {"name": f"fw-{number}", "allowed": _tcp(str(100 + 2 * number)), **target}
        world.gateway.as_user("tenant").run("POST", "global/firewalls", body)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(insert, range(8)))
    assert {first for _, first, _, _ in world.shared()} == {100, 104, 108, 112}
    assert {first for _, first, _, _ in world.own("one")} == {102, 106, 110, 114}


def test_an_own_group_without_a_machine_is_a_leftover_after_an_hour(world: World) -> None:
    world.join("one")
    groups = list(world.groups().values())
    made = next(group.content["made"] for group in groups if group.purpose[:1] == ("instance",))
    assert leftovers(groups, made) == []
    assert [group.name for group in leftovers(groups, made + 1)] == [world.own_name("one")]


def test_many_changes_show_progress(world: World) -> None:
    world.deploy("one")
    world.insert("many", allowed=_tcp(*(str(port) for port in range(100, 150, 2))))
    for ruleid in world.groups()[SHARED].rules.values():
        world.gateway.cloudstack("revokeSecurityGroupIngress", id=ruleid)
    world.gateway.simulator.settle()
    world.converge()
    assert len(world.shared()) == 25
    assert world.run.percents
    assert world.run.percents == sorted(world.run.percents)


def test_what_cloudstack_refuses_is_raised_once_it_leaves_a_difference(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy("one")
    world.insert("ssh", allowed=_tcp("22"))
    shared = world.groups()[SHARED]
    world.gateway.cloudstack("revokeSecurityGroupIngress", id=next(iter(shared.rules.values())))
    world.gateway.simulator.settle()
    call = world.cloud.call

    def refusing(command: str, /, **params: Any) -> dict[str, Any]:
        if command == "authorizeSecurityGroupIngress":
            raise GceError("quotaExceeded", "No more rules.")
        return call(command, **params)

    monkeypatch.setattr(world.cloud, "call", refusing)
    with pytest.raises(GceError, match="No more rules"):
        world.converge()
