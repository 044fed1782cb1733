"""Balancers in workflows: CloudStack's load-balancer rules and their members, brought to what forwarding rules say.

Apart from the workflows of forwarding rules, pools, groups and instances, which all end with it. It reads everything
again and changes what differs, so it may be repeated and cut off anywhere. It changes the balancers that are called
after its rules, on addresses whose mark names this store; what else is there is said and left alone. The surprising
things: CloudStack has an address in one network, so it follows the members when they are in another one; and a balancer
without a member is none, so it comes with the first, goes with the last.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.cloudstack.errors import Throttled, Unauthorized, Unavailable
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
from gstack.operations.workflow import workflow
from gstack.store import identity
from gstack.translate import addresses, balancing, kept, networks
from gstack.translate.caller import Project

Row = dict[str, Any]

AGAIN = "op.balancing.again"
AGAIN_SECONDS, MOST_TRIES = 60.0, 6  # the last one an hour after the first
MOST_MARKS = 8
ALGORITHMS = {False: "roundrobin", True: "source"}
ELSEWHERE = "Instance '{}' is not in the network of forwarding rule '{}' and gets nothing from it."
UNCHECKED = "CloudStack's router does not carry out health checks: it asks each member whether its port answers."
GONE = "CloudStack does not have the address {} of forwarding rule '{}' any more."
ANOTHERS = "The address {} of forwarding rule '{}' is another gateway's by now: its balancers are left as they are."
STRANGE = "The balancer '{}' on {}, port {}, is of no forwarding rule of this gateway: it is left as it is."
STRAY = "The address {} is of '{}', which this gateway does not know. Its balancers are left as they are: {}."


@dataclass(frozen=True)
class Due:
    """A balancer that should be there: its name, how it chooses, and the machines it leads to."""

    name: str
    algorithm: str
    members: frozenset[str]


@dataclass(frozen=True)
class World:
    """What is there: forwarding rules, their addresses, machines, isolated networks and balancers; ``keeper`` is this
    gateway, whose addresses it changes."""

    project: Project
    rules: list[Row]
    marked: list[Row]
    machines: list[Row]
    networks: Mapping[str, Row]
    balancers: list[Balancer]
    keeper: str | None

    @cached_property
    def addresses(self) -> list[Row]:
        """The addresses that are this gateway's to change."""
        return [row for row in self.marked if is_own(networks.marks(row).get(addresses.KEEPER), self.keeper)]

    def address(self, rule: Row) -> Row | None:
        """The address of a rule."""
        return next((row for row in self.addresses if row["ipaddress"] == rule["body"]["IPAddress"]), None)

    def members(self, rule: Row) -> list[tuple[Row, Row]]:
        """What a rule leads to, as far as it is there."""
        return balancing.known(balancing.members(self.project, rule), self.machines)

    @cached_property
    def own(self) -> dict[str, Balancer]:
        """The balancers that are this gateway's to change, by their ids. Their names say so, from their first moment:
        to tag one is another command."""
        names: dict[str, set[str]] = {}
        for rule in self.rules:
            if (address := self.address(rule)) is not None:
                names.setdefault(str(address["id"]), set()).add(rule["name"])
        return {
            one.id: one
            for one in self.balancers
            if any(one.row.get("name") == f"{name}-{one.port}" for name in names.get(one.address, ()))
        }

    @cached_property
    def due(self) -> tuple[dict[tuple[str, int], Due], set[str]]:
        """The balancers that should be there, by address and port, and in sentences what cannot be."""
        found: dict[tuple[str, int], Due] = {}
        lost: set[str] = set()
        for rule in self.rules:
            address = self.address(rule)
            if balancing.is_doomed(rule):
                continue
            if address is None:
                ip = rule["body"]["IPAddress"]
                away = ANOTHERS if ip in {row["ipaddress"] for row in self.marked} else GONE
                lost.add(away.format(ip, rule["name"]))
                continue
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
        for one in self.own.values():
            due = self.due[0].get((one.address, one.port))
            if due is None or due.name != one.row.get("name"):
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
            if one is None or (one.id in self.own and one.row.get("name") != due.name):
                params = {"publicipid": address, "name": due.name, "algorithm": due.algorithm, "protocol": "tcp"}
                ports = {"publicport": port, "privateport": port}
                commands.append(("createLoadBalancerRule", {**params, **ports, "openfirewall": False}))
            elif one.id in self.own and one.row.get("algorithm") != due.algorithm:
                commands.append(("updateLoadBalancerRule", {"id": one.id, "algorithm": due.algorithm}))
        return commands

    def joining(self) -> dict[str, frozenset[str]]:
        """The machines that are to become members, by CloudStack's id of the rule."""
        found = {}
        for one in self.own.values():
            due = self.due[0].get((one.address, one.port))
            if due is not None and due.name == one.row.get("name") and due.members - one.members:
                found[one.id] = due.members - one.members
        return found

    def joins(self) -> list[Command]:
        """The commands that make machines members."""
        return [
            ("assignToLoadBalancerRule", {"id": key, "virtualmachineids": sorted(some)})
            for key, some in sorted(self.joining().items())
        ]

    def wanted(self) -> tuple[dict[tuple[str, int], Due], set[str]]:
        """As :attr:`due`, and in sentences what is left alone."""
        shown = {str(row["id"]): row["ipaddress"] for row in self.marked}
        mine = {str(row["id"]) for row in self.addresses}
        strange = [one for one in self.balancers if one.address in mine and one.id not in self.own]
        said = {STRANGE.format(one.row.get("name"), shown[one.address], one.port) for one in strange}
        return self.due[0], self.due[1] | said

    def changes(self) -> list[list[Command]]:
        """The commands that bring the balancers in line, in phases one after the other."""
        return [self.removals(), self.makings(), self.joins()]


def settle(run: Run, concerned: Callable[[], list[str]]) -> list[str]:
    """Steps of ``run``: bring in line the balancers of the rules at the IP addresses that are ``concerned``, and the
    firewalls; in sentences what cannot be said. Raises what CloudStack refused. CloudStack is asked for nothing where
    none is concerned."""
    at: list[str] = run.step("forwarding rules", concerned)
    if not at:
        return []
    for move in run.step("addresses elsewhere", lambda: run.cloud.use(lambda cloud: _moves(cloud, run.project, at))):
        _move(run, move)
        run.step(f"mark {move['ipaddress']}", mark, run, move["id"], move["rule"], move["keeper"])
    sentences: list[str] = run.step("balancers", lambda: using(run, lambda writer: bring(writer, run.project, at)))
    return [*sentences, *security_groups.converge(run, "firewall rules of balancers")]


def settle_or_warn(run: Run, concerned: Callable[[], list[str]]) -> None:
    """As :func:`settle`, after a change that has happened whatever becomes of balancers: trouble is a warning, and it
    is tried again later."""
    try:
        sentences = settle(run, concerned)
    except GceError as error:
        sentences = [f"The balancers could not be brought in line: {error.message}"]
        at = run.step("forwarding rules to settle", concerned)
        run.later(AGAIN, {"at": at, "tries": 1}, delay=AGAIN_SECONDS)
    for sentence in sentences:
        run.warn("NOT_CRITICAL_ERROR", sentence)


@workflow(AGAIN)
def again(run: Run, plan: Row) -> None:
    """What :func:`settle_or_warn` could not do. ``plan``: ``at``, IP addresses; ``tries``, how many there were."""
    try:
        settle(run, lambda: list(plan["at"]))
    except GceError:
        if plan["tries"] < MOST_TRIES:
            run.later(AGAIN, {**plan, "tries": plan["tries"] + 1}, delay=AGAIN_SECONDS * 2 ** plan["tries"])


def _move(run: Run, move: Row) -> None:
    """Put an address (of :func:`_moves`) in its network, unless another rule's operation is faster."""
    shown, home = move["ipaddress"], Home(move["network"])
    row = run.step(f"address {shown}", reserving.look, run, move["id"])
    if home.holds(row["row"]):
        return
    try:
        tying.move(run, row, home, move["zoneid"])
    except GceError:
        if not home.holds(run.step(f"address {shown} again", reserving.look, run, move["id"])["row"]):
            raise


# What follows runs inside of steps.


def bring_quietly(run: Run, at: Collection[str]) -> None:
    """An undo's body: bring balancers and firewalls in line with whatever the store says now of the rules ``at`` some
    IP addresses."""
    if at:
        using(run, lambda writer: [*bring(writer, run.project, at), *security_groups.bring(writer)])


def read(cloud: Cloud, project: Project, at: Collection[str] | None = None) -> World | None:
    """What is there, of the rules ``at`` some IP addresses, or of all; None without rules, and then nothing is asked.
    Balancers whose rules the store has lost go on as they are. Four calls, and those of
    :func:`gstack.firewall.balanced.read`."""
    rules = [rule for rule in kept.rows(project, balancing.RULES) if at is None or rule["body"]["IPAddress"] in at]
    if not rules:
        return None
    machines, there = cloud.together(
        ("listVirtualMachines", {"details": ["nics"]}), ("listNetworks", {"type": "Isolated"})
    )
    known = {rule["body"]["IPAddress"] for rule in rules}
    marked = [dict(row) for row in addresses.every(cloud) if balanced.holds(row) and row["ipaddress"] in known]
    world = World(project, rules, marked, machines, {row["id"]: row for row in there}, [], identity.known())
    return replace(world, balancers=balanced.read(cloud, world.addresses, machines))


def bring(writer: Writer, project: Project, at: Collection[str] | None = None) -> list[str]:
    """Bring the balancers to what the forwarding rules say, of those ``at`` some IP addresses or of all; in sentences
    what cannot be said. Raises what CloudStack refused, if that left a difference."""

    def look(_: bool) -> World | None:  # all of it is read anew each time
        world = read(writer.cloud, project, at)
        if world is not None and (joining := world.joining()):
            # Before a machine joins, the address lets in no more than its firewalls allow to it.
            groups, there = security_groups.read(writer.cloud).groups, isolated.existing(writer.cloud)
            isolated.bring(writer, groups, there, joining)
        return world

    return sorted(converged(writer, look))


def strays(cloud: Cloud, known: Collection[str]) -> list[str]:
    """In sentences: the addresses of forwarding rules other than those ``known`` (IP addresses), another gateway's or
    of a database that is lost, and their balancers. Two calls; a third one where there are any."""
    rows = [row for row in addresses.every(cloud) if balanced.holds(row) and row["ipaddress"] not in known]
    there = cloud.list("listLoadBalancerRules") if rows else []
    found = []
    for row in rows:
        names = sorted(str(one["name"]) for one in there if one.get("publicipid") == row["id"])
        rule = networks.marks(row)[addresses.FORWARDING]
        found.append(STRAY.format(row["ipaddress"], rule, ", ".join(names) or "none"))
    return sorted(found)


def is_own(keeper: str | None, store: str | None) -> bool:
    """Whether an address with that mark is this store's. Without a mark it is whose rule has it."""
    return keeper in (None, store)


def _moves(cloud: Cloud, project: Project, at: Collection[str]) -> list[Row]:
    """The addresses whose members are all in another network, and that network."""
    world = read(cloud, project, at)
    if world is None:
        return []
    found: dict[str, Row] = {}
    for rule in world.rules:
        address = world.address(rule)
        places = [balancing.network(row) for _, row in world.members(rule)]
        if address is None or not places or address.get("associatednetworkid") in places:
            continue
        network = world.networks.get(str(places[0]), {})
        fits = not network.get("vpcid") and networks.NETWORK in networks.marks(network)
        if fits and network.get("zoneid") == address.get("zoneid") and not balancing.is_doomed(rule):
            marks = networks.marks(address)
            of = {"rule": marks[addresses.FORWARDING], "keeper": marks.get(addresses.KEEPER)}
            there = {"network": network["id"], "zoneid": address["zoneid"]}
            found[address["id"]] = {"id": address["id"], "ipaddress": address["ipaddress"], **of, **there}
    return list(found.values())


def mark(
    run: Run, address: str, rule: str | None, keeper: str | None = None, ephemeral: bool = False, shared: bool = False
) -> None:
    """Say on an address which forwarding rule has it, a path below the project, of which gateway, or that none has.
    ``shared``: not where it has one of that gateway's already, as several may come to one address at once."""
    marks: dict[str, str | None] = {addresses.FORWARDING: rule, addresses.KEEPER: keeper}
    if ephemeral:
        marks[addresses.EPHEMERAL] = rule

    def missing(cloud: Cloud) -> dict[str, str | None]:
        row = reserving.find(cloud, address)
        if row is None:
            return {}
        there, inside = networks.marks(row), row.get("associatednetworkid")
        network = cloud.first("listNetworks", id=inside) if inside and rule else None
        wanted = {**marks, addresses.NETWORK: isolated.network_of(network or {}) or None}
        if shared and addresses.FORWARDING in there and there.get(addresses.KEEPER) == keeper:
            del wanted[addresses.FORWARDING]
        return {name: value for name, value in wanted.items() if there.get(name) != value}

    def body(writer: Writer) -> None:
        # Other operations may mark or move it at the same time: so it is looked at again.
        for number in range(1, MOST_MARKS):
            if not (some := missing(writer.cloud)):
                return
            writer.give_way(number)
            try:
                reserving.mark(writer, address, some)
            except (Unauthorized, Unavailable, Throttled):
                raise
            except GceError:  # CloudStack refuses a tag that somebody else was faster to make or to delete
                continue
        reserving.mark(writer, address, missing(writer.cloud))

    using(run, body)
