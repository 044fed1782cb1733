"""Instance groups: plain names under which an account collects machines.

Apart, because nothing but lists looks at them. Surprising: a machine that names a group makes it, and
deleting a group leaves its machines without one.
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_name, select, visible_accounts
from ..model import Account, Machine, Row
from ..model_owned import InstanceGroup
from ..registry import command
from ..world import date


def view(call: Call, group: InstanceGroup) -> Row:
    row: Row = {"id": group.id, "name": group.name, "created": date(group.created)}
    return {**row, **call.world.owner(group.account), "hasannotations": False}


def named(call: Call, account: str, name: str) -> InstanceGroup | None:
    rows = (g for g in call.world.instance_group if g.account == account and same_name(g.name, name))
    return next(rows, None)


def add(call: Call, account: str, name: str) -> InstanceGroup:
    world, table = call.world, call.world.instance_group
    return table.add(InstanceGroup(world.uuid(), table.take_number(), name, account, world.now()))


def put(call: Call, machine: Machine, name: str | None) -> None:
    """Put a machine into the group of this name, which is made if need be; an empty name changes nothing."""
    if name:
        group = named(call, machine.account, name) or add(call, machine.account, name)
        machine.group = group.id


def check_free(call: Call, owner: Account, name: str) -> None:
    if named(call, owner.id, name):
        text = f"Unable to create vm group, a group with name {name} already exists for account"
        raise invalid(f"{text} Account [{call.described(owner)}]")


@command("createInstanceGroup")
def create(call: Call) -> Row:
    owner, name = call.owner(), call.text("name") or ""
    check_free(call, owner, name)
    return {"instancegroup": view(call, add(call, owner.id, name))}


FILTERS: Filters = {**ID_FILTERS, "name": name_is}


@command("listInstanceGroups", "instance_group")
def list_groups(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [group for group in call.world.instance_group if mine(group.account)]
    rows = select(call, rows, FILTERS, lambda group: (group.name,))
    return page(call, "instancegroup", rows, lambda group: view(call, group))


@command("updateInstanceGroup", "instance_group")
def update(call: Call) -> Row:
    group, name = call.need("id", InstanceGroup), call.text("name")
    if name and not same_name(group.name, name):
        check_free(call, call.world.account[group.account], name)
    group.name = name or group.name
    return {"instancegroup": view(call, group)}


@command("deleteInstanceGroup", "instance_group")
def delete(call: Call) -> Row:
    group = call.need("id", InstanceGroup)
    for machine in call.world.machine:
        if machine.group == group.id:
            machine.group = None
    call.world.instance_group.remove(group)
    return {"success": True}
