"""Measurements of machines and volumes: the lists with a few sums in front, and their history.

Apart from the lists, whose rows they take. Surprising: the simulator hypervisor measures nothing, so there are totals
but no usage, the history of everything is empty, and `domainpath` is missing.
"""

from __future__ import annotations

from ..call import Call
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, select, visible_accounts
from ..model import Machine, Row
from ..registry import command
from . import machines, volumes

GIB = 1024**3


def measured(row: Row, sums: Row) -> Row:
    return {**sums, **{key: value for key, value in row.items() if key != "domainpath"}}


def machine_row(row: Row) -> Row:
    sums: Row = {}
    if "cpunumber" in row:
        sums["cputotal"] = f"{int(str(row['cpunumber'])) * int(str(row['cpuspeed'])) / 1000:.1f} Ghz"
        sums["memorytotal"] = f"{int(str(row['memory'])) / 1024:.2f} GiB"
    return measured(row, sums)


def volume_row(row: Row) -> Row:
    sums: Row = {"sizegb": f"{int(str(row['size'])) / GIB:.2f} GiB"}
    if "diskioread" in row:
        sums["diskiopstotal"] = 0
    return measured(row, sums)


@command("listVirtualMachinesMetrics", "machine")
def list_machines(call: Call) -> Row:
    body = machines.list_machines(call)
    rows = body.get("virtualmachine")
    return {**body, "virtualmachine": [machine_row(row) for row in rows]} if isinstance(rows, list) else body


@command("listVolumesMetrics", "volume")
def list_volumes(call: Call) -> Row:
    body = volumes.list_volumes(call)
    rows = body.get("volume")
    return {**body, "volume": [volume_row(row) for row in rows]} if isinstance(rows, list) else body


HISTORY_FILTERS: Filters = {**ID_FILTERS, "name": name_is}


@command("listVirtualMachinesUsageHistory", "machine")
def machine_history(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [m for m in call.world.machine if mine(m.account) and m.state not in machines.GONE]
    rows = select(call, rows, HISTORY_FILTERS, lambda machine: (machine.name,))

    def view(machine: Machine) -> Row:
        name = machines.instance_name(machine)
        return {"id": machine.id, "name": name, "displayname": machine.displayname, "stats": []}

    return page(call, "virtualmachine", rows, view)


@command("listVolumesUsageHistory", "volume")
def volume_history(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [volume for volume in call.world.volume if mine(volume.account)]
    rows = select(call, rows, HISTORY_FILTERS, lambda volume: (volume.name,))
    return page(call, "volume", rows, lambda volume: {"id": volume.id, "name": volume.name, "stats": []})
