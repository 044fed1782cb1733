"""Domains, and the operator's verbs on users and accounts.

Apart from accounts, which users read. Surprising: whoever is disabled or locked gets the same refusal as a
bad signature.
"""

from __future__ import annotations

from .. import limits
from ..call import Call
from ..errors import denied, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_name, select
from ..model import Account, Domain, Row, User
from ..registry import command
from ..world import date
from . import accounts


def domain_view(call: Call, domain: Domain) -> Row:
    world = call.world
    row: Row = {"id": domain.id, "name": domain.name, "level": domain.path.count("/")}
    parent = next((d for d in world.domain if d.path == domain.path.rpartition("/")[0]), None)
    if parent is not None:
        row.update(parentdomainid=parent.id, parentdomainname=parent.name)
    row["haschild"] = any(d.path.startswith(domain.path + "/") for d in world.domain)
    row.update(path=domain.path, state="Active", created=date(world.account_created(domain.id)))
    inside = [a for a in world.account if below(call, a, domain)]
    used = [limits.usage(world, account.id) for account in inside]
    for word, name in accounts.WORDS:
        total = sum(one[name] for one in used)
        row[f"{word}limit"] = "Unlimited"
        row[f"{word}total"] = total // limits.GIB if name in limits.IN_BYTES else total
        row[f"{word}available"] = "Unlimited"
    return {**row, "hasannotations": False}


def below(call: Call, account: Account, domain: Domain) -> bool:
    return f"{call.world.domain[account.domain].path}/".startswith(f"{domain.path}/")


@command("listDomains", "domain")
def list_domains(call: Call) -> Row:
    check_page(call)
    mine = call.world.domain[call.account.domain].path
    rows = [d for d in call.world.domain if f"{d.path}/".startswith(f"{mine}/")]
    filters: Filters = {
        **ID_FILTERS,
        "name": name_is,
        "level": lambda domain, wanted: domain.path.count("/") == wanted,
    }
    rows = select(call, rows, filters, lambda domain: (domain.name,))
    return page(call, "domain", rows, lambda domain: domain_view(call, domain))


def set_user(call: Call, state: str) -> User:
    user = call.entity("id", User)
    if user is None:
        raise invalid("Unable to find user by id")
    call.check_access(call.world.account[user.account])
    user.state = state
    return user


@command("updateUser", "user")
def update_user(call: Call) -> Row:
    """A user changes what is told of him; a new password asks for the old one, except of root."""
    user, world = call.entity("id", User), call.world
    if user is None:
        raise invalid("Unable to find user by id")
    account = world.account[user.account]
    if not call.rules(account):
        raise denied()
    key, secret = call.text("userapikey"), call.text("usersecretkey")
    if (key is None) is not (secret is None):
        raise invalid("Please provide a userApiKey/userSecretKey pair")
    if key and world.users_by_key.get(key, user) is not user:
        raise invalid(f"The API key [{key}] already exists in the system. Please provide a unique key.")
    for name, shown in (("firstname", "Firstname"), ("lastname", "Lastname"), ("username", "Username")):
        if name in call.args and not (call.text(name) or "").strip():
            raise invalid(f"{shown} cannot be empty.")
    name = call.text("username") or user.name
    same_domain = (one for one in world.user if world.account[one.account].domain == account.domain and one is not user)
    if any(same_name(one.name, name) for one in same_domain):
        raise invalid(f"Username [{name}] already exists in domain id={world.domain[account.domain].number}")
    check_password(call, user)
    user.password = call.text("password") or user.password or f"secret-{user.name}"
    user.name, user.timezone = name, call.text("timezone") or user.timezone
    user.firstname = call.text("firstname") or user.firstname
    user.lastname = call.text("lastname") or user.lastname
    user.email = call.text("email") or user.email
    user.api_key, user.secret_key = key or user.api_key, secret or user.secret_key
    world.index_keys()
    return {"user": accounts.user_view(call, user)}


def check_password(call: Call, user: User) -> None:
    new, current = call.text("password"), call.text("currentpassword")
    if new is None:
        return
    if not new.strip():
        raise invalid("Password cannot be empty or blank.")
    if call.is_root:
        return
    if not current:
        raise invalid("To set a new password the current password must be provided.")
    if current != (user.password or f"secret-{user.name}"):
        raise invalid("Current password is incorrect.")


@command("disableUser", "user")
def disable_user(call: Call) -> Row:
    user = call.entity("id", User)
    assert user is not None

    def work() -> Steps:
        yield 0.1
        return {"user": accounts.user_view(call, set_user(call, "disabled"))}

    return call.later(work, user)


@command("enableUser", "user")
def enable_user(call: Call) -> Row:
    return {"user": accounts.user_view(call, set_user(call, "enabled"))}


@command("lockUser", "user")
def lock_user(call: Call) -> Row:
    return {"user": accounts.user_view(call, set_user(call, "locked"))}


def chosen(call: Call) -> Account:
    given = call.entity("id", Account)
    account = given or call.named_account()
    if account is None:
        raise invalid("Unable to find account by the given id or name and domain")
    if not call.rules(account):
        raise invalid("Unable to find account by the given id or name and domain")
    return account


@command("disableAccount", "account")
def disable_account(call: Call) -> Row:
    account, state = chosen(call), "locked" if call.flag("lock") else "disabled"

    def work() -> Steps:
        yield 0.1
        account.state = state
        return {"account": accounts.account_view(call, account)}

    return call.later(work, account)


@command("lockAccount", "account")
def lock_account(call: Call) -> Row:
    account = chosen(call)
    account.state = "locked"
    return {"account": accounts.account_view(call, account)}


@command("enableAccount", "account")
def enable_account(call: Call) -> Row:
    account = chosen(call)
    account.state = "enabled"
    return {"account": accounts.account_view(call, account)}


@command("updateResourceCount")
def update_resource_count(call: Call) -> Row:
    """Counts afresh; here the counts are never anything else."""
    account = call.named_account() or call.account
    number = call.number("resourcetype")
    if number is not None and not 0 <= number < len(limits.TYPES):
        raise invalid("Please specify valid resource type")
    used, owner = limits.usage(call.world, account.id), call.world.owner(account.id)
    rows = [
        {**owner, "resourcetype": str(index), "resourcetypename": name, "resourcecount": used[name]}
        for index, (name, _) in enumerate(limits.TYPES)
        if number is None or index == number
    ]
    return {"count": len(rows), "resourcecount": rows}
