"""Addresses on guest networks: which are free, who holds one.

Apart, because deploying, secondary addresses and expunging all use it. Surprising: an address is kept from
the first start until the machine is expunged, through every stop.
"""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from ..call import Call
from ..errors import ApiError, hidden
from ..model import Network, Nic
from ..world import World


def is_inside(network: Network, address: str) -> bool:
    try:
        return ip_address(address) in ip_network(network.cidr) and address != network.gateway
    except ValueError:
        return False


def check_free(network: Network, address: str) -> None:
    if not is_inside(network, address) or address in network.used:
        raise hidden(f"Unable to acquire Guest IP address {address} for network {network.name}")


def take(call: Call, network: Network, holder: str) -> str:
    net = ip_network(network.cidr)
    count = net.num_addresses - 2
    first = int(net.network_address) + 1
    for _ in range(count):
        network.cursor = network.cursor % count + 1
        address = str(ip_address(first + network.cursor))
        if address not in network.used and is_inside(network, address):
            network.used[address] = holder
            return address
    raise ApiError(533, f"Insufficient address capacity in network {network.name}", 9999)


def assign(call: Call, nic: Nic) -> None:
    network = call.world.network[nic.network]
    if nic.ip is None and network.cidr:
        nic.ip = take(call, network, nic.id)
    nic.wired = True
    give_mac(call, nic)


def give_mac(call: Call, nic: Nic) -> None:
    network = call.world.network[nic.network]
    if nic.mac is None and network.account is not None:
        network.macs += 1
        zone = call.world.zone[network.zone].number
        nic.mac = f"02:{zone:02x}:{colons(network.number, network.macs)}"
    elif nic.mac is None:
        noise = call.world.random.randrange(256)
        nic.mac = f"1e:00:{noise:02x}:00:{nic.number >> 8 & 255:02x}:{nic.number & 255:02x}"


def colons(*numbers: int) -> str:
    """Each number as two bytes, in the writing of hardware addresses."""
    return ":".join(f"{number >> 8 & 255:02x}:{number & 255:02x}" for number in numbers)


def release(world: World, nic: Nic) -> None:
    network = world.network[nic.network]
    if nic.ip:
        network.used.pop(nic.ip, None)
    for key in nic.secondary:
        one = world.secondary_ip[key]
        network.used.pop(one.ipaddress, None)
        world.secondary_ip.remove(one)
