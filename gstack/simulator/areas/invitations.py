"""Invitations to projects.

Apart from projects, because CloudStack sends none unless `project.invite.required` is set: then adding an
account makes an invitation, which that account accepts or declines. Surprising: an answered invitation
stays in the list.
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, same_name, select
from ..model import Account, Project, Row
from ..model_owned import Invitation
from ..registry import command
from . import projects


def view(call: Call, one: Invitation) -> Row:
    world = call.world
    project = world.project[one.project]
    domain = world.domain[project.domain]
    row: Row = {"id": one.id, "projectid": project.id, "project": project.name}
    row.update(domainid=domain.id, domain=domain.name, domainpath=domain.path)
    if one.account:
        row["account"] = world.account[one.account].name
    if one.email:
        row["email"] = one.email
    return {**row, "state": one.state}


def invite(call: Call, project: Project, account: Account) -> Invitation:
    world, table = call.world, call.world.invitation
    for old in table:
        if old.project == project.id and old.account == account.id and old.state == "Pending":
            text = f"There is already a pending invitation for account id={account.number}"
            raise invalid(f"{text} to the project id={project.number}")
    return table.add(Invitation(world.uuid(), table.take_number(), project.id, account.id, world.now()))


def visible(call: Call, one: Invitation) -> bool:
    project = call.world.project.get(one.project)
    if project is None:
        return False
    runs = call.account.type != 0 and call.flag("listall") and call.rules(call.world.account[project.account])
    return one.account == call.account.id or project.members.get(call.account.id) == "Admin" or runs


@command("listProjectInvitations", "invitation")
def list_invitations(call: Call) -> Row:
    check_page(call)
    rows = [one for one in call.world.invitation if visible(call, one)]
    if call.flag("activeonly"):
        rows = [one for one in rows if one.state == "Pending"]
    filters: Filters = {
        **ID_FILTERS,
        "projectid": same_id("project"),
        "state": lambda one, wanted: same_name(one.state, wanted),
    }
    rows = select(call, rows, filters, lambda one: (one.email, one.state))
    return page(call, "projectinvitation", rows, lambda one: view(call, one))


@command("updateProjectInvitation")
def answer(call: Call) -> Row:
    project = call.entity("projectid", Project)
    assert project is not None
    named = call.text("account")
    account = projects.account_named(call, project, named) if named else call.account
    if not call.rules(account):
        raise invalid(f"Unable to find account name={named} in specified domain id")
    accepted = call.flag("accept", True)

    def work() -> Steps:
        yield 0.1
        open_ones = (i for i in call.world.invitation if i.project == project.id and i.account == account.id)
        one = next((i for i in open_ones if i.state == "Pending"), None)
        if one is None:
            name = account.name
            raise invalid(f"Unable to find invitation for account name={name} to the project id={project.id}")
        one.state = "Completed" if accepted else "Declined"
        if accepted:
            project.members.setdefault(account.id, "Regular")
        return {"success": True}

    return call.later(work, project)


@command("deleteProjectInvitation", "invitation")
def delete(call: Call) -> Row:
    one = call.entity("id", Invitation)
    assert one is not None
    project = call.world.project[one.project]
    call.args["projectid"] = project
    projects.need(call, "projectid")

    def work() -> Steps:
        yield 0.1
        if one.id in call.world.invitation.rows:
            call.world.invitation.remove(one)
        return {"success": True}

    return call.later(work)
