"""Projects: made, listed, changed, suspended, deleted.

Apart from accounts and memberships. Surprising: a project owns its objects through a hidden account of its
own, its tags do not filter the list, and it is deleted with all it holds or not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import limits
from ..call import Call
from ..errors import ApiError, denied, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_id, same_name, select
from ..model import Account, Entity, Machine, Project, Row, SecurityGroup
from ..registry import command
from ..world import IN_PROJECT, date
from . import accounts, machines_lifecycle, project_roles, vpcs

if TYPE_CHECKING:
    from ..world import Table

# What a project must be rid of before it can go, in the order in which it is named.
HELD = (("template", "Template"), ("machine", "VirtualMachine"), ("snapshot", "Snapshot"), ("volume", "Volume"))
GONE = frozenset({"Destroyed", "Expunging", "Inactive", "Destroy"})


def view(call: Call, project: Project) -> Row:
    world = call.world
    account, domain = world.account[project.account], world.domain[project.domain]
    owners = [{"account": world.account[key].name} for key, kind in project.members.items() if kind == "Admin"]
    row: Row = {"id": project.id, "name": project.name, "displaytext": project.displaytext}
    row.update(domainid=domain.id, domain=domain.name, owner=owners, projectaccountname=account.name)
    row.update(state=project.state, tags=world.tag_rows(project.id, IN_PROJECT), **accounts.quota(call, account))
    row["created"] = date(project.created)
    return row


@command("listProjects", "project")
def list_projects(call: Call) -> Row:
    check_page(call)
    call.args.pop("tags", None)  # declared, and without effect
    wide = call.account.type != 0 and (call.flag("listall") or "id" in call.args)
    rows = [
        project
        for project in call.world.project
        if call.account.id in project.members or (wide and call.rules(call.world.account[project.account]))
    ]
    filters: Filters = {
        **ID_FILTERS,
        "name": name_is,
        "displaytext": lambda project, wanted: same_name(project.displaytext, wanted),
        "state": lambda project, wanted: same_name(project.state, wanted),
        "domainid": same_id("domain"),
    }
    rows = select(call, rows, filters, lambda project: (project.name, project.displaytext))
    return page(call, "project", rows, lambda project: view(call, project))


def need(call: Call, name: str = "id") -> Project:
    """The project, if the caller is an admin of it or of its domain."""
    project = call.need(name, Project)
    account = call.world.account[project.account]
    if not call.rules(account) and project.members.get(call.account.id) != "Admin":
        raise denied()
    return project


@command("createProject")
def create(call: Call) -> Row:
    owner, name, world = call.owner(), call.text("name") or "", call.world
    if any(p.domain == owner.domain and same_name(p.name, name) for p in world.project):
        number = world.domain[owner.domain].number
        raise invalid(f"Project with name {name} already exists in domain id={number}")
    limits.check(world, owner, {"project": 1})
    text = call.text("displaytext") or name
    number = world.domain[owner.domain].number
    hidden_name = f"PrjAcct-{name}-{number}"
    account = Account(world.uuid(), world.account.take_number(), hidden_name, 5, owner.domain, world.now())
    made = Project(world.uuid(), world.project.take_number(), name, text, account.id, owner.domain, world.now())
    made.members[owner.id] = "Admin"
    made.state, account.project = "Disabled", made.id
    world.account.add(account)
    project = world.project.add(made)

    def work() -> Steps:
        yield 0.2
        project.state = "Active"
        add_default_group(call, account)
        return {"project": view(call, project)}

    return {"id": project.id, "jobid": call.submit(work, project).id}


def add_default_group(call: Call, account: Account) -> None:
    table = call.world.security_group
    text = "Default Security Group"
    table.add(SecurityGroup(call.world.uuid(), table.take_number(), "default", account.id, text))


@command("updateProject", "project")
def update(call: Call) -> Row:
    project = need(call)
    name, text = call.text("name"), call.text("displaytext")
    newcomer = call.text("account")

    def work() -> Steps:
        yield 0.1
        if newcomer:
            change_owner(call, project, newcomer)
        project.name, project.displaytext = name or project.name, text or project.displaytext
        return {"project": view(call, project)}

    return call.later(work, project)


def change_owner(call: Call, project: Project, name: str) -> None:
    """Gives the account another role; the old owner steps back unless `swapowner` is false."""
    account = account_named(call, project, name)
    role = (call.text("roletype") or "Admin").title()
    if account.id not in project.members:
        text = "doesn't belong to the project. Add it to the project first and then change the project's ownership"
        raise invalid(f"Account {name} {text}")
    if call.flag("swapowner", True) and not call.text("roletype"):
        for key in project.members:
            project.members[key] = "Regular"
    admins = [key for key, held in project.members.items() if held == "Admin"]
    if role != "Admin" and admins == [account.id]:
        raise invalid("Cannot demote the only admin of the project")
    project.members[account.id] = role


def account_named(call: Call, project: Project, name: str) -> Account:
    for account in call.world.account:
        if account.domain == project.domain and account.type != 5 and account.name == name:
            return account
    raise invalid(f"Unable to find account name={name} in specified domain id")


@command("suspendProject", "project")
def suspend(call: Call) -> Row:
    project = need(call)

    def work() -> Steps:
        account = call.world.account[project.account]
        project.state, account.state = "Suspended", "disabled"
        for machine in list(call.world.machine):
            if machine.account == account.id:
                yield from machines_lifecycle.go_down(call, machine)
        yield 0.1
        return {"project": view(call, project)}

    return call.later(work, project)


@command("activateProject", "project")
def activate(call: Call) -> Row:
    project = need(call)

    def work() -> Steps:
        yield 0.1
        project.state, call.world.account[project.account].state = "Active", "enabled"
        return {"project": view(call, project)}

    return call.later(work, project)


@command("deleteProject", "project")
def delete(call: Call) -> Row:
    project = need(call)
    cleanup = call.flag("cleanup")

    def work() -> Steps:
        held = list(remains(call, project.account))
        if held and not cleanup:
            raise ApiError(530, f"Can't delete the project yet because it has {' and '.join(held)} to clean up")
        yield 0.3
        clean(call, project)
        return {"success": True}

    return call.later(work, project)


def remains(call: Call, account: str) -> Iterator[str]:
    for table, word in HELD:
        rows: Table[Entity] = getattr(call.world, table)
        live = [row for row in rows if getattr(row, "account", None) == account]
        count = sum(getattr(row, "state", "") not in GONE for row in live)
        if count and not (word == "Volume" and any(isinstance(m, Machine) for m in machines_of(call, account))):
            yield f"{count} {word}"


def machines_of(call: Call, account: str) -> list[Machine]:
    return [machine for machine in call.world.machine if machine.account == account]


def clean(call: Call, project: Project) -> None:
    """Takes all that the project owns with it."""
    world = call.world
    for machine in machines_of(call, project.account):
        machines_lifecycle.expunge(call.simulator, machine)
    vpcs.drop_of_account(call, project.account)
    for name, table in world.tables().items():
        if name in ("event", "job", "account"):
            continue
        for row in [row for row in table if getattr(row, "account", None) == project.account]:
            if row is not project:
                table.remove(row)
                world.tags.pop(row.id, None)
    world.tags.pop(project.id, None)
    # Jobs and events still name the account, so it stays, disabled, as it does in CloudStack's database.
    world.account[project.account].state = "disabled"
    project.state = "Disabled"
    for role in [one for one in world.project_role if one.project == project.id]:
        project_roles.drop(call, role)
    world.project.remove(project)
