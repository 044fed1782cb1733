"""Where a machine may run: zones and offerings that are closed, storage tags, affinity groups, hosts.

Apart from deploying, because every start asks. Surprising: a zone that is disabled refuses a deploy at once
(531) but a start only in its job (533), and an offering that was removed still starts what has it.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError, denied, invalid
from ..model import Account, Machine, Record
from . import machines

CROWDED = "Please check the affinity groups provided, there may not be sufficient capacity to follow them"


def is_open(zone: Record) -> bool:
    return zone.row.get("allocationstate") != "Disabled"


def check_zone(call: Call, zone: Record) -> None:
    if not is_open(zone) and not call.is_root:
        shown = f'Zone {{"id": "{zone.number}", "name": "{zone.name}", "uuid": "{zone.id}"}}'
        raise denied(f"Cannot perform this operation, Zone is currently disabled: {shown}")


def check_offering(call: Call, offering: Record, zone: Record) -> None:
    if offering.removed:
        raise invalid(f"Service offering is inactive: [{offering.id}].")
    zones = offering.row.get("zoneid")
    if zones and zone.id not in str(zones).split(","):
        shown = f'Service offering {{"id":{offering.number},"name":"{offering.name}","uuid":"{offering.id}"}}'
        raise denied(f"There's no way to confirm {shown_account(call.account)} has access to {shown}.")


def shown_account(account: Account) -> str:
    return f'Account [{{"accountName":"{account.name}","id":{account.number},"uuid":"{account.id}"}}]'


def check_owner(call: Call, owner: Account) -> None:
    if owner.state != "enabled":
        raise denied(f"The owner of vm to deploy is disabled: {shown_account(owner)}")


def check_owner_enabled(call: Call, machine: Machine) -> None:
    owner = call.world.account[machine.account]
    if owner.state != "enabled":
        raise ApiError(530, f"The owner of {machines.described(machine)} is disabled: {shown_account(owner)}")


def nowhere(machine: Machine) -> ApiError:
    text = f"No destination found for a deployment for {machines.described(machine, 'Stopped')}"
    return ApiError(533, f"{text}, {CROWDED}" if machine.affinity else text)


def storage_fits(call: Call, machine: Machine) -> bool:
    """Whether some pool of the zone carries the storage tags of every disk."""
    pools = call.world.zone[machine.zone].row["hosts"]
    assert isinstance(pools, dict)
    held = set(pools.get("storagetags", ()))
    for volume in call.world.volume:
        if volume.machine != machine.id or volume.pool:
            continue
        offering = call.world.disk_offering.get(volume.disk_offering)
        wanted = str(offering.row.get("tags") or "") if offering else ""
        if not {tag.strip() for tag in wanted.split(",") if tag.strip()} <= held:
            return False
    return True


def hosts_of(call: Call, group: str, machine: Machine) -> set[int]:
    rows = (m for m in call.world.machine if group in m.affinity and m.id != machine.id and m.zone == machine.zone)
    return {m.host for m in rows if m.host is not None}


def by_affinity(call: Call, machine: Machine, fits: list[int]) -> list[int]:
    """What the strict groups leave of the hosts, those that the other groups prefer first if any are left."""
    for key in machine.affinity:
        group = call.world.affinity_group.get(key)
        taken = hosts_of(call, key, machine)
        if group is None or not taken:
            continue
        wanted = [host for host in fits if (host in taken) is not group.type.endswith("anti-affinity")]
        fits = wanted if wanted or not group.type.startswith("non-strict") else fits
    return fits


def pick_host(call: Call, machine: Machine) -> int | None:
    """The host with most room, or None when the machine fits nowhere."""
    zone = call.world.zone[machine.zone]
    hosts = zone.row["hosts"]
    assert isinstance(hosts, dict)
    template = call.world.template.get(machine.template)
    if template is not None and template.row["hypervisor"] != "Simulator":
        return None  # registered for hosts of another kind
    if machine.cpunumber > hosts["cpunumber"] or not is_open(zone) or not storage_fits(call, machine):
        return None
    speed = [hosts["cpunumber"] * hosts["cpuspeed"]] * hosts["count"]
    memory = [hosts["memory"]] * hosts["count"]
    for other in call.world.machine:
        if other.host is not None and other.zone == machine.zone and other.id != machine.id:
            speed[other.host] -= other.cpunumber * other.cpuspeed
            memory[other.host] -= other.memory
    needed = machine.cpunumber * machine.cpuspeed
    fits = [i for i in range(hosts["count"]) if speed[i] >= needed and memory[i] >= machine.memory]
    fits = by_affinity(call, machine, fits)
    return max(fits, key=lambda i: memory[i]) if fits else None
