"""Balancers in workflows: CloudStack's load-balancer rules and their members, brought to what forwarding rules say.

Apart from the workflows of forwarding rules, pools, groups and instances, which all end with it. It reads everything
again and changes what differs, so it may be repeated and cut off anywhere. The rules on an address that is a forwarding
rule's are gstack's whole. The surprising things: CloudStack has an address in one network, so it follows the members
when they are in another one; and a balancer without a member is none, so it comes with the first, goes with the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError
from gstack.firewall import balanced, isolated, security_groups
from gstack.firewall.balanced import Balancer
from gstack.firewall.security_groups import using
from gstack.firewall.writer import Command, Writer
from gstack.firewall.writer import settle as converged
from gstack.operations import addresses as tying
from gstack.operations import reserving
from gstack.operations.addresses import Home
from gstack.operations.run import Run
from gstack.translate import addresses, balancing, kept, networks
from gstack.translate.caller import Project

Row = dict[str, Any]

ALGORITHMS = {False: "roundrobin", True: "source"}
ELSEWHERE = "Instance '{}' is not in the network of forwarding rule '{}' and gets nothing from it."
UNCHECKED = "CloudStack's router does not carry out health checks: it asks each member whether its port answers."


@dataclass(frozen=True)
class Due:
    """A balancer that should be there: its name, how it chooses, and the machines it leads to."""

    name: str
    algorithm: str
    members: frozenset[str]


@dataclass(frozen=True)
class World:
    """What is there: forwarding rules, the addresses that are theirs, machines, isolated networks and balancers."""

    project: Project
    rules: list[Row]
    addresses: list[Row]
    machines: list[Row]
    networks: Mapping[str, Row]
    balancers: list[Balancer]

    def address(self, rule: Row) -> Row | None:
        """The address of a rule."""
        return next((row for row in self.addresses if row["ipaddress"] == rule["body"]["IPAddress"]), None)

    def members(self, rule: Row) -> list[tuple[Row, Row]]:
        """What a rule leads to, as far as it is there."""
        return balancing.known(balancing.members(self.project, rule), self.machines)

    @cached_property
    def due(self) -> tuple[dict[tuple[str, int], Due], set[str]]:
        """The balancers that should be there, by address and port, and in sentences what cannot be."""
        found: dict[tuple[str, int], Due] = {}
        lost: set[str] = set()
        for rule in self.rules:
            address = self.address(rule) or {"id": "", "associatednetworkid": ""}
            near = set()
            for entry, row in self.members(rule):
                if balancing.network(row) == address.get("associatednetworkid"):
                    near.add(str(row["id"]))
                else:
                    lost.add(ELSEWHERE.format(entry["path"].rpartition("/")[2], rule["name"]))
            algorithm = ALGORITHMS[balancing.sticky(self.project, rule)]
            for port in balancing.ports(rule["body"]) if near else ():
                found[str(address["id"]), port] = Due(f"{rule['name']}-{port}", algorithm, frozenset(near))
        return found, lost

    def removals(self) -> list[Command]:
        """The commands that take balancers and members away."""
        commands: list[Command] = []
        for one in self.balancers:
            due = self.due[0].get((one.address, one.port))
            if due is None:
                commands.append(("deleteLoadBalancerRule", {"id": one.id}))
            elif gone := one.members - due.members:
                params = {"id": one.id, "virtualmachineids": sorted(gone)}
                commands.append(("removeFromLoadBalancerRule", params))
        return commands

    def makings(self) -> list[Command]:
        """The commands that make balancers, and change how they choose."""
        there = {(one.address, one.port): one for one in self.balancers}
        commands: list[Command] = []
        for (address, port), due in sorted(self.due[0].items()):
            one = there.get((address, port))
            if one is None:
                params = {"publicipid": address, "name": due.name, "algorithm": due.algorithm, "protocol": "tcp"}
                ports = {"publicport": port, "privateport": port}
                commands.append(("createLoadBalancerRule", {**params, **ports, "openfirewall": False}))
            elif one.row.get("algorithm") != due.algorithm:
                commands.append(("updateLoadBalancerRule", {"id": one.id, "algorithm": due.algorithm}))
        return commands

    def joining(self) -> dict[str, frozenset[str]]:
        """The machines that are to become members, by CloudStack's id of the rule."""
        found = {}
        for one in self.balancers:
            due = self.due[0].get((one.address, one.port))
            if due is not None and due.members - one.members:
                found[one.id] = due.members - one.members
        return found

    def joins(self) -> list[Command]:
        """The commands that make machines members."""
        return [
            ("assignToLoadBalancerRule", {"id": key, "virtualmachineids": sorted(some)})
            for key, some in sorted(self.joining().items())
        ]

    def wanted(self) -> tuple[dict[tuple[str, int], Due], set[str]]:
        """As :attr:`due`."""
        return self.due

    def changes(self) -> list[list[Command]]:
        """The commands that bring the balancers in line, in phases one after the other."""
        return [self.removals(), self.makings(), self.joins()]


def settle(run: Run) -> list[str]:
    """Steps of ``run``: bring balancers and firewalls in line; in sentences what cannot be said. Raises what CloudStack
    refused. Without a forwarding rule there is nothing to do."""
    if not run.step("forwarding rules", lambda: bool(kept.rows(run.project, balancing.RULES))):
        return []
    for move in run.step("addresses elsewhere", lambda: run.cloud.use(lambda cloud: _moves(cloud, run.project))):
        row = run.step(f"address {move['ipaddress']}", reserving.look, run, move["id"])
        tying.move(run, row, Home(move["network"]), move["zoneid"])
        run.step(f"mark {move['ipaddress']}", mark, run, move["id"], move["rule"])
    sentences: list[str] = run.step("balancers", lambda: using(run, lambda writer: bring(writer, run.project)))
    return [*sentences, *security_groups.converge(run, "firewall rules of balancers")]


def settle_or_warn(run: Run) -> None:
    """As :func:`settle`, after a change that has happened whatever becomes of balancers: trouble is a warning, and the
    next change mends it."""
    try:
        sentences = settle(run)
    except GceError as error:
        sentences = [f"The balancers could not be brought in line: {error.message}"]
    for sentence in sentences:
        run.warn("NOT_CRITICAL_ERROR", sentence)


# What follows runs inside of steps.


def bring_quietly(run: Run, left: str | None = None) -> None:
    """An undo's body: bring balancers and firewalls in line with whatever the store says now. ``left`` is the IP
    address of a rule that is gone."""
    using(run, lambda writer: [*bring(writer, run.project, left), *security_groups.bring(writer)])


def read(cloud: Cloud, project: Project, left: str | None = None) -> World:
    """What is there, of the addresses of rules and of ``left``: balancers whose rules the store has lost go on as they
    are. Five calls, and one for each balancer."""
    machines, there = cloud.together(
        ("listVirtualMachines", {"details": ["nics"]}), ("listNetworks", {"type": "Isolated"})
    )
    rules = kept.rows(project, balancing.RULES)
    known = {left, *(rule["body"]["IPAddress"] for rule in rules)}
    mine = [dict(row) for row in addresses.every(cloud) if balanced.holds(row) and row["ipaddress"] in known]
    return World(project, rules, mine, machines, {row["id"]: row for row in there}, balanced.read(cloud, mine))


def bring(writer: Writer, project: Project, left: str | None = None) -> list[str]:
    """Bring the balancers to what the forwarding rules say, also at ``left``, the address of one that is gone; in
    sentences what cannot be said. Raises what CloudStack refused, if that left a difference."""

    def look(_: bool) -> World:  # all of it is read anew each time
        world = read(writer.cloud, project, left)
        if joining := world.joining():
            # Before a machine joins, the address lets in no more than its firewalls allow to it.
            groups, there = security_groups.read(writer.cloud).groups, isolated.existing(writer.cloud)
            isolated.bring(writer, groups, there, joining)
        return world

    return sorted(converged(writer, look))


def _moves(cloud: Cloud, project: Project) -> list[Row]:
    """The addresses whose members are all in another network, and that network."""
    world = read(cloud, project)
    found: dict[str, Row] = {}
    for rule in world.rules:
        address = world.address(rule)
        places = [balancing.network(row) for _, row in world.members(rule)]
        if address is None or not places or address.get("associatednetworkid") in places:
            continue
        network = world.networks.get(str(places[0]), {})
        fits = not network.get("vpcid") and networks.NETWORK in networks.marks(network)
        if fits and network.get("zoneid") == address.get("zoneid"):
            of = {"rule": networks.marks(address)[addresses.FORWARDING], "network": network["id"]}
            of["zoneid"] = address["zoneid"]
            found[address["id"]] = {"id": address["id"], "ipaddress": address["ipaddress"], **of}
    return list(found.values())


def mark(run: Run, address: str, rule: str | None, ephemeral: bool = False) -> None:
    """Say on an address which forwarding rule has it, a path below the project, or that none has."""

    def body(writer: Writer) -> None:
        inside = (reserving.find(writer.cloud, address) or {}).get("associatednetworkid")
        there = writer.cloud.first("listNetworks", id=inside) if inside else None
        marks: dict[str, str | None] = {addresses.FORWARDING: rule}
        marks[addresses.NETWORK] = (isolated.network_of(there or {}) or None) if rule else None
        if ephemeral:
            marks[addresses.EPHEMERAL] = rule
        reserving.mark(writer, address, marks)

    using(run, body)
