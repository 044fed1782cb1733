"""A zone with a network in it, told what to do as clients tell it, and asked for every packet.

Apart from the tests because told and random stories are judged in the same way: what CloudStack does is asked of its
own rule tables (gstack/simulator/packets.py), which know nothing of gstack's compiler; what GCE does is worked out
here, from the firewalls and instances that clients see. The one difference that is accepted in silence is what the
documentation names: inside of an isolated network or of a tier everything passes. What stays closed although GCE would
open it has to be said by the enforcers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from itertools import permutations, product
from typing import Any

from gstack.cloudstack.client import Cloud, Endpoint
from gstack.firewall import security_groups
from gstack.firewall.writer import Writer
from gstack.operations.reconcile import drift
from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
KINDS = ("basic", "groups", "isolated", "vpc")
# Protocol, as the simulated cloud takes it, and port.
SERVICES = (("tcp", 22), ("tcp", 80), ("tcp", 443), ("udp", 53), ("icmp", 0), ("132", 0))
NUMBERS = {"tcp": "6", "udp": "17", "icmp": "1", "esp": "50", "ah": "51", "sctp": "132", "ipip": "4"}
OUTSIDE = ("9.9.9.9", "8.8.8.8", "203.0.113.7")
# The first is on the network of the instances, and none of them.
NETWORK6, OUTSIDE6 = "2001:db8:1::/64", ("2001:db8:1::9", "2001:db8:2::9", "2620:fe::9")
VPC = {"resourceManagerTags": {"gstack-network-model": "vpc"}}
INSTANCES = "zones/{zone}/instances"


@dataclass
class Scene:
    """``pieces`` are where instances go in turn, ``open`` whether nothing is filtered inside of one, ``targets``
    whether firewalls may aim at some instances."""

    gateway: Gateway
    cloud: Cloud
    network: str
    pieces: tuple[str | None, ...]
    open: bool
    targets: bool
    made: int = 0

    def firewall(self, name: str, **members: Any) -> None:
        """Make a firewall."""
        self.gateway.run("POST", "global/firewalls", self._body(name, members))

    def change(self, name: str, **members: Any) -> None:
        """Put another firewall in the place of one; its direction stays."""
        self.gateway.run("PUT", f"global/firewalls/{name}", self._body(name, members))

    def delete(self, name: str) -> None:
        """Delete a firewall."""
        self.gateway.run("DELETE", f"global/firewalls/{name}")

    def instance(self, name: str, *tags: str, account: str | None = None) -> None:
        """Make an instance with an external address, in the next of the pieces."""
        piece = self.pieces[self.made % len(self.pieces)]
        self.made += 1
        nic = {"subnetwork": piece} if piece else {}
        body = {
            "name": name,
            "machineType": "tiny",
            "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
            "networkInterfaces": [{**nic, "accessConfigs": [{"name": "nat"}]}],
            "tags": {"items": list(tags)},
            "serviceAccounts": [{"email": account, "scopes": []}] if account else [],
        }
        self.gateway.run("POST", INSTANCES, body)

    def remove(self, name: str) -> None:
        """Delete an instance."""
        self.gateway.run("DELETE", f"{INSTANCES}/{name}")

    def tag(self, name: str, *tags: str) -> None:
        """Give an instance other network tags."""
        path = f"{INSTANCES}/{name}"
        stamp = self.gateway.get(path)["tags"]["fingerprint"]
        self.gateway.run("POST", f"{path}/setTags", {"items": list(tags), "fingerprint": stamp})

    def power(self, name: str) -> None:
        """Stop an instance that runs, start one that does not."""
        self.gateway.run("POST", f"{INSTANCES}/{name}/{'stop' if self.runs(name) else 'start'}")

    def runs(self, name: str) -> bool:
        """Whether an instance runs."""
        return bool(self.gateway.get(f"{INSTANCES}/{name}")["status"] == "RUNNING")

    def employ(self, name: str, account: str) -> None:
        """Give an instance that is stopped another service account."""
        body = {"email": account, "scopes": []}
        self.gateway.run("POST", f"{INSTANCES}/{name}/setServiceAccount", body)

    def together(self, *deeds: Callable[[Scene], None]) -> None:
        """Do all of these at once, each as a client of its own. New instances go into different pieces."""
        scenes = [replace(self, gateway=replace(self.gateway), made=self.made + at) for at in range(len(deeds))]
        with ThreadPoolExecutor(len(deeds)) as pool:
            for done in [pool.submit(deed, scene) for deed, scene in zip(deeds, scenes, strict=True)]:
                done.result()

    def check(self, *, ipv6: bool = False) -> int:
        """Ask for every packet, with ``ipv6`` for every one of that; how many arrive."""
        assert drift(self.cloud)[0] == []
        said = security_groups.bring(Writer(self.cloud, lambda seconds: None))
        found = self.gateway.get("global/firewalls").get("items", [])
        mine = [one for one in found if one["network"].endswith(f"/{self.network}")]
        guests = [Guest(one) for one in self.gateway.get(INSTANCES).get("items", [])]
        for guest in guests if ipv6 else ():
            guest.inner = guest.outer = self.row(guest.name)["nic"][0]["ip6address"]
        outside = OUTSIDE6 if ipv6 else OUTSIDE
        arrived = 0
        # ICMP is not of IPv6, whose own is another protocol.
        for service in [one for one in SERVICES if not ipv6 or one[0] != "icmp"]:
            ways: list[tuple[Any, Any]] = [
                *permutations(guests, 2),
                *product(outside, guests),
                *product(guests, outside),
            ]
            for source, destination in ways:
                arrived += self._one(mine, source, destination, service, said)
        return arrived

    def row(self, name: str) -> dict[str, Any]:
        """CloudStack's row of an instance."""
        return dict(self.gateway.cloudstack("listVirtualMachines", name=name)[0])

    def _one(
        self,
        firewalls: list[dict[str, Any]],
        source: str | Guest,
        destination: str | Guest,
        service: tuple[str, int],
        said: list[str],
    ) -> bool:
        goal = destination
        if isinstance(destination, Guest):
            goal = destination.inner if isinstance(source, Guest) else destination.outer
        expected = all(guest.runs for guest in (source, destination) if isinstance(guest, Guest))
        within = isinstance(source, Guest) and isinstance(destination, Guest) and source.piece == destination.piece
        if not (self.open and within):
            expected = expected and allowed(firewalls, "EGRESS", source, destination, service)
            expected = expected and allowed(firewalls, "INGRESS", destination, source, service)
        sender = source
        if isinstance(source, Guest):
            sender = self.row(source.name)["id"]
        verdict = self.gateway.simulator.reaches(str(sender), str(goal), service[0], service[1] or None)
        narrower = expected and not verdict and bool(said)
        assert bool(verdict) is expected or narrower, (service, source, destination, verdict.why)
        return bool(verdict)

    def _body(self, name: str, members: dict[str, Any]) -> dict[str, Any]:
        """A firewall; for all instances where it cannot aim at some."""
        aims = ("targetTags", "targetServiceAccounts")
        kept = {key: value for key, value in members.items() if self.targets or key not in aims}
        return {"name": name, "network": f"global/networks/{self.network}", **kept}


class Guest:
    """An instance as packets meet it."""

    def __init__(self, body: dict[str, Any]) -> None:
        (nic,) = body["networkInterfaces"]
        self.name, self.tags = body["name"], set(body["tags"].get("items", []))
        self.accounts = {one["email"] for one in body.get("serviceAccounts", [])}
        self.runs = body["status"] == "RUNNING"
        self.inner, self.outer, self.piece = nic["networkIP"], nic["accessConfigs"][0]["natIP"], nic["subnetwork"]

    def __repr__(self) -> str:
        return f"{self.name} {sorted(self.tags | self.accounts)}"


@contextmanager
def staged(gateway: Gateway, kind: str) -> Iterator[Scene]:
    """A scene in one of KINDS."""
    endpoint = Endpoint(gateway.settings)
    cloud = endpoint.cloud(*gateway.simulator.keys(gateway.user), key=gateway.user)
    gateway.zone = {"basic": "ch-gva-2", "groups": "at-vie-1"}.get(kind, "de-fra-1")
    if kind in ("basic", "groups"):
        yield Scene(gateway, cloud, "default", (None,), open=False, targets=True)
    else:
        body = {"name": "net", "autoCreateSubnetworks": False, **({"params": VPC} if kind == "vpc" else {})}
        gateway.run("POST", "global/networks", body)
        names = ("front", "back") if kind == "vpc" else ("sub",)
        for number, name in enumerate(names, 1):
            piece = {"name": name, "network": "global/networks/net", "ipCidrRange": f"10.{number}.0.0/24"}
            gateway.run("POST", "regions/de-fra/subnetworks", piece)
        pieces = tuple(f"regions/de-fra/subnetworks/{name}" for name in names)
        yield Scene(gateway, cloud, "net", pieces, open=True, targets=kind == "isolated")
    endpoint.close()


def allowed(
    firewalls: list[dict[str, Any]], way: str, own: str | Guest, peer: str | Guest, service: tuple[str, int]
) -> bool:
    """What GCE decides of a packet at ``own``: the matching rule of the lowest number, a denial among equals."""
    if not isinstance(own, Guest):
        return True
    verdicts = [
        (one["priority"], "allowed" in one)
        for one in firewalls
        if one["direction"] == way
        and not one["disabled"]
        and _speaks(one, own)
        and _names(one, own, peer)
        and _means(one, service)
    ]
    return min(verdicts)[1] if verdicts else way == "EGRESS"


def _speaks(firewall: dict[str, Any], own: Guest) -> bool:
    tags, accounts = set(firewall.get("targetTags", [])), set(firewall.get("targetServiceAccounts", []))
    return not (tags or accounts) or bool(own.tags & tags or own.accounts & accounts)


def _names(firewall: dict[str, Any], own: Guest, peer: str | Guest) -> bool:
    ranges = {"source": firewall.get("sourceRanges", []), "destination": firewall.get("destinationRanges", [])}
    there, here = ("source", "destination")[:: 1 if firewall["direction"] == "INGRESS" else -1]
    named = _within(peer.inner if isinstance(peer, Guest) else peer, ranges[there])
    if isinstance(peer, Guest):
        tags, accounts = set(firewall.get("sourceTags", [])), set(firewall.get("sourceServiceAccounts", []))
        named = named or bool(peer.tags & tags or peer.accounts & accounts)
    return named and (not ranges[here] or _within(own.inner, ranges[here]))


def _within(address: str, ranges: list[str]) -> bool:
    return any(ip_address(address) in ip_network(text) for text in ranges)


def _means(firewall: dict[str, Any], service: tuple[str, int]) -> bool:
    for entry in firewall.get("allowed") or firewall["denied"]:
        ends = [[int(end) for end in text.split("-")] for text in entry.get("ports", ["0-65535"])]
        ported = any(some[0] <= service[1] <= some[-1] for some in ends)
        names = (service[0], NUMBERS.get(service[0], service[0]))
        if entry["IPProtocol"] == "all" or (NUMBERS.get(entry["IPProtocol"], entry["IPProtocol"]) in names and ported):
            return True
    return False
