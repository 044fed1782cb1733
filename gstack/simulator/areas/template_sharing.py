"""Templates shared with other accounts and copied to other zones.

Apart from templates, because neither makes one. Surprising: the list of permissions names the accounts, not
their ids, and holds no `count`; a copy keeps the template's id.
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..jobs import Steps
from ..model import Account, Project, Record, Row, Template
from ..registry import command
from ..world import date
from . import templates

OPERATIONS = ("add", "remove", "reset")


def account_named(call: Call, domain: str, name: str) -> Account:
    for account in call.world.account:
        if account.name == name and account.domain == domain:
            return account
    text = f"Unable to grant a launch permission to account {name} in domain id={domain}, account not found."
    raise invalid(f"{text}  No permissions updated, please verify the account names and retry.")


def chosen(call: Call, template: Template) -> list[Account]:
    domain = (call.world.account_of(template) or call.account).domain
    found = [account_named(call, domain, name) for name in call.words("accounts") or ()]
    for project in call.entities("projectids", Project) or ():
        call.check_access(project)
        found.append(call.world.account[project.account])
    return found


@command("updateTemplatePermissions", "template")
def update(call: Call) -> Row:
    template, operation = templates.owned(call), (call.text("op") or "").lower()
    names = "accounts" in call.args or "projectids" in call.args
    if (operation or names) and operation not in OPERATIONS:
        text = "Invalid operation on accounts, the operation must be either 'add' or 'remove' in order to modify"
        raise invalid(f"{text} launch permissions.  Given operation is: '{call.text('op')}'")
    if operation in ("add", "remove") and not names:
        raise invalid(f"Operation {operation} requires accounts or projectIds to be passed in")
    accounts = chosen(call, template) if names else []
    for name in ("ispublic", "isfeatured", "isextractable"):
        if name in call.args:
            template.row[name] = call.flag(name)
    if operation == "reset":
        template.shared = []
        template.row.update(ispublic=False, isfeatured=False)
    for account in accounts:
        if operation == "add" and account.id not in (template.account, *template.shared):
            template.shared.append(account.id)
        elif operation == "remove" and account.id in template.shared:
            template.shared.remove(account.id)
    return {"success": True}


@command("listTemplatePermissions", "template")
def list_permissions(call: Call) -> Row:
    """The owner is among the accounts as soon as there is another."""
    template = call.entity("id", Template)
    if template is None:
        raise invalid("Unable to find template")
    if not (template.row.get("ispublic") and template.account is None) or call.is_root:
        call.check_access(template)
    row: Row = {"id": template.id, "ispublic": bool(template.row["ispublic"])}
    world = call.world
    owner = world.account_of(template)
    if owner is not None and call.is_root:
        row["domainid"] = owner.domain
    accounts = [world.account[key] for key in template.shared]
    names = [account.name for account in accounts if account.type != 5]
    projects = [account.project for account in accounts if account.type == 5]
    if owner is not None and owner.type != 5 and names:
        names.append(owner.name)
    if names:
        row["account"] = names
    if projects:
        row["projectids"] = projects
    return {"templatepermission": row}


@command("copyTemplate", "template")
def copy(call: Call) -> Row:
    template = templates.need(call)
    source = call.entity("sourcezoneid", Record)
    targets = [zone for zone in (call.entity("destzoneid", Record),) if zone] or call.entities("destzoneids", Record)
    if not targets:
        raise invalid("Either destzoneid or destzoneids parameters have to be specified.")
    if source is not None and source.id not in template.zones:
        raise invalid(f"Template {template.id} is not in zone {source.id}")
    if any(source is not None and zone.id == source.id for zone in targets):
        raise invalid("Please specify different source and destination zones.")

    def work() -> Steps:
        templates.refuse_in_job(call, template)
        yield 0.4
        for zone in targets or ():
            here = {"downloadState": "DOWNLOADED", "datastore": f"{zone.name}-sec", "downloadPercent": "100"}
            row: Row = {"zoneid": zone.id, "zonename": zone.name, "created": date(call.world.now())}
            template.zones[zone.id] = {**row, **templates.MOCKED, "downloaddetails": [here]}
        last = targets[-1] if targets else None
        assert last is not None
        return {"template": templates.view(call, templates.Placed(template, last.id))}

    return call.later(work, template)
