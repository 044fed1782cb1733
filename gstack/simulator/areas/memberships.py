"""Who belongs to a project: listing, adding and removing accounts.

Apart from projects, because invitations come between. Surprising: the list shows the newest member first,
and a user stands for the whole account.
"""

from __future__ import annotations

from ..call import Call
from ..errors import hidden, invalid
from ..jobs import Steps
from ..lists import check_page, page, same_name
from ..model import Account, Project, Row, User
from ..model_owned import ProjectRole
from ..registry import command
from . import invitations, projects


@command("listProjectAccounts", "project")
def list_members(call: Call) -> Row:
    check_page(call)
    project = call.need("projectid", Project)
    domain = call.world.domain[project.domain]
    name, role = call.text("account"), call.text("role")
    rows: list[Row] = []
    for key, held in reversed(project.members.items()):
        account = call.world.account[key]
        row: Row = {"projectid": project.id, "project": project.name, "accountid": account.id, "account": account.name}
        row.update(accounttype=account.type, role=held)
        special = call.world.project_role.get(project.roles.get(key))
        if special is not None:
            row["projectroleid"] = special.id
        row.update(domainid=domain.id, domain=domain.name, domainpath=domain.path)
        if (name is None or account.name == name) and (role is None or same_name(held, role)):
            rows.append(row)
    return page(call, "projectaccount", rows, lambda row: row)


def check_active(project: Project) -> None:
    if project.state != "Active":
        text = f"Can't add account to the specified project id in state={project.state} as it's no longer active"
        raise invalid(text)


def wanted_role(call: Call) -> str:
    role = (call.text("roletype") or "Regular").title()
    if role not in ("Admin", "Regular"):
        raise invalid(f"Invalid role type {role}; either Admin or Regular is wanted")
    return role


def member_added(call: Call, project: Project, account: Account) -> Row:
    role, special = wanted_role(call), call.entity("projectroleid", ProjectRole)
    if special is not None and special.project != project.id:
        raise invalid("Invalid project role ID provided")
    if account.id in project.members:
        raise invalid(f"Account {account.name} is already part of the project")
    by_invitation = call.simulator.settings.flag("project.invite.required")
    if by_invitation:
        invitations.invite(call, project, account)

    def work() -> Steps:
        yield 0.1
        if not by_invitation:
            project.members.setdefault(account.id, role)
            if special is not None:
                project.roles[account.id] = special.id
        return {"success": True}

    return call.later(work, project)


@command("addAccountToProject")
def add_account(call: Call) -> Row:
    project, name = projects.need(call, "projectid"), call.text("account")
    check_active(project)
    if name is None:
        raise invalid("Either account or email must be given")
    return member_added(call, project, projects.account_named(call, project, name))


@command("addUserToProject")
def add_user(call: Call) -> Row:
    project, name = projects.need(call, "projectid"), call.text("username")
    check_active(project)
    user = next((user for user in call.world.user if user.name == name), None)
    if user is None:
        raise invalid("Invalid user ID provided")
    return member_added(call, project, call.world.account[user.account])


@command("deleteAccountFromProject")
def remove_account(call: Call) -> Row:
    project = projects.need(call, "projectid")
    return member_removed(call, project, projects.account_named(call, project, call.text("account") or ""))


@command("deleteUserFromProject")
def remove_user(call: Call) -> Row:
    project, user = projects.need(call, "projectid"), call.entity("userid", User)
    if user is None:
        raise invalid("Invalid userId provided")
    return member_removed(call, project, call.world.account[user.account])


def member_removed(call: Call, project: Project, account: Account) -> Row:
    if account.id not in project.members:
        raise invalid(f"Account {account.name} is not assigned to the project with specified id")
    admins = [key for key, role in project.members.items() if role == "Admin"]
    if admins == [account.id]:
        raise invalid(f"Unable to delete account {account.name} from the project: it is the only admin")

    def work() -> Steps:
        yield 0.1
        project.roles.pop(account.id, None)
        if project.members.pop(account.id, None) is None:
            raise hidden(f"Failed to delete account {account.name} from the project")
        return {"success": True}

    return call.later(work, project)
