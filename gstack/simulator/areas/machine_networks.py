"""Which networks a new machine gets, and with which addresses.

Apart from the deploy, of which this is the part that differs most from one kind of zone to another. Surprising:
a deploy that names no network makes one, unless the account has exactly one already.
"""

from __future__ import annotations

from .. import errors
from ..call import Call
from ..errors import ApiError, invalid
from ..model import Account, Machine, Network, Record
from . import addresses, guest_networks, nics

Chosen = list[tuple[Network, str | None]]
NO_GROUPS = "Can't create vm with security groups; security group feature is not enabled per zone"


def names_groups(call: Call) -> bool:
    return bool(call.args.get("securitygroupids") or call.args.get("securitygroupnames"))


def has_groups(zone: Record) -> bool:
    return bool(zone.row["securitygroupsenabled"])


def chosen(call: Call, zone: Record, owner: Account) -> Chosen:
    """The networks a deploy asks for, the default one first; empty when the account's own shall serve."""
    ids, pairs = call.entities("networkids", Network) or [], call.maps("iptonetworklist")
    if zone.row["networktype"] == "Basic":
        if ids:
            raise invalid("Can't specify network Ids in Basic zone")
        ids = [shared(call, zone)]
    if not has_groups(zone) and names_groups(call):
        raise invalid(NO_GROUPS)
    if ids and pairs:
        raise invalid("ipToNetworkMap can't be specified along with networkIds or ipAddress")
    found: Chosen = [(named(call, pair.get("networkid", "")), pair.get("ip")) for pair in pairs]
    found = found or [(network, None) for network in ids]
    if not found and has_groups(zone):
        found = [(shared(call, zone), None)]
    for network, _ in found:
        check_usable(call, zone, owner, network)
    address = call.text("ipaddress")
    if address and found:
        found[0] = (found[0][0], address)
    for network, wanted in found:
        if wanted:
            check_address(network, wanted)
    return found


def shared(call: Call, zone: Record) -> Network:
    return next(net for net in call.world.network if net.zone == zone.id and net.account is None)


def named(call: Call, key: str) -> Network:
    network = call.world.network.get(key.lower())
    if network is None:
        raise invalid(f"Unable to translate and find entity with networkId: {key}")
    return network


def check_usable(call: Call, zone: Record, owner: Account, network: Network) -> None:
    if network.account not in (None, owner.id):
        raise errors.denied(f"Unable to use network with id= {network.id}, permission denied")
    if network.zone != zone.id:
        raise invalid(f"Network {network.name} is not in the zone of the machine")


def check_address(network: Network, address: str) -> None:
    if network.account is None:
        addresses.check_free(network, address)
    elif address in network.used or not addresses.is_inside(network, address):
        text = f"Unable to acquire Guest IP address {address} for network {network.name}"
        raise ApiError(530, text, 0, errors.HIDDEN)


def connect(call: Call, machine: Machine, zone: Record, owner: Account, wanted: Chosen) -> None:
    """Gives a new machine its nics, making the account's network if there is none to use."""
    for network, address in wanted or [(guest_networks.automatic(call, owner, zone), None)]:
        nics.attach(call, machine, network, address)


def check_automatic(call: Call, zone: Record, owner: Account, wanted: Chosen) -> None:
    """Refuses before anything is made a deploy that leaves open which of several networks it means."""
    if not wanted and len(guest_networks.source_nat_networks(call, owner, zone)) > 1:
        guest_networks.automatic(call, owner, zone)


def begin(call: Call, machine: Machine) -> None:
    """The machine starts: its networks come to life with it."""
    for key in machine.nics:
        guest_networks.begin(call, call.world.network[call.world.nic[key].network])


def up(call: Call, machine: Machine) -> None:
    for key in machine.nics:
        guest_networks.implemented(call.world.network[call.world.nic[key].network])


def down(call: Call, machine: Machine) -> None:
    """The machine runs no more: its networks may fall idle."""
    for key in machine.nics:
        guest_networks.watch(call, call.world.network[call.world.nic[key].network])
