"""How much of everything a zone has and how much is taken: listCapacity, and listZones with `showcapacities`.

Apart from the infrastructure, because it is counted and not listed. Surprising: the two lists do not show the same
kinds, and only a zone where a user's machine runs tells what is allocated.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from ..call import Call
from ..lists import check_page, page
from ..model import Machine, Record, Row
from ..registry import command
from . import routers

# https://docs.cloudstack.apache.org/, "listCapacity": the numbers of the kinds.
NAMES = {
    0: "MEMORY",
    1: "CPU",
    2: "STORAGE",
    3: "STORAGE_ALLOCATED",
    4: "VIRTUAL_NETWORK_PUBLIC_IP",
    5: "PRIVATE_IP",
    6: "SECONDARY_STORAGE",
    7: "VLAN",
    8: "DIRECT_ATTACHED_PUBLIC_IP",
    19: "GPU",
    20: "OBJECT_STORAGE",
    90: "CPU_CORE",
}
ALLOCATED = (0, 1, 19, 90)
MIB = 1024**2
# What the two system machines of a zone take: MiB, MHz, cores and private addresses.
SYSTEM_MEMORY, SYSTEM_SPEED, SYSTEM_CORES, SYSTEM_IPS = 1536, 1000, 2, 3
ROUTER_MEMORY, ROUTER_SPEED = 512, 500  # of each router, which has one core
PRIVATE_IPS, VLANS = 497, 801  # of a pod, and of an advanced zone


def running(call: Call, zone: Record) -> list[Machine]:
    return [m for m in call.world.machine if m.zone == zone.id and m.host is not None]


def counted(call: Call, zone: Record) -> dict[int, tuple[int, int]]:
    """Used and total of each kind, in bytes, MHz, cores or pieces."""
    world, hosts, machines = call.world, zone.row["hosts"], running(call, zone)
    assert isinstance(hosts, dict)
    count, routed = hosts["count"], sum(router.zone == zone.id for router in routers.running(call))
    pools = sum(int(str(p.row["capacitybytes"])) for p in world.storage_pool if p.row["zoneid"] == zone.id)
    stored = sum(volume.size for volume in world.volume if volume.zone == zone.id and volume.pool)
    rows = {
        0: (
            (SYSTEM_MEMORY + routed * ROUTER_MEMORY + sum(m.memory for m in machines)) * MIB,
            count * hosts["memory"] * MIB,
        ),
        1: (
            SYSTEM_SPEED + routed * ROUTER_SPEED + sum(m.cpunumber * m.cpuspeed for m in machines),
            count * hosts["cpunumber"] * hosts["cpuspeed"],
        ),
        2: (0, pools),
        3: (stored, pools * 2),  # twice what there is may be promised
        5: (SYSTEM_IPS, PRIVATE_IPS),
        6: (0, 0),
        90: (SYSTEM_CORES + routed + sum(m.cpunumber for m in machines), count * hosts["cpunumber"]),
    }
    public = [address for address in world.public_ip if address.zone == zone.id]
    shared = [net for net in world.network if net.zone == zone.id and net.row["type"] == "Shared"]
    if public:
        rows[4] = (sum(address.state != "Free" for address in public), len(public))
        rows[7] = (sum(net.vlan is not None for net in world.network if net.zone == zone.id), VLANS)
    if shared:
        rows[8] = (sum(len(net.used) for net in shared), sum(ip_network(net.cidr).num_addresses - 3 for net in shared))
    return rows


def percent(used: int, total: int) -> str:
    return f"{used * 100 / total:.2f}".rstrip("0").rstrip(".") if total else "0"


def rows_of(amounts: dict[int, tuple[int, int]]) -> Iterable[tuple[int, Row]]:
    for kind, (used, total) in sorted(amounts.items()):
        row: Row = {"type": kind, "name": NAMES[kind]}
        yield kind, {**row, "capacityused": used, "capacitytotal": total, "percentused": percent(used, total)}


def of_zone(call: Call, zone: Record) -> list[Row]:
    return [row for _, row in rows_of({**counted(call, zone), 20: (0, 0)})]


def of_list(call: Call, zone: Record) -> list[Row]:
    busy = bool(running(call, zone))
    made: list[Row] = []
    for kind, row in rows_of({**counted(call, zone), **({19: (0, 0)} if busy else {})}):
        row.update(zoneid=zone.id, zonename=zone.name)
        if busy and kind in ALLOCATED:
            row["capacityallocated"] = row["capacityused"]
        made.append(row)
    return made


@command("listCapacity")
def list_capacity(call: Call) -> Row:
    check_page(call)
    zone, kind = call.entity("zoneid", Record), call.number("type")
    zones = [zone] if zone else sorted(call.world.zone, key=lambda zone: zone.name)
    rows = [row for zone in zones for row in of_list(call, zone) if kind in (None, row["type"])]
    return page(call, "capacity", rows, dict)
