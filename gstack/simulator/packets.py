"""Would this packet arrive? Answered from the rules the simulated cloud holds, as its hosts and routers apply them.

Apart from the commands, which only keep the rules: no command asks this, tests do, so that a firewall is judged by
what it lets through and not by the rules it was made of. What decides is CloudStack's own enforcement:
`security_group.py` of its hosts, `configure.py` and `CsAddress.py` of its router. Surprising, and from there: a rule
for the members of a group means those that run, each by the address of its default nic, of IPv6 the /64 around it, and
counts for nothing while there are none; a load balancer of a VPC is not subject to access lists, as its router accepts
and forwards itself; and what no item of an access list names may leave a tier, while nothing unnamed comes in. IPv6 is
that of shared networks. Replies are not looked at.
Private gateways, static routes and VPNs are not followed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from .areas import net_rules, networks
from .model import Network, Nic, Rule
from .model_network import AclItem, NetRule, PublicIp
from .world import World

Address = IPv4Address | IPv6Address
NUMBERS = {"icmp": 1, "tcp": 6, "udp": 17}
NAMES = {str(number): name for name, number in NUMBERS.items()}
WITH_PORTS = ("tcp", "udp")


@dataclass(frozen=True, slots=True)
class Packet:
    """The first packet of a connection, as it is at one place of its way; `protocol` is a name or a number."""

    source: Address
    destination: Address
    protocol: str
    port: int = 0
    icmp: tuple[int, int] = (8, 0)

    def is_of(self, protocol: str, start: int | None, end: int | None, kind: int | None, code: int | None) -> bool:
        """Whether a rule with these members means it; no ports, or ICMP numbers of -1, mean all."""
        protocol = protocol.lower()
        if protocol == "all":
            return True
        if NAMES.get(protocol, protocol) != self.protocol:
            return False
        if self.protocol == "icmp":
            return kind in (None, -1, self.icmp[0]) and code in (None, -1, self.icmp[1])
        return self.protocol not in WITH_PORTS or start is None or start <= self.port <= (end or start)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One machine that gets the packet, and as what: behind a translation address and port are others."""

    machine: str
    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """True if the packet arrives. `arrivals`: every machine that may get it, several behind a load balancer and none
    if it leaves the cloud; `why`: what decided.
    """

    reached: bool
    why: str
    arrivals: tuple[Arrival, ...] = ()

    def __bool__(self) -> bool:
        return self.reached

    @property
    def machines(self) -> tuple[str, ...]:
        """Ids of the machines that may get it."""
        return tuple(one.machine for one in self.arrivals)


class Lost(Exception):
    """The packet ends here."""


def ask(world: World, source: str, destination: str, protocol: str, port: int | None, icmp: tuple[int, int]) -> Verdict:
    """What :meth:`Simulator.reaches` answers."""
    name = NAMES.get(protocol.lower(), protocol.lower())
    if name in WITH_PORTS and port is None:
        raise ValueError(f"{name} needs a port")
    if name not in NUMBERS and not (name.isdecimal() and int(name) <= 255):
        raise ValueError(f"no protocol {protocol!r}")
    try:
        return Way(world).follow(source, destination, name, port or 0, icmp)
    except Lost as lost:
        return Verdict(False, str(lost))


def within(address: Address, cidrs: Iterable[str]) -> bool:
    return any(address in ip_network(cidr, strict=False) for cidr in cidrs)


class Way:
    """From one end to the other."""

    def __init__(self, world: World) -> None:
        self.world = world

    def follow(self, source: str, destination: str, protocol: str, port: int, icmp: tuple[int, int]) -> Verdict:
        nic = self.sender(source, destination)
        target = self.target(nic, destination)
        goal = ip_address(self.address_of(target, destination))
        packet = Packet(self.start(nic, goal) if nic else ip_address(source), goal, protocol, port, icmp)
        if nic is not None:
            packet = self.leave(nic, target, packet)
        if isinstance(target, PublicIp):
            return self.enter(target, packet)
        if target is not None:
            return self.deliver(nic, target, packet)
        if nic is None:
            raise Lost(f"no machine of this cloud is {destination}")
        return Verdict(True, "leaves the cloud")

    # The two ends

    def sender(self, source: str, destination: str) -> Nic | None:
        """The nic it leaves by: that on the network of the other end, failing that the default one. None: outside."""
        world = self.world
        nic = self.on_shared(source)
        machine = world.machine.get(nic.machine if nic else source)
        if machine is None:
            return None
        if machine.state != "Running":
            raise Lost(f"its source is {machine.state}")
        if nic is not None:
            return nic
        nics = [world.nic[key] for key in machine.nics]
        for nic in nics:
            network = world.network[nic.network]
            if destination in network.used or self.on(network, destination):
                return nic
        return nics[0]

    def start(self, nic: Nic, goal: Address) -> Address:
        """The address that a nic sends from."""
        address6 = networks.address6(self.world, nic)
        if goal.version == 6 and address6 is None:
            raise Lost("its source has no IPv6 address")
        return ip_address(str(address6 if goal.version == 6 else nic.ip))

    def target(self, sender: Nic | None, destination: str) -> Nic | PublicIp | None:
        """Whose the destination is, from where the sender stands. None: of nobody here, so outside."""
        world = self.world
        machine = world.machine.get(destination)
        near = self.neighbours(sender)
        if machine is not None:
            nics = [world.nic[key] for key in machine.nics]
            return next((nic for nic in nics if nic.network in {net.id for net in near}), nics[0])
        for network in near:
            found = self.holder(network, destination)
            if found is not None:
                return found
            if network.cidr and ip_address(destination) in ip_network(network.cidr):
                raise Lost(f"nobody has {destination} on {network.name}")
        public = next((one for one in world.public_ip if one.address == destination), None)
        return public or self.on_shared(destination)

    def address_of(self, target: Nic | PublicIp | None, destination: str) -> str:
        if isinstance(target, PublicIp):
            return target.address
        if target is None or destination not in self.world.machine.rows:
            return destination
        if target.ip is None:
            raise Lost("the machine has no address yet")
        return target.ip

    def neighbours(self, nic: Nic | None) -> list[Network]:
        """The networks whose addresses the router of a nic's network knows: its own first, and other tiers."""
        if nic is None:
            return []
        own = self.world.network[nic.network]
        return [own, *(net for net in self.world.network if net.vpc and net.vpc == own.vpc and net is not own)]

    def on(self, network: Network, machine: str) -> Nic | None:
        return next((nic for nic in self.world.nic if nic.network == network.id and nic.machine == machine), None)

    def holder(self, network: Network, address: str) -> Nic | None:
        for nic in self.world.nic:
            secondary = (self.world.secondary_ip[key].ipaddress for key in nic.secondary)
            if nic.network == network.id and address in (nic.ip, networks.address6(self.world, nic), *secondary):
                return nic
        return None

    def on_shared(self, address: str) -> Nic | None:
        """Who has an address of a shared network: those are reached from everywhere."""
        shared = (net for net in self.world.network if net.row["type"] == "Shared")
        return next((nic for net in shared if (nic := self.holder(net, address))), None)

    # Out

    def leave(self, nic: Nic, target: Nic | PublicIp | None, packet: Packet) -> Packet:
        """The packet as it is behind what guards the sender's side."""
        network = self.world.network[nic.network]
        if networks.has_service(self.world, network, "SecurityGroup"):
            self.leave_groups(nic, packet)
        if isinstance(target, Nic) and target.network == nic.network:
            return packet
        if network.row["type"] == "Shared":
            return packet
        if network.row["type"] == "L2":
            raise Lost("nothing leaves an L2 network")
        if network.vpc is not None:
            self.leave_tier(network, packet)
        if self.turns(network, target):
            return packet
        if network.vpc is None:
            self.leave_isolated(network, packet)
        return replace(packet, source=self.outer(nic, network))

    def turns(self, network: Network, target: Nic | PublicIp | None) -> bool:
        """Whether the router of the sender's network is that of the destination too: it does not translate then."""
        if isinstance(target, Nic):
            return network.vpc is not None and self.world.network[target.network].vpc == network.vpc
        if target is None:
            return False
        return target.vpc == network.vpc if network.vpc else target.associated == network.id

    def leave_groups(self, nic: Nic, packet: Packet) -> None:
        """A machine may send anything until one of its groups has a rule about that, of the same IP version."""
        speaking = False
        for rule in self.rules_of(nic, "egress"):
            cidrs = self.peers(rule)
            speaking = speaking or any(ip_network(one, strict=False).version == packet.source.version for one in cidrs)
            if self.means(rule, packet) and within(packet.destination, cidrs):
                return
        if speaking:
            raise Lost("no egress rule of its security groups allows it")

    def leave_isolated(self, network: Network, packet: Packet) -> None:
        """Egress rules are exceptions: of what is refused, or of what is allowed, as the offering says."""
        if not networks.has_service(self.world, network, "SourceNat"):
            raise Lost(f"nothing leaves {network.name}: it has no source NAT")
        named = any(
            means(rule, packet)
            and within(packet.source, rule.cidrs)
            and (not rule.destinations or within(packet.destination, rule.destinations))
            for rule in self.world.net_rule
            if rule.purpose == net_rules.FIREWALL and rule.ip is None and rule.network == network.id
        )
        if named is bool(network.row.get("egressdefaultpolicy")):
            raise Lost(f"an egress rule of {network.name} refuses it" if named else "no egress rule allows it")

    def leave_tier(self, network: Network, packet: Packet) -> None:
        item = self.first_item(network, "Egress", packet, packet.destination)
        if item is not None and item.action == "Deny":
            raise Lost(f"item {item.position} of the access list of {network.name} denies it")

    def outer(self, nic: Nic, network: Network) -> Address:
        """The public address it is seen under: of its static NAT, or of the source NAT of its network or VPC."""
        ips = self.world.public_ip
        own = next((ip for ip in ips if ip.nic == nic.id and ip.inner == nic.ip), None)
        shared = (ip for ip in ips if ip.sourcenat and (ip.vpc == network.vpc if network.vpc else True))
        found = own or next((ip for ip in shared if network.vpc or ip.associated == network.id), None)
        if found is None:
            raise Lost(f"{network.name} has no public address to leave by")
        return ip_address(found.address)

    # In

    def enter(self, public: PublicIp, packet: Packet) -> Verdict:
        """At a public address: firewall, then whom it is translated to, then the access list of a tier."""
        if public.associated is None:
            raise Lost(f"{public.address} serves no network")
        why = "a load balancer of a VPC asks no access list"
        if public.vpc is None:
            why = f"firewall rule {self.opened(public, packet).id}"
        found, balanced = self.translated(public, packet)
        if public.vpc is not None and not balanced:
            for arrival in found:
                inner = replace(packet, destination=ip_address(arrival.address), port=arrival.port)
                why = self.enter_tier(self.world.network[public.associated], inner)
        running = tuple(one for one in found if self.world.machine[one.machine].state == "Running")
        if not running:
            raise Lost(f"nobody runs behind {public.address}")
        return Verdict(True, why, running)

    def opened(self, public: PublicIp, packet: Packet) -> NetRule:
        for rule in self.world.net_rule:
            mine = rule.purpose == net_rules.FIREWALL and rule.ip == public.id and rule.state == "Active"
            if mine and means(rule, packet) and within(packet.source, rule.cidrs):
                return rule
        raise Lost(f"no firewall rule of {public.address} allows it")

    def translated(self, public: PublicIp, packet: Packet) -> tuple[list[Arrival], bool]:
        """Behind the address, and whether a load balancer stands between."""
        if public.machine is not None:
            return [Arrival(public.machine, str(public.inner), packet.port)], False
        for rule in self.world.net_rule:
            if (
                rule.ip != public.id
                or not means(rule, packet)
                or (rule.cidrs and not within(packet.source, rule.cidrs))
            ):
                continue
            if rule.purpose == net_rules.FORWARDING and rule.state == "Active":
                port = (rule.inner_start or 0) + packet.port - (rule.start or 0)
                return [Arrival(str(rule.machine), str(rule.inner), port)], False
            if rule.purpose == net_rules.BALANCING:
                port = rule.inner_start or 0
                return [Arrival(key, ip, port) for key, ips in rule.members.items() for ip in ips], True
        raise Lost(f"{public.address} leads to nobody for it")

    def deliver(self, sender: Nic | None, target: Nic, packet: Packet) -> Verdict:
        """At a nic, without translation."""
        network = self.world.network[target.network]
        machine = self.world.machine[target.machine]
        why = "on one network"
        if machine.state != "Running":
            raise Lost(f"{machine.name} is {machine.state}")
        if networks.has_service(self.world, network, "SecurityGroup"):
            why = self.enter_groups(target, packet)
        elif sender is None or sender.network != target.network:
            near = sender is not None and network.vpc is not None
            if network.row["type"] != "Shared" and not (near and network in self.neighbours(sender)):
                raise Lost(f"no way leads to {network.name} from there but its public addresses")
            if network.vpc is not None:
                why = self.enter_tier(network, packet)
        return Verdict(True, why, (Arrival(machine.id, str(packet.destination), packet.port),))

    def enter_groups(self, nic: Nic, packet: Packet) -> str:
        for rule in self.rules_of(nic, "ingress"):
            if self.means(rule, packet) and within(packet.source, self.peers(rule)):
                return f"ingress rule {rule.id} of {self.world.security_group[rule.group].name}"
        raise Lost("no ingress rule of its security groups allows it")

    def enter_tier(self, network: Network, packet: Packet) -> str:
        item = self.first_item(network, "Ingress", packet, packet.source)
        if item is None or item.action == "Deny":
            shown = f"item {item.position} denies it" if item else "no item allows it"
            raise Lost(f"access list of {network.name}: {shown}")
        return f"item {item.position} of the access list of {network.name}"

    # Rules

    def rules_of(self, nic: Nic, direction: str) -> list[Rule]:
        groups = self.world.machine[nic.machine].groups
        return [rule for rule in self.world.rule if rule.group in groups and rule.direction == direction]

    def means(self, rule: Rule, packet: Packet) -> bool:
        """A protocol given by its number has no ports."""
        if rule.protocol.isdecimal():
            return packet.is_of(rule.protocol, None, None, None, None)
        return packet.is_of(rule.protocol, rule.start, rule.end, rule.start, rule.end)

    def peers(self, rule: Rule) -> list[str]:
        """The ranges of a rule; a group is the running machines in it, and of IPv6 the /64 around each."""
        if rule.cidr is not None:
            return [rule.cidr]
        members = (m for m in self.world.machine if rule.allowed in m.groups and m.state == "Running" and m.nics)
        nics = [nic for m in members if (nic := self.world.nic[m.nics[0]]).ip]
        around = [f"{address6}/64" for nic in nics if (address6 := networks.address6(self.world, nic)) is not None]
        return [f"{nic.ip}/32" for nic in nics] + around

    def first_item(self, network: Network, traffic: str, packet: Packet, other: Address) -> AclItem | None:
        """The item with the lowest number that speaks of it. A tier without a list has the one that denies."""
        acl = network.acl or next(one.id for one in self.world.acl if one.vpc is None and one.name == "default_deny")
        items = (one for one in self.world.acl_item if one.acl == acl and one.traffictype == traffic)
        for item in sorted(items, key=lambda one: one.position):
            if means(item, packet) and within(other, item.cidrs or ()):
                return item
        return None


def means(rule: NetRule | AclItem, packet: Packet) -> bool:
    """A protocol given by its number and with ports is one the router cannot apply, and does without."""
    if rule.protocol.isdecimal() and rule.start is not None:
        return False
    return packet.is_of(rule.protocol, rule.start, rule.end, rule.icmptype, rule.icmpcode)
