"""Roles of a project: which commands a member with the role may use on it.

Apart from memberships, which say who has which role. Surprising: only what a rule denies is denied, the first rule
that matches decides, and it counts only for calls that name the project. Checks and texts are those of CloudStack's
`ProjectRoleManagerImpl` and `ProjectRoleBasedApiAccessChecker`.
"""

from __future__ import annotations

import re

from .. import errors
from ..call import Call
from ..errors import ApiError, invalid
from ..lists import check_page, like, page, same_name
from ..model import Project, Row
from ..model_owned import ProjectRole, RolePermission
from ..registry import command

RULE = re.compile(r"[a-zA-Z0-9*]+")


def refused(text: str) -> ApiError:
    return ApiError(431, text, 9999)


def view(role: ProjectRole) -> Row:
    row: Row = {"id": role.id, "name": role.name, "projectid": role.project}
    return {**row, "description": role.description} if role.description else row


def permission_view(call: Call, one: RolePermission, named: bool) -> Row:
    role = call.world.project_role[one.role]
    row: Row = {"id": one.id, "projectid": role.project, "projectroleid": role.id}
    if named:
        row["projectrolename"] = role.name
    row.update(rule=one.rule, permission=one.permission)
    return {**row, "description": one.description} if one.description else row


def check_admin(call: Call, project: Project) -> None:
    """Roles are for the project's admins to change."""
    if call.account.type in (1, 2):
        return
    held = project.members.get(call.account.id)
    if held is None:
        raise errors.denied("User/Account not part of project")
    if held != "Admin":
        raise errors.denied("User unauthorized to perform operation in the project")


def own_project(call: Call) -> Project:
    project = call.entity("projectid", Project)
    if project is None:
        raise errors.missing(call.api.name, "projectid")
    return project


def own_role(call: Call, name: str, text: str) -> ProjectRole:
    """The role a parameter names, if it is of the project that the call names."""
    project, role = own_project(call), call.entity(name, ProjectRole)
    if role is None or role.project != project.id:
        raise refused(text)
    check_admin(call, project)
    return role


def permissions(call: Call, role: ProjectRole) -> list[RolePermission]:
    found = [one for one in call.world.role_permission if one.role == role.id]
    return sorted(found, key=lambda one: one.position)


def allowed_or_denied(call: Call) -> str | None:
    word = call.text("permission")
    if word is not None and word.lower() not in ("allow", "deny"):
        raise refused("Values for permission parameter should be: allow or deny")
    return word.lower() if word else None


def check(call: Call) -> None:
    """Refuses a call that names a project in which the caller's role denies the command."""
    project = call.args.get("projectid")
    if not isinstance(project, Project) or call.account.type in (1, 2):
        return
    role = call.world.project_role.get(project.roles.get(call.account.id))
    if role is None or project.members.get(call.account.id) == "Admin":
        return
    for one in permissions(call, role):
        if re.fullmatch(one.rule.replace("*", r"\w*"), call.api.name, re.IGNORECASE):
            if one.permission == "deny":
                text = f"The API {call.api.name} is denied for the user's/account's project role."
                raise errors.denied(text)
            return


@command("createProjectRole")
def create(call: Call) -> Row:
    project, world = own_project(call), call.world
    check_admin(call, project)
    number, text = world.project_role.take_number(), call.text("description") or ""
    role = world.project_role.add(ProjectRole(world.uuid(), number, call.text("name") or "", project.id, text))
    return {"projectrole": view(role)}


@command("listProjectRoles")
def list_roles(call: Call) -> Row:
    check_page(call)
    project, name = own_project(call), call.text("name")
    call.check_access(project)
    rows = [role for role in call.world.project_role if role.project == project.id]
    one = call.entity("projectroleid", ProjectRole)
    if one is not None:
        rows = [role for role in rows if role is one]
    elif name:
        rows = [role for role in rows if same_name(role.name, name)]
    elif call.text("keyword"):
        rows = [role for role in rows if like(call.text("keyword") or "")(role.name)]
    return page(call, "projectrole", rows, view)


@command("updateProjectRole", "project_role")
def update(call: Call) -> Row:
    role = own_role(call, "id", "Invalid project role id provided")
    role.name = call.text("name") or role.name
    role.description = call.text("description") or role.description
    return {"projectrole": view(role)}


@command("deleteProjectRole", "project_role")
def delete(call: Call) -> Row:
    role, world = own_role(call, "id", "Cannot find project role with provided id"), call.world
    if role.id in world.project[role.project].roles.values():
        raise errors.denied("Found users that have the project role in use, cannot delete the Project Role")
    drop(call, role)
    return {"success": True}


def drop(call: Call, role: ProjectRole) -> None:
    for one in permissions(call, role):
        call.world.role_permission.remove(one, leave_trace=False)
    call.world.project_role.remove(role, leave_trace=False)


@command("createProjectRolePermission")
def create_permission(call: Call) -> Row:
    role = own_role(call, "projectroleid", "Invalid project role ID provided")
    world, rule, permission = call.world, call.text("rule") or "", allowed_or_denied(call)
    if not RULE.fullmatch(rule):
        raise invalid(f"Only API names and wildcards are allowed, invalid rule provided: {rule}")
    there = permissions(call, role)
    if any(same_name(one.rule, rule) for one in there):
        raise errors.hidden(f"Project role permission for {rule} seems to already exist.")
    number, text = world.role_permission.take_number(), call.text("description") or ""
    one = RolePermission(world.uuid(), number, role.id, rule, str(permission), len(there), text)
    return {"projectrolepermission": permission_view(call, world.role_permission.add(one), named=False)}


@command("listProjectRolePermissions")
def list_permissions(call: Call) -> Row:
    project, asked = own_project(call), call.entity("projectroleid", ProjectRole)
    call.check_access(project)
    roles = [role for role in call.world.project_role if role.project == project.id and asked in (None, role)]
    rows = [one for role in roles for one in permissions(call, role)]
    return page(call, "projectrolepermission", rows, lambda one: permission_view(call, one, named=True))


@command("updateProjectRolePermission")
def update_permission(call: Call) -> Row:
    role = own_role(call, "projectroleid", "Invalid role id provided")
    order, one = call.words("ruleorder"), call.entity("projectrolepermissionid", RolePermission)
    permission = allowed_or_denied(call)
    if order is not None:
        if one is not None or permission is not None:
            raise refused("Parameters permission and ruleid must be mutually exclusive with ruleorder")
        there = {one.id: one for one in permissions(call, role)}
        if any(key.lower() not in there for key in order):
            raise refused("Provided project role permission(s) do not exist")
        places = {key.lower(): place for place, key in enumerate(order)}
        for key, held in there.items():
            held.position = places.get(key, len(order) + held.position)
        return {"success": True}
    if one is None or one.role != role.id:
        raise refused("Role permission doesn't exist in the project, probably because of invalid rule id")
    one.permission = permission or one.permission
    return {"success": True}


@command("deleteProjectRolePermission", "role_permission")
def delete_permission(call: Call) -> Row:
    project, one = own_project(call), call.entity("id", RolePermission)
    if one is None or call.world.project_role[one.role].project != project.id:
        raise refused("Invalid role permission id provided for the project")
    check_admin(call, project)
    call.world.role_permission.remove(one, leave_trace=False)
    return {"success": True}
