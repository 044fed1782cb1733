"""Forwarding rules that come and go side by side, on one address or under one name: none takes away another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gstack.operations import addresses as tying
from gstack.operations import balancing, engine, reserving
from gstack.operations import forwarding_rules as workflows
from tests.conftest import Gateway
from tests.resources.test_forwarding_rules import (
    ADDRESSES,
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


@pytest.fixture
def front(fra: Gateway) -> str:
    """A reserved address, besides a pool with one machine and two open ports."""
    machine(fra, "one")
    allow(fra, "tls", ranges=["9.0.0.0/8"], port="443")
    pool(fra, "one")
    fra.run("POST", ADDRESSES, {"name": "front"})
    return str(fra.get(f"{ADDRESSES}/front")["address"])


@pytest.fixture
def before(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has something happen once, right before a function is called for the first time from now on."""

    def once(room: Any, name: str, happening: Callable[[], object]) -> None:
        function = getattr(room, name)

        def called(*args: Any, **more: Any) -> Any:
            monkeypatch.setattr(room, name, function)
            happening()
            return function(*args, **more)

        monkeypatch.setattr(room, name, called)

    return once


def body(name: str, port: str, address: str | None = None) -> dict[str, Any]:
    return {"name": name, "target": f"{POOLS}/pool", "portRange": port} | ({"IPAddress": address} if address else {})


def test_of_two_rules_of_one_name_the_first_stays(fra: Gateway, front: str, before: Callable[..., None]) -> None:
    before(engine, "start", lambda: fra.run("POST", RULES, body("rule", "80", front)))
    assert fra.fail("POST", RULES, body("rule", "443"))["code"] == "RESOURCE_ALREADY_EXISTS"
    assert (fra.get(f"{RULES}/rule")["portRange"], len(arriving(fra, front))) == ("80-80", 1)
    assert len(fra.cloudstack("listPublicIpAddresses", issourcenat="false")) == 1


def test_of_two_rules_for_one_port_of_an_address_the_first_stays(
    fra: Gateway, front: str, before: Callable[..., None]
) -> None:
    before(engine, "start", lambda: fra.run("POST", RULES, body("first", "80", front)))
    assert "forwardingRules/first" in fra.fail("POST", RULES, body("second", "79-81", front))["message"]
    assert (fra.names(RULES), len(arriving(fra, front))) == (["first"], 1)
    assert fra.get(f"{ADDRESSES}/front")["users"][0].endswith("/first")


def test_two_rules_share_an_address_from_their_first_moment(
    fra: Gateway, front: str, before: Callable[..., None]
) -> None:
    before(workflows, "_remember", lambda: fra.run("POST", RULES, body("first", "80", front)))
    fra.run("POST", RULES, body("second", "443", front))
    assert [len(arriving(fra, front, port=port)) for port in (80, 443)] == [1, 1]


@pytest.mark.parametrize("moment", [(balancing, "_move"), (tying, "move"), (reserving, "mark")])
def test_two_rules_bring_their_address_to_its_network_at_once(
    fra: Gateway, front: str, before: Callable[..., None], moment: tuple[Any, str]
) -> None:
    before(*moment, lambda: fra.run("POST", RULES, body("first", "80", front)))
    fra.run("POST", RULES, body("second", "443", front))
    assert [len(arriving(fra, front, port=port)) for port in (80, 443)] == [1, 1]
    for name in ("first", "second"):
        fra.run("DELETE", f"{RULES}/{name}")
    assert fra.get(f"{ADDRESSES}/front")["status"] == "RESERVED"


def test_another_rule_of_the_name_is_not_deleted_in_place_of_the_one_that_was_meant(
    fra: Gateway, front: str, before: Callable[..., None]
) -> None:
    rule(fra)

    def again() -> None:
        fra.run("DELETE", f"{RULES}/rule")
        rule(fra, IPAddress=front)

    before(engine, "start", again)
    fra.fail("DELETE", f"{RULES}/rule")
    assert len(arriving(fra, front)) == 1


def test_rules_that_leave_one_address_together_leave_it_free(
    fra: Gateway, front: str, before: Callable[..., None]
) -> None:
    rule(fra, "first", IPAddress=front)
    rule(fra, "second", IPAddress=front, portRange="443")
    before(balancing, "mark", lambda: fra.run("DELETE", f"{RULES}/second"))
    fra.run("DELETE", f"{RULES}/first")
    assert fra.get(f"{ADDRESSES}/front")["status"] == "RESERVED"
    assert fra.cloudstack("listLoadBalancerRules") == []


def test_a_rule_comes_to_an_address_that_its_last_rule_leaves(
    fra: Gateway, front: str, before: Callable[..., None]
) -> None:
    rule(fra, "first", IPAddress=front)
    before(workflows, "_remember", lambda: fra.run("DELETE", f"{RULES}/first"))
    fra.run("POST", RULES, body("second", "443", front))
    assert len(arriving(fra, front, port=443)) == 1
    assert fra.get(f"{ADDRESSES}/front")["users"][0].endswith("/second")


def test_a_rule_that_fails_leaves_its_address_to_another(fra: Gateway, front: str, before: Callable[..., None]) -> None:
    def meanwhile() -> None:
        fra.run("POST", RULES, body("other", "80", front))
        fra.run("DELETE", f"{POOLS}/gone")

    fra.run("POST", POOLS, {"name": "gone"})
    before(balancing, "mark", meanwhile)
    failing = body("failing", "443", front) | {"target": f"{POOLS}/gone"}
    assert "targetPools/gone" in fra.fail("POST", RULES, failing)["message"]
    assert fra.get(f"{ADDRESSES}/front")["users"][0].endswith("/other")
    before_all = held(fra)
    fra.run("POST", POOLS, {"name": "idle"})
    assert (held(fra), len(arriving(fra, front))) == (before_all, 1)
