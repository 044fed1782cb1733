"""Packets, not rules: in each kind of zone the simulated cloud lets through what GCE would, after every change.

What CloudStack does is asked of its own rule tables (gstack/simulator/packets.py), which know nothing of gstack's
compiler; what GCE does is worked out here, from the firewalls and instances that clients see. The one difference is
what the documentation names: inside of an isolated network or of a tier everything passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from itertools import permutations, product
from typing import Any

import pytest

from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
SERVICES = (("tcp", 22), ("tcp", 80), ("tcp", 443), ("udp", 53), ("icmp", 0))
OUTSIDE = ("9.9.9.9", "8.8.8.8", "203.0.113.7")
VPC = {"resourceManagerTags": {"gstack-network-model": "vpc"}}


@dataclass
class Scene:
    """A zone with a network in it; ``pieces`` are where instances go in turn, ``open`` whether nothing is filtered
    inside of one, ``targets`` whether firewalls may aim at some instances."""

    gateway: Gateway
    network: str
    pieces: tuple[str | None, ...]
    open: bool
    targets: bool
    made: int = 0

    def firewall(self, name: str, **members: Any) -> None:
        """Make a firewall; for all instances where it cannot aim at some."""
        if not self.targets:
            members.pop("targetTags", None)
        body = {"name": name, "network": f"global/networks/{self.network}", **members}
        self.gateway.run("POST", "global/firewalls", body)

    def delete(self, name: str) -> None:
        self.gateway.run("DELETE", f"global/firewalls/{name}")

    def instance(self, name: str, *tags: str) -> None:
        piece = self.pieces[self.made % len(self.pieces)]
        self.made += 1
        nic = {"subnetwork": piece} if piece else {}
        body = {
            "name": name,
            "machineType": "tiny",
            "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
            "networkInterfaces": [{**nic, "accessConfigs": [{"name": "nat"}]}],
            "tags": {"items": list(tags)},
        }
        self.gateway.run("POST", "zones/{zone}/instances", body)

    def tag(self, name: str, *tags: str) -> None:
        path = f"zones/{{zone}}/instances/{name}"
        stamp = self.gateway.get(path)["tags"]["fingerprint"]
        self.gateway.run("POST", f"{path}/setTags", {"items": list(tags), "fingerprint": stamp})

    def check(self) -> int:
        """Ask for every packet; how many arrive."""
        found = self.gateway.get("global/firewalls").get("items", [])
        mine = [one for one in found if one["network"].endswith(f"/{self.network}")]
        guests = [Guest(one) for one in self.gateway.get("zones/{zone}/instances").get("items", [])]
        arrived = 0
        for service in SERVICES:
            ways: list[tuple[Any, Any]] = [
                *permutations(guests, 2),
                *product(OUTSIDE, guests),
                *product(guests, OUTSIDE),
            ]
            for source, destination in ways:
                arrived += self._one(mine, source, destination, service)
        return arrived

    def _one(self, firewalls: list[dict[str, Any]], source: Any, destination: Any, service: tuple[str, int]) -> bool:
        start = source.inner if isinstance(source, Guest) else source
        goal = destination
        if isinstance(destination, Guest):
            goal = destination.inner if isinstance(source, Guest) else destination.outer
        expected = allowed(firewalls, "EGRESS", source, destination, service)
        expected = expected and allowed(firewalls, "INGRESS", destination, source, service)
        if self.open and isinstance(source, Guest) and isinstance(destination, Guest):
            expected = expected or source.piece == destination.piece
        sender = self.gateway.cloudstack("listVirtualMachines", name=source.name)[0]["id"] if source != start else start
        verdict = self.gateway.simulator.reaches(sender, goal, service[0], service[1] or None)
        assert bool(verdict) is expected, (service, source, destination, verdict.why)
        return expected


class Guest:
    """An instance as packets meet it."""

    def __init__(self, body: dict[str, Any]) -> None:
        (nic,) = body["networkInterfaces"]
        self.name, self.tags = body["name"], set(body["tags"].get("items", []))
        self.inner, self.outer, self.piece = nic["networkIP"], nic["accessConfigs"][0]["natIP"], nic["subnetwork"]

    def __repr__(self) -> str:
        return f"{self.name} {sorted(self.tags)}"


def allowed(firewalls: list[dict[str, Any]], way: str, own: Any, peer: Any, service: tuple[str, int]) -> bool:
    """What GCE decides of a packet at ``own``: the matching rule of the lowest number, a denial among equals."""
    if not isinstance(own, Guest):
        return True
    verdicts = [
        (one["priority"], "allowed" in one)
        for one in firewalls
        if one["direction"] == way and _speaks(one, own) and _names(one, peer) and _means(one, service)
    ]
    return min(verdicts)[1] if verdicts else way == "EGRESS"


def _speaks(firewall: dict[str, Any], own: Guest) -> bool:
    return not firewall.get("targetTags") or bool(own.tags & set(firewall["targetTags"]))


def _names(firewall: dict[str, Any], peer: Any) -> bool:
    address = ip_address(peer.inner if isinstance(peer, Guest) else peer)
    ranges = firewall.get("sourceRanges", []) + firewall.get("destinationRanges", [])
    tagged = isinstance(peer, Guest) and bool(peer.tags & set(firewall.get("sourceTags", [])))
    return tagged or any(address in ip_network(text) for text in ranges)


def _means(firewall: dict[str, Any], service: tuple[str, int]) -> bool:
    for entry in firewall.get("allowed") or firewall["denied"]:
        ends = [[int(end) for end in text.split("-")] for text in entry.get("ports", ["0-65535"])]
        ported = any(some[0] <= service[1] <= some[-1] for some in ends)
        if entry["IPProtocol"] == "all" or (entry["IPProtocol"] == service[0] and ported):
            return True
    return False


@pytest.fixture(params=["basic", "groups", "isolated", "vpc"])
def scene(request: pytest.FixtureRequest, gateway: Gateway) -> Scene:
    """Each kind of zone."""
    kind = request.param
    gateway.zone = {"basic": "ch-gva-2", "groups": "at-vie-1"}.get(kind, "de-fra-1")
    if kind in ("basic", "groups"):
        return Scene(gateway, "default", (None,), open=False, targets=True)
    body = {"name": "net", "autoCreateSubnetworks": False, **({"params": VPC} if kind == "vpc" else {})}
    gateway.run("POST", "global/networks", body)
    names = ("front", "back") if kind == "vpc" else ("sub",)
    for number, name in enumerate(names, 1):
        piece = {"name": name, "network": "global/networks/net", "ipCidrRange": f"10.{number}.0.0/24"}
        gateway.run("POST", "regions/de-fra/subnetworks", piece)
    pieces = tuple(f"regions/de-fra/subnetworks/{name}" for name in names)
    return Scene(gateway, "net", pieces, open=True, targets=kind == "isolated")


SSH = {"allowed": [{"IPProtocol": "tcp", "ports": ["22"]}]}
WEB = {"allowed": [{"IPProtocol": "tcp", "ports": ["80", "440-450"]}], "targetTags": ["web"]}
DNS = {"allowed": [{"IPProtocol": "udp"}], "sourceTags": ["web"]}


def test_firewalls_hold_for_instances_made_before_and_after_them(scene: Scene) -> None:
    scene.firewall("ssh", **SSH)
    scene.instance("one", "web")
    arrived = scene.check()
    scene.instance("two")
    scene.firewall("web", **WEB)
    scene.firewall("dns", **DNS)
    assert scene.check() > arrived
    scene.instance("three", "web")
    scene.check()


def test_tags_that_change_on_running_instances_change_what_arrives(scene: Scene) -> None:
    scene.instance("one", "web")
    scene.instance("two")
    scene.firewall("web", **WEB)
    scene.firewall("dns", **DNS)
    scene.check()
    scene.tag("one")
    scene.check()
    scene.tag("two", "web", "db")
    scene.check()


def test_denials_hold_by_their_priority_and_go(scene: Scene) -> None:
    scene.firewall("ssh", **SSH)
    scene.firewall("ping", allowed=[{"IPProtocol": "icmp"}], priority=100)
    scene.instance("one", "web")
    scene.instance("two")
    free = scene.check()
    scene.firewall("no", denied=[{"IPProtocol": "all"}], sourceRanges=["9.0.0.0/8"], priority=500)
    some = scene.check()
    assert some < free
    scene.firewall(
        "same", denied=[{"IPProtocol": "icmp"}], sourceRanges=["8.8.8.8/32"], priority=100, targetTags=["web"]
    )
    assert scene.check() < some
    scene.delete("same")
    scene.delete("no")
    assert scene.check() == free


def test_what_leaves_is_denied_to_whom_it_is_denied(scene: Scene) -> None:
    scene.instance("one", "locked")
    scene.instance("two")
    free = scene.check()
    egress = {"direction": "EGRESS", "denied": [{"IPProtocol": "all"}]}
    scene.firewall("no", **egress, destinationRanges=["8.0.0.0/8"], targetTags=["locked"])
    assert scene.check() < free
    scene.firewall("all", **egress, destinationRanges=["0.0.0.0/0"], priority=2000)
    web = {"direction": "EGRESS", "allowed": [{"IPProtocol": "tcp", "ports": ["443"]}]}
    scene.firewall("web", **web, destinationRanges=["203.0.113.0/24"])
    scene.check()
    for name in ("no", "all", "web"):
        scene.delete(name)
    assert scene.check() == free


def test_without_a_firewall_nothing_comes_in_from_outside(scene: Scene) -> None:
    scene.instance("one")
    scene.firewall("ssh", **SSH)
    scene.delete("ssh")
    assert scene.check() == len(SERVICES) * len(OUTSIDE)  # what leaves
