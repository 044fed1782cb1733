"""Deleting is clean: when all that was made is deleted again, CloudStack's lists are what they were before.

Of each list every row is compared with all of its members, so that tags, rules, counters and places of what stays are
held as well. The account may expunge its machines, so that nothing waits for the next day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Gateway
from tests.firewall.scenes import DEBIAN, INSTANCES, KINDS, VPC, Scene, staged

PIECES, ADDRESSES, ROUTERS = "regions/de-fra/subnetworks", "regions/de-fra/addresses", "regions/de-fra/routers"
LISTS = (
    ("listVirtualMachines", {}),
    ("listVolumes", {}),
    ("listSnapshots", {}),
    ("listNetworks", {}),
    ("listVPCs", {}),
    ("listNetworkACLLists", {}),
    ("listNetworkACLs", {}),
    ("listStaticRoutes", {}),
    ("listPublicIpAddresses", {}),
    ("listPublicIpAddresses", {"state": "Reserved"}),
    ("listFirewallRules", {}),
    ("listEgressFirewallRules", {}),
    ("listPortForwardingRules", {}),
    ("listLoadBalancerRules", {}),
    ("listSecurityGroups", {}),
    ("listTags", {}),
)
# Rules that are taken away and made again are others to CloudStack.
RULES = ("listFirewallRules", "listEgressFirewallRules", "listNetworkACLs")
# What CloudStack counts up, whatever is deleted.
COUNTED = ("bytesreceived", "bytessent", "cputotal", "receivedbytes", "sentbytes", "lastupdated")


@pytest.fixture(params=KINDS)
def scene(request: pytest.FixtureRequest, gateway: Gateway) -> Iterator[Scene]:
    """Each kind of zone, with an instance that stays in each subnetwork, and a firewall that speaks of them."""
    gateway.simulator.settings.update({"allow.user.expunge.recover.vm": True})
    with staged(gateway, request.param) as made:
        for number in range(len(made.pieces)):
            made.instance("stays" if number == 0 else "stays-too", "web")
        made.firewall("stays", allowed=[{"IPProtocol": "tcp", "ports": ["22"]}], targetTags=["web"])
        yield made


def picture(gateway: Gateway) -> dict[str, list[dict[str, Any]]]:
    """All that the account holds, and what CloudStack counts of it; in no order."""
    asked = [(command, gateway.cloudstack(command, **more)) for command, more in LISTS]
    asked.append(
        ("listAccounts", gateway.simulator.do("admin", "listAccounts", name=gateway.user, listall="true")["account"])
    )
    return {
        f"{number} {command}": _plain([_without(row, "id") if command in RULES else row for row in rows])
        for number, (command, rows) in enumerate(asked)
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return sorted(map(_plain, value), key=str)
    if isinstance(value, dict):
        return {key: _plain(some) for key, some in _without(value, "ruleid", *COUNTED).items()}
    return value


def _without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


def rules(scene: Scene) -> None:
    """Firewalls of all sorts."""
    scene.firewall("open", allowed=[{"IPProtocol": "tcp", "ports": ["80"]}], sourceTags=["web"])
    scene.firewall("no", denied=[{"IPProtocol": "all"}], sourceRanges=["9.0.0.0/8"], priority=9, targetTags=["web"])
    egress = {"direction": "EGRESS", "denied": [{"IPProtocol": "udp"}], "destinationRanges": ["8.0.0.0/8"]}
    scene.firewall("out", **egress)


def test_firewalls_and_instances_leave_nothing(scene: Scene) -> None:
    before = picture(scene.gateway)
    scene.instance("goes", "web", account="app@x.example")
    rules(scene)
    scene.tag("goes", "db", "web")
    scene.tag("stays", "db")
    scene.change("open", allowed=[{"IPProtocol": "udp"}])
    scene.tag("stays", "web")
    scene.remove("goes")
    for name in ("open", "no", "out"):
        scene.delete(name)
    assert picture(scene.gateway) == before


@pytest.mark.parametrize("scene", ["isolated", "vpc"], indirect=True)
def test_networks_addresses_routers_routes_and_interfaces_leave_nothing(scene: Scene) -> None:
    gateway = scene.gateway
    before = picture(gateway)
    vpc = not scene.targets
    params = {"params": VPC} if vpc else {}
    gateway.run("POST", "global/networks", {"name": "more", "autoCreateSubnetworks": False, **params})
    gateway.run("POST", PIECES, {"name": "more", "network": "global/networks/more", "ipCidrRange": "10.8.0.0/24"})
    gateway.run("POST", "global/firewalls", {"name": "f", "network": "global/networks/more", **PING})
    gateway.run("POST", ROUTERS, {"name": "r", "network": "global/networks/more"})
    gateway.run("POST", ADDRESSES, {"name": "outer", "labels": {"a": "b"}})
    inner = {"name": "inner", "addressType": "INTERNAL", "subnetwork": f"{PIECES}/more", "address": "10.8.0.9"}
    gateway.run("POST", ADDRESSES, inner)
    if vpc:
        route = {
            "network": "global/networks/more",
            "destRange": "172.16.0.0/16",
            "priority": 1000,
            "nextHopIp": "10.8.0.9",
        }
        gateway.run("POST", "global/routes", {"name": "route", **route})
    outer = gateway.get(f"{ADDRESSES}/outer")["address"]
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    nic = {
        "subnetwork": f"{PIECES}/more",
        "networkIP": "10.8.0.9",
        "accessConfigs": [{"natIP": outer}],
        "aliasIpRanges": [{"ipCidrRange": "10.8.0.20/32"}],
    }
    body = {"name": "goes", "machineType": "tiny", "disks": [disk], "networkInterfaces": [nic]}
    gateway.run("POST", INSTANCES, body)
    path = f"{INSTANCES}/goes"
    stamp = gateway.get(path)["networkInterfaces"][0]["fingerprint"]
    changed = {"fingerprint": stamp, "aliasIpRanges": [{"ipCidrRange": "10.8.0.21/32"}]}
    gateway.run("PATCH", f"{path}/updateNetworkInterface", changed, networkInterface="nic0")
    gateway.run("POST", f"{path}/addNetworkInterface", {"subnetwork": scene.pieces[0]})
    gateway.run("POST", f"{path}/addAccessConfig", {"name": "x"}, networkInterface="nic1")
    gateway.run("DELETE", path)
    if vpc:
        gateway.run("DELETE", "global/routes/route")
    for path in (
        f"{ADDRESSES}/inner",
        f"{ADDRESSES}/outer",
        f"{ROUTERS}/r",
        "global/firewalls/f",
        f"{PIECES}/more",
        "global/networks/more",
    ):
        gateway.run("DELETE", path)
    assert picture(gateway) == before


@pytest.mark.parametrize("scene", ["isolated", "vpc"], indirect=True)
def test_an_interface_and_what_it_had_leave_nothing_on_an_instance_that_stays(scene: Scene) -> None:
    gateway = scene.gateway
    params = {} if scene.targets else {"params": VPC}
    gateway.run("POST", "global/networks", {"name": "more", "autoCreateSubnetworks": False, **params})
    gateway.run("POST", PIECES, {"name": "more", "network": "global/networks/more", "ipCidrRange": "10.8.0.0/24"})
    gateway.run("POST", INSTANCES, _machine(f"{PIECES}/more"))  # so that the network is up
    before = picture(gateway)
    path, nic1 = f"{INSTANCES}/stays", {"networkInterface": "nic1"}
    gateway.run("POST", f"{path}/addNetworkInterface", {"subnetwork": f"{PIECES}/more"})
    gateway.run("POST", f"{path}/addAccessConfig", {"name": "x"}, **nic1)
    stamp = gateway.get(path)["networkInterfaces"][1]["fingerprint"]
    wanted = {"fingerprint": stamp, "aliasIpRanges": [{"ipCidrRange": "10.8.0.21/32"}]}
    gateway.run("PATCH", f"{path}/updateNetworkInterface", wanted, **nic1)
    gateway.run("POST", f"{path}/deleteNetworkInterface", networkInterfaceName="nic1")
    assert picture(gateway) == before


def _machine(piece: str) -> dict[str, Any]:
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    return {"name": "other", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{"subnetwork": piece}]}


PING = {"allowed": [{"IPProtocol": "icmp"}]}
