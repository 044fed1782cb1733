"""What firewall rules, port forwardings and load balancers have in common: ports, conflicts, owners, their end.

Apart, because they share one table and exclude one another. Surprising: two firewall rules with the same ports
live side by side while no range of theirs is written alike, and a rule without ports never conflicts with one
that has some.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from ..call import Call
from ..errors import ApiError, hidden, invalid
from ..lists import visible_accounts
from ..model import Machine, Network, Nic, Row
from ..model_network import NetRule, PublicIp
from ..world import IN_NETWORK, World

FIREWALL, FORWARDING, BALANCING = "Firewall", "PortForwarding", "LoadBalancing"
MAX_PORT = 65_535
EVERYWHERE = "0.0.0.0/0"


def described(rule: NetRule, network: Network) -> str:
    return (
        f'FirewallRule {{"id":{rule.number},"networkId":{network.number},"purpose":"{rule.purpose}",'
        f'"state":"{rule.state}","uuid":"{rule.id}"}}'
    )


def check_ports(start: int | None, end: int | None) -> None:
    if start is not None and not 0 <= start <= MAX_PORT:
        raise invalid(f"publicPort is an invalid value: {start}")
    if end is not None and not 0 <= end <= MAX_PORT:
        raise invalid(f"Public port range is an invalid value: {end}")
    if start is not None and end is not None and start > end:
        raise invalid("Start port can't be bigger than end port")


def check_protocol(protocol: str, allowed: Iterable[str], zone_number: int) -> None:
    if protocol.lower() not in allowed:
        raise invalid(f"Protocol {protocol} is not supported in zone {zone_number}")


def check_cidrs(cidrs: Iterable[str], what: str = "Source") -> list[str]:
    found = []
    for cidr in cidrs:
        try:
            if "/" not in cidr:
                raise ValueError
            ip_network(cidr, strict=False)
        except ValueError:
            raise ApiError(431, f"{what} cidrs formatting error {cidr}", 9999) from None
        found.append(cidr)
    return found


def alike(one: list[str], other: list[str]) -> bool:
    return (not one and not other) or bool(set(one) & set(other))


def rivals(world: World, new: NetRule) -> list[NetRule]:
    """Rules of the same address, or, for an egress rule, of the same network."""
    if new.ip is not None:
        return [rule for rule in world.net_rule if rule.ip == new.ip]
    return [rule for rule in world.net_rule if rule.ip is None and rule.network == new.network]


def check_conflict(call: Call, new: NetRule, cs: int) -> None:
    """`cs`: the cserrorcode, which depends on the command that asks."""
    for rule in rivals(call.world, new):
        same_protocol = rule.protocol == new.protocol
        kinds = {rule.purpose, new.purpose}
        if FIREWALL in kinds and (len(kinds) > 1 or not same_protocol):
            continue
        doubled = alike(rule.cidrs, new.cidrs) and alike(rule.destinations, new.destinations)
        if same_protocol and new.protocol == "icmp":
            if doubled and (rule.icmptype, rule.icmpcode) == (new.icmptype, new.icmpcode):
                raise invalid(f"New rule conflicts with existing rule: {shown(call, rule)}")
            continue
        if new.start is None or rule.start is None:
            if new.start is None and rule.start is None and doubled and same_protocol:
                text = f"There is already a firewall rule specified with protocol = {new.protocol} and no ports"
                raise ApiError(537, text, cs)
            continue
        if len(kinds) == 1 and new.purpose != BALANCING and not doubled:
            continue
        if kinds == {FORWARDING} and not same_protocol:
            continue
        if rule.start <= (new.end or new.start) and new.start <= (rule.end or rule.start):
            raise ApiError(
                537,
                f"The range specified, {new.start}-{new.end}, conflicts with rule {shown(call, rule)} which has"
                f" {rule.start}-{rule.end}",
                cs,
            )


def shown(call: Call, rule: NetRule) -> str:
    return described(rule, call.world.network[rule.network])


def need_allocated(call: Call, name: str) -> PublicIp:
    """The public address a parameter names, which must be the caller's."""
    address = call.need(name, PublicIp)
    if address.account is None and not call.is_root:
        raise hidden(f"Public address {address.address} has no owner")
    return address


def network_of(call: Call, address: PublicIp, machine: Machine | None = None) -> Network:
    """The guest network a rule of this address belongs to. An address of a VPC serves the tier that the call
    or, failing that, the machine names.
    """
    world = call.world
    asked = call.entity("networkid", Network)
    if address.vpc is None or address.associated is not None:
        network = world.network.get(address.associated)
        if network is None:
            raise invalid(f"Ip address {address.address} is not associated with any network")
        if asked is not None and asked.id != network.id:
            raise invalid(f"Ip address {address.address} is not assigned to the network {asked.name}")
        return network
    if asked is None and machine is not None:
        nets = (world.network[world.nic[key].network] for key in machine.nics)
        asked = next((net for net in nets if net.vpc == address.vpc), None)
    if asked is None or asked.vpc != address.vpc:
        raise invalid("Unable to retrieve network id to validate the rule")
    return asked


def nic_on(call: Call, machine: Machine, network: Network) -> Nic | None:
    return next((n for key in machine.nics if (n := call.world.nic[key]).network == network.id), None)


def add(call: Call, rule: NetRule) -> NetRule:
    address = call.world.public_ip.get(rule.ip)
    if address is not None and address.vpc is not None:
        address.associated = rule.network
    return call.world.net_rule.add(rule)


def open_firewall(call: Call, rule: NetRule) -> None:
    """Unless told not to, a forwarding or load balancer opens the firewall for everybody; not inside a VPC."""
    world = call.world
    if not call.flag("openfirewall", True) or world.network[rule.network].vpc is not None:
        return
    opened = NetRule(
        id=world.uuid(),
        number=world.net_rule.take_number(),
        purpose=FIREWALL,
        account=rule.account,
        network=rule.network,
        protocol=rule.protocol,
        ip=rule.ip,
        start=rule.start,
        end=rule.end,
        cidrs=[EVERYWHERE],
        state="Active",
        opener=rule.id,
    )
    check_conflict(call, opened, 4360)
    world.net_rule.add(opened)


def drop(world: World, rule: NetRule) -> None:
    """Takes a rule away with what was opened for it, and frees an address of a VPC from its tier."""
    for other in [one for one in world.net_rule if one.opener == rule.id]:
        drop(world, other)
    for policy in [one for one in world.stickiness if one.rule == rule.id]:
        world.stickiness.remove(policy, leave_trace=False)
    world.tags.pop(rule.id, None)
    if rule.id in world.net_rule.rows:
        world.net_rule.remove(rule, leave_trace=False)
    detach(world, world.public_ip.get(rule.ip))


def detach(world: World, address: PublicIp | None) -> None:
    """An address of a VPC belongs to a tier only as long as something uses it."""
    if address is None or address.vpc is None or address.machine is not None:
        return
    if not any(rule.ip == address.id for rule in world.net_rule):
        address.associated = None


def drop_of_address(world: World, address: PublicIp) -> None:
    for rule in [one for one in world.net_rule if one.ip == address.id]:
        drop(world, rule)


def drop_of_network(call: Call, network: Network) -> None:
    for rule in [one for one in call.world.net_rule if one.network == network.id]:
        drop(call.world, rule)


def drop_of_machine(world: World, machine: Machine) -> None:
    """What expunging a machine leaves of the rules that lead to it."""
    for rule in list(world.net_rule):
        rule.members.pop(machine.id, None)
        if rule.machine == machine.id:
            drop(world, rule)
    for address in world.public_ip:
        if address.machine == machine.id:
            address.machine = address.nic = address.inner = None
            detach(world, address)


def tags(call: Call, rule: NetRule) -> list[Row]:
    return call.world.tag_rows(rule.id, IN_NETWORK)


def listed(call: Call, purpose: str) -> list[NetRule]:
    """The rules of one purpose that the caller sees, newest first."""
    mine = visible_accounts(call)
    return [rule for rule in reversed(list(call.world.net_rule)) if rule.purpose == purpose and mine(rule.account)]


def settle(call: Call, rule: NetRule) -> None:
    """The network took the rule over."""
    if rule.id in call.world.net_rule.rows:
        rule.state = "Active"
