"""Accounts, users and their keys, and limits.

Apart, because these are about who and not about what. Surprising: getUserKeys gives a user the own secret
key, and listResourceLimits ignores a foreign account instead of refusing it.
"""

from __future__ import annotations

from .. import errors, limits
from ..call import Call
from ..errors import denied, invalid
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_id, select
from ..model import Account, Project, Row, User
from ..registry import command
from ..world import date

ROLES = {0: "User", 1: "Admin", 2: "DomainAdmin"}
ROLE_IDS = {
    0: "3c6dd3b5-e584-11f1-ba46-02fc00000001",
    1: "3c6da4d9-e584-11f1-ba46-02fc00000001",
    2: "3c6dd16e-e584-11f1-ba46-02fc00000001",
}
# The word a limit has in the rows of accounts and projects, by resource type.
WORDS = (
    ("vm", "user_vm"),
    ("ip", "public_ip"),
    ("volume", "volume"),
    ("snapshot", "snapshot"),
    ("backup", "backup"),
    ("backupstorage", "backup_storage"),
    ("template", "template"),
    ("project", "project"),
    ("network", "network"),
    ("vpc", "vpc"),
    ("cpu", "cpu"),
    ("memory", "memory"),
    ("gpu", "gpu"),
    ("primarystorage", "primary_storage"),
    ("secondarystorage", "secondary_storage"),
    ("bucket", "bucket"),
    ("objectstorage", "object_storage"),
)


def role(account: Account) -> Row:
    name = ROLES.get(account.type, "User")
    shown = {"User": "User", "Admin": "Root Admin", "DomainAdmin": "Domain Admin"}[name]
    return {"roleid": ROLE_IDS.get(account.type, ROLE_IDS[0]), "roletype": name, "rolename": shown}


def quota(call: Call, account: Account) -> Row:
    """Limit, total and available of everything: words for the first and the last, numbers for the totals."""
    used = limits.usage(call.world, account.id)
    row: Row = {}
    for word, name in WORDS:
        if account.type == 5 and name == "project":
            continue
        top = limits.limit_of(account, name)
        total: float = used[name] // limits.GIB if name in limits.IN_BYTES else used[name]
        if name == "secondary_storage":
            total = used[name] / limits.GIB  # the only one with a fraction, even of nothing
        free = "Unlimited" if top == limits.UNLIMITED else str(top - total)
        row[f"{word}limit"] = "Unlimited" if top == limits.UNLIMITED else str(top)
        row[f"{word}total"] = total
        row[f"{word}available"] = free
    machines = [m for m in call.world.machine if m.account == account.id]
    row["vmstopped"] = sum(m.state == "Stopped" for m in machines)
    row["vmrunning"] = sum(m.state == "Running" for m in machines)
    return row


def account_view(call: Call, account: Account) -> Row:
    domain = call.world.domain[account.domain]
    row: Row = {"id": account.id, "name": account.name, "accounttype": account.type, **role(account)}
    row.update(domainid=domain.id, domain=domain.name, domainpath=domain.path)
    if any(network.account == account.id for network in call.world.network):
        row.update(receivedbytes=0, sentbytes=0)  # what its routers counted
    row.update(quota(call, account))
    row["state"] = account.state
    if account.type != 1:
        row["created"] = date(account.created)
    row["user"] = [user_view(call, user) for user in call.world.user if user.account == account.id]
    row.update(isdefault=account.type == 1, groups=[])
    if call.is_root:
        row["apikeyaccess"] = "INHERIT"
    return row


def user_view(call: Call, user: User) -> Row:
    account = call.world.account[user.account]
    domain = call.world.domain[account.domain]
    row: Row = {
        "id": user.id,
        "username": user.name,
        "firstname": user.firstname,
        "lastname": user.lastname,
        **({"email": user.email} if user.email else {}),
        "created": date(user.created),
        "state": user.state,
        **({"timezone": user.timezone} if user.timezone else {}),
        "account": account.name,
        "accounttype": account.type,
        "usersource": "native",
        **role(account),
        "domainid": domain.id,
        "domain": domain.name,
    }
    if user.api_key:
        row["apikey"] = user.api_key
    row.update(accountid=account.id, iscallerchilddomain=False, isdefault=account.type == 1)
    row.update(is2faenabled=False, is2famandated=False)
    return row


@command("listAccounts", "account")
def list_accounts(call: Call) -> Row:
    check_page(call)
    wide = call.account.type != 0 and (call.flag("listall") or "id" in call.args)
    rows = [a for a in call.world.account if a.type != 5 and (call.rules(a) if wide else a.id == call.account.id)]
    filters: Filters = {**ID_FILTERS, "name": name_is, "domainid": same_id("domain")}
    rows = select(call, rows, filters, lambda account: (account.name,))
    return page(call, "account", rows, lambda account: account_view(call, account))


@command("listUsers", "user")
def list_users(call: Call) -> Row:
    check_page(call)
    world = call.world
    wide = call.account.type != 0 and (call.flag("listall") or "id" in call.args)
    rows = [u for u in world.user if (call.rules(world.account[u.account]) if wide else u.account == call.account.id)]
    filters: Filters = {**ID_FILTERS, "username": name_is}
    rows = select(call, rows, filters, lambda user: (user.name,))
    return page(call, "user", rows, lambda user: listed_view(call, user))


def listed_view(call: Call, user: User) -> Row:
    """Only here a user is told from one of a domain below, and root sees whether the keys may be used."""
    row = user_view(call, user)
    row["iscallerchilddomain"] = call.world.account[user.account].domain != call.account.domain
    return {**row, "apikeyaccess": "INHERIT"} if call.is_root else row


@command("getUser")
def get_user(call: Call) -> Row:
    user = call.world.users_by_key.get(call.text("userapikey") or "")
    if user is None:
        raise invalid("User not found")
    return {"user": user_view(call, user)}


def own_user(call: Call) -> User:
    user = call.entity("id", User)
    if user is None:
        raise errors.missing(call.api.name, "id")
    if not call.rules(call.world.account[user.account]):
        raise denied()
    return user


@command("getUserKeys", "user")
def get_user_keys(call: Call) -> Row:
    user = own_user(call)
    return {"userkeys": {"apikey": user.api_key, "secretkey": user.secret_key, "apikeyaccess": True}}


@command("registerUserKeys", "user")
def register_user_keys(call: Call) -> Row:
    user = own_user(call)
    user.api_key, user.secret_key = call.world.key(), call.world.key()
    call.world.index_keys()
    return {"userkeys": {"apikey": user.api_key, "secretkey": user.secret_key}}


@command("getApiLimit")
def get_api_limit(call: Call) -> Row:
    return {"apilimit": call.simulator.throttle.row(call.account)}


@command("listResourceLimits")
def list_resource_limits(call: Call) -> Row:
    check_page(call)
    project = call.args.get("projectid")
    account = call.account
    if isinstance(project, Project):
        call.check_access(project)
        account = call.world.account[project.account]
    elif call.account.type != 0:
        account = call.named_account() or account
    rows = limits.rows(call.world, account)
    number, name = call.number("resourcetype"), call.text("resourcetypename")
    if number is not None and not 0 <= number < len(rows):
        raise invalid("Please specify a valid resource type.")
    if number is not None:
        rows = [row for row in rows if row["resourcetype"] == str(number)]
    if name is not None:
        rows = [row for row in rows if row["resourcetypename"] == name]
    return page(call, "resourcelimit", rows, lambda row: row)


@command("updateResourceLimit")
def update_resource_limit(call: Call) -> Row:
    number = call.number("resourcetype")
    if number is None or not 0 <= number < len(limits.TYPES):
        raise invalid("Please specify a valid resource type.")
    project = call.entity("projectid", Project)
    account = call.world.account[project.account] if project else call.named_account() or call.account
    top = call.number("max")
    account.limits[limits.TYPES[number][0]] = limits.UNLIMITED if top is None else top
    rows = limits.rows(call.world, account)
    return {"resourcelimit": next(row for row in rows if row["resourcetype"] == str(number))}
