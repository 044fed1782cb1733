"""Affinity groups: made, listed, deleted, and which machines belong to them.

Apart from placement, which reads them. Surprising: making and deleting are jobs, a group in use can be
deleted, and membership changes on a stopped machine only.
"""

from __future__ import annotations

from ..call import Call
from ..errors import denied, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_name, select, visible_accounts
from ..model import Account, Machine, Row
from ..model_owned import AffinityGroup
from ..registry import command
from . import machines

TYPES = ("host anti-affinity", "host affinity", "non-strict host anti-affinity", "non-strict host affinity")
VALID = "non-strict host affinity,host affinity,host anti-affinity,ExplicitDedication,non-strict host anti-affinity"


def view(call: Call, group: AffinityGroup) -> Row:
    row: Row = {"id": group.id, "name": group.name}
    if group.description:
        row["description"] = group.description
    row.update(call.world.owner(group.account), type=group.type)
    members = [machine.id for machine in call.world.machine if group.id in machine.affinity]
    if members:
        row["virtualmachineIds"] = members
    return row


def named(call: Call, owner: Account, name: str) -> AffinityGroup | None:
    rows = (g for g in call.world.affinity_group if g.account == owner.id and same_name(g.name, name))
    return next(rows, None)


def check_access(call: Call, group: AffinityGroup) -> None:
    if not call.reaches(group):
        shown = f'AffinityGroup {{"id":{group.number},"name":"{group.name}","uuid":"{group.id}"}}'
        raise denied(f"Account [{call.described()}] does not have permission to operate with resource {shown}")


def chosen(call: Call, owner: Account) -> list[str]:
    """Ids of the groups that `affinitygroupids` or `affinitygroupnames` name; none if neither is given."""
    ids, names = call.entities("affinitygroupids", AffinityGroup), call.words("affinitygroupnames")
    if ids and names:
        raise invalid("affinitygroupids parameter is mutually exclusive with affinitygroupnames parameter")
    for group in ids or ():
        check_access(call, group)
    found = list(ids or ())
    for name in names or ():
        match = named(call, owner, name)
        if match is None:
            raise invalid(f"Unable to find group by name {name}")
        found.append(match)
    return [group.id for group in found]


@command("createAffinityGroup")
def create(call: Call) -> Row:
    owner, name, kind = call.owner(), call.text("name") or "", (call.text("type") or "").lower()
    if kind not in TYPES:
        text = f"Unable to create affinity group, invalid affinity group type: {call.text('type')}."
        raise invalid(f"{text} Valid values are {VALID}")
    if named(call, owner, name):
        raise invalid(f"Unable to create affinity group, a group with name {name} already exists.")
    world, table = call.world, call.world.affinity_group
    made = AffinityGroup(world.uuid(), table.take_number(), name, owner.id, kind, call.text("description") or "")
    group = table.add(made)

    def work() -> Steps:
        yield 0.1
        return {"affinitygroup": view(call, group)}

    return {"id": group.id, "jobid": call.submit(work, group).id}


@command("deleteAffinityGroup", "affinity_group")
def delete(call: Call) -> Row:
    """Which group is looked for at once only when it is given by its id."""
    owner, name, given = call.owner(), call.text("name"), call.entity("id", AffinityGroup)
    if given is None and name is None:
        raise invalid("Either the affinity group Id or group name must be specified to delete the group")
    if given is not None:
        check_access(call, given)

    def work() -> Steps:
        group = call.world.affinity_group.get(given.id) if given else named(call, owner, name or "")
        yield 0.1
        if group is None:
            raise invalid(f"Unable to find affinity group {given.number if given else name}")
        for machine in call.world.machine:
            if group.id in machine.affinity:
                machine.affinity.remove(group.id)
        call.world.affinity_group.remove(group)
        return {"success": True}

    return call.later(work)


@command("listAffinityGroupTypes")
def list_types(call: Call) -> Row:
    check_page(call)
    return page(call, "affinityGroupType", list(TYPES), lambda name: {"type": name})


def has_member(call: Call, group: AffinityGroup) -> bool:
    machine = call.args.get("virtualmachineid")
    return isinstance(machine, Machine) and group.id in machine.affinity


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "type": lambda group, wanted: same_name(group.type, wanted),
}


@command("listAffinityGroups", "affinity_group")
def list_groups(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [group for group in call.world.affinity_group if mine(group.account)]
    if "virtualmachineid" in call.args:
        rows = [group for group in rows if has_member(call, group)]
    rows = select(call, rows, FILTERS, lambda group: (group.name, group.type))
    return page(call, "affinitygroup", rows, lambda group: view(call, group))


@command("updateVMAffinityGroup", "machine")
def update_machine(call: Call) -> Row:
    machine = call.need("id", Machine)
    if "affinitygroupids" not in call.args and "affinitygroupnames" not in call.args:
        raise invalid("Either affinitygroupids or affinitygroupnames must be given")

    def work() -> Steps:
        if machine.state != "Stopped":
            text = f"Unable update affinity groups of the virtual machine {machines.described(machine)} in state"
            raise invalid(
                f"{text} {machine.state}; make sure the virtual machine is stopped and not in an error state"
                " before updating."
            )
        groups = chosen(call, call.world.account[machine.account])
        yield 0.1
        machine.affinity = groups
        row = machines.view(call, machine, frozenset({"affgrp"}))
        row.pop("jobid", None), row.pop("jobstatus", None)
        return {"virtualmachine": row}

    return call.later(work, machine)
