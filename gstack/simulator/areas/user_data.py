"""Registered user data: kept by an account, named by machines and linked to templates.

Apart from the user data a deploy brings along, which belongs to the machine. Surprising: neither a name nor
a content may be registered twice, and the refusal to delete one in use hides its reason.
"""

from __future__ import annotations

from ..call import Call
from ..errors import denied, hidden, invalid
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_name, select, visible_accounts
from ..model import Row, Template
from ..model_owned import UserData
from ..registry import command
from . import machine_choices, templates

POLICIES = ("ALLOWOVERRIDE", "APPEND", "DENYOVERRIDE")


def view(call: Call, data: UserData) -> Row:
    row: Row = {"id": data.id, "name": data.name, **call.world.owner(data.account), "userdata": data.userdata}
    if data.params:
        row["params"] = data.params
    return {**row, "hasannotations": False}


@command("registerUserData")
def register(call: Call) -> Row:
    owner, name = call.owner(), call.text("name") or ""
    mine = [data for data in call.world.user_data if data.account == owner.id]
    if any(same_name(data.name, name) for data in mine):
        raise invalid(f"A userdata with name {name} already exists for this account.")
    content = machine_choices.check_userdata(call, call.text("userdata") or "")
    twin = next((data for data in mine if data.userdata == content), None)
    if twin is not None:
        raise invalid(f"Userdata {twin.name} with same content already exists for this account.")
    world, table = call.world, call.world.user_data
    made = UserData(world.uuid(), table.take_number(), name, owner.id, content, call.text("params"))
    return {"userdata": view(call, table.add(made))}


FILTERS: Filters = {**ID_FILTERS, "name": name_is}


@command("listUserData", "user_data")
def list_user_data(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    rows = [data for data in call.world.user_data if mine(data.account)]
    rows = select(call, rows, FILTERS, lambda data: (data.name,))
    return page(call, "userdata", rows, lambda data: view(call, data))


@command("deleteUserData", "user_data")
def delete(call: Call) -> Row:
    data = call.need("id", UserData)
    if any(template.userdata == data.id for template in call.world.template):
        raise hidden(f"Userdata {data.name} cannot be removed as a template is linked to it")
    if any(machine.userdata_id == data.id for machine in call.world.machine):
        raise hidden(f"Userdata {data.name} cannot be removed as a machine uses it")
    call.world.user_data.remove(data)
    return {"success": True}


@command("linkUserDataToTemplate")
def link(call: Call) -> Row:
    """Without `userdataid` the link goes away."""
    template, data = call.entity("templateid", Template), call.entity("userdataid", UserData)
    if template is None:
        raise invalid("Either template ID or ISO ID must be given")
    if template.account is None and not call.is_root:
        raise denied()
    call.check_access(template)
    if data is not None:
        call.check_access(data)
    policy = (call.text("userdatapolicy") or POLICIES[0]).upper()
    if policy not in POLICIES:
        raise invalid(f"Invalid userdatapolicy {policy}; one of {', '.join(POLICIES)} is wanted")
    template.userdata = data.id if data else None
    for name in ("userdataid", "userdataname", "userdatapolicy"):
        template.row.pop(name, None)
    if data is not None:
        template.row.update(userdataid=data.id, userdataname=data.name, userdatapolicy=policy)
    return {"template": templates.updated_row(call, template)}
