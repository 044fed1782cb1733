"""Operations of isolated networks and their addresses when CloudStack fails, loses answers, or keeps what is gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from gstack.operations import networks as workflows
from gstack.store.db import db
from gstack.store.overlay import Overlay
from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
PIECES, INSTANCES, ADDRESSES = "regions/de-fra/subnetworks", "zones/de-fra-1/instances", "regions/de-fra/addresses"


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    gateway.zone = "de-fra-1"
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    return gateway


def piece(gateway: Gateway) -> dict[str, Any]:
    return gateway.run("POST", PIECES, subnetwork())


def subnetwork() -> dict[str, Any]:
    return {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/24", "description": "d"}


def body(name: str = "web", **config: Any) -> dict[str, Any]:
    return {
        "name": name,
        "machineType": "tiny",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
        "networkInterfaces": [{"network": "global/networks/net", "accessConfigs": [{"name": "nat", **config}]}],
    }


def remembered(gateway: Gateway) -> set[str]:
    with gateway.app.app_context():
        return {kind for (kind,) in db.session.query(Overlay.kind)}


@pytest.mark.parametrize("command", ["createNetwork", "createTags", "createEgressFirewallRule"])
def test_a_subnetwork_that_fails_anywhere_leaves_nothing(fra: Gateway, command: str) -> None:
    fra.simulator.faults.add("status", command, code=530, text="no luck")
    fra.simulator.faults.add("status", command, code=530, text="no luck")
    assert "no luck" in fra.fail("POST", PIECES, subnetwork())["message"]
    assert fra.cloudstack("listNetworks", type="Isolated") == []
    assert fra.names(PIECES) == []
    assert remembered(fra) == {"networks"}


@pytest.mark.parametrize("command", ["createNetwork", "createTags", "createEgressFirewallRule"])
def test_a_subnetwork_whose_answers_are_lost_is_made_once(fra: Gateway, command: str) -> None:
    fra.simulator.faults.add("lose", command)
    piece(fra)
    assert len(fra.cloudstack("listNetworks", type="Isolated")) == 1
    assert len(fra.cloudstack("listEgressFirewallRules")) == 1


@pytest.mark.parametrize("command", ["associateIpAddress", "createTags", "enableStaticNat", "deployVirtualMachine"])
def test_an_instance_that_fails_gives_its_address_back(fra: Gateway, command: str) -> None:
    piece(fra)
    fra.simulator.faults.add("status", command, code=530, text="no luck")
    assert "no luck" in fra.fail("POST", INSTANCES, body())["message"]
    assert fra.names(INSTANCES) == []
    assert [row for row in fra.cloudstack("listPublicIpAddresses") if not row["issourcenat"]] == []


@pytest.mark.parametrize(
    "command", ["associateIpAddress", "enableStaticNat", "deployVirtualMachine", "createFirewallRule"]
)
def test_an_instance_whose_answers_are_lost_is_made_once_with_one_address(fra: Gateway, command: str) -> None:
    piece(fra)
    allowed = [{"IPProtocol": "icmp"}]
    fra.run("POST", "global/firewalls", {"name": "ping", "network": "global/networks/net", "allowed": allowed})
    fra.simulator.faults.add("lose", command)
    fra.run("POST", INSTANCES, body())
    assert len(fra.cloudstack("listVirtualMachines")) == 1
    assert len(fra.cloudstack("listPublicIpAddresses", issourcenat="false")) == 1
    assert len(fra.cloudstack("listFirewallRules")) == 1


def test_a_reserved_address_survives_an_instance_that_fails(fra: Gateway) -> None:
    piece(fra)
    fra.run("POST", ADDRESSES, {"name": "front"})
    address = fra.get(f"{ADDRESSES}/front")
    fra.simulator.faults.add("status", "enableStaticNat", code=530, text="no luck")
    fra.fail("POST", INSTANCES, body(natIP=address["address"]))
    assert fra.get(f"{ADDRESSES}/front") == address


def test_instances_side_by_side_share_the_piece_of_an_auto_network(fra: Gateway) -> None:
    def insert(number: int) -> None:
        content = body(f"web-{number}")
        content["networkInterfaces"] = [{"accessConfigs": [{}]}]
        fra.run("POST", INSTANCES, content)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(insert, range(3)))
    assert len(fra.cloudstack("listNetworks", type="Isolated")) == 1
    tied = fra.cloudstack("listPublicIpAddresses", isstaticnat="true")
    assert len({row["virtualmachineid"] for row in tied}) == len(tied) == 3


@pytest.mark.parametrize("lost", [None, "stopVirtualMachine", "updateVmNicIp", "destroyVirtualMachine"])
def test_an_instance_that_takes_anothers_place_has_its_fixed_address(fra: Gateway, lost: str | None) -> None:
    piece(fra)
    content = body()
    content["networkInterfaces"][0]["networkIP"] = "10.1.0.50"
    fra.run("POST", INSTANCES, content)
    if lost:
        fra.simulator.faults.add("lose", lost)
    fra.run("DELETE", f"{INSTANCES}/web")
    fra.run("POST", INSTANCES, content)
    assert fra.get(f"{INSTANCES}/web")["networkInterfaces"][0]["networkIP"] == "10.1.0.50"


def test_an_instance_whose_deletion_fails_runs_with_its_fixed_address(fra: Gateway) -> None:
    piece(fra)
    content = body()
    content["networkInterfaces"][0]["networkIP"] = "10.1.0.50"
    fra.run("POST", INSTANCES, content)
    fra.simulator.faults.add("status", "destroyVirtualMachine", code=530, text="no luck")
    assert "no luck" in fra.fail("DELETE", f"{INSTANCES}/web")["message"]
    found = fra.get(f"{INSTANCES}/web")
    assert (found["status"], found["networkInterfaces"][0]["networkIP"]) == ("RUNNING", "10.1.0.50")


def test_an_address_that_cannot_be_left_is_a_warning(fra: Gateway) -> None:
    piece(fra)
    content = body()
    content["networkInterfaces"][0]["networkIP"] = "10.1.0.50"
    fra.run("POST", INSTANCES, content)
    fra.simulator.faults.add("status", "updateVmNicIp", code=530, text="no luck")
    (warning,) = fra.run("DELETE", f"{INSTANCES}/web")["warnings"]
    assert "10.1.0.50" in warning["message"]
    assert fra.names(INSTANCES) == []


def test_who_waits_for_an_operator_keeps_nobody_from_making(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflows, "_made", lambda writer, plan: {"id": plan["name"]})
    waits, mended = Event(), Event()
    plan = {"zoneid": "z", "network": "net", "model": "isolated", "name": "sub"}

    def made(account: str, blocked: bool) -> dict[str, Any]:
        def use(function: Any) -> Any:
            if blocked:
                waits.set()
                mended.wait(120)
            return function(SimpleNamespace(key=account))

        run = MagicMock(**{"step.side_effect": lambda name, body: body(), "cloud.use.side_effect": use})
        return workflows.make(run, plan)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(made, "a", True)
        try:
            assert waits.wait(30)
            assert pool.submit(made, "b", False).result(60)["id"] == "sub"
        finally:
            mended.set()
        assert first.result(60)["id"] == "sub"


def test_a_deleted_subnetwork_goes_when_its_machines_are_expunged(
    fra: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    later: list[tuple[str, dict[str, Any]]] = []
    monkeypatch.setattr("gstack.operations.run.Run.later", lambda run, name, plan, delay: later.append((name, plan)))
    piece(fra)
    fra.run("POST", INSTANCES, body())
    fra.run("DELETE", f"{INSTANCES}/web")
    fra.run("DELETE", f"{PIECES}/sub")
    (row,) = fra.cloudstack("listNetworks", type="Isolated")
    assert later == [(workflows.SWEEP, {"id": row["id"], "vpc": None, "tries": 0})]
    assert fra.names(PIECES) == []
    piece(fra)
    assert fra.names(PIECES) == ["sub"]
