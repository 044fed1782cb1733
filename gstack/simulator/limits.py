"""Resource limits: what an account may have, what it has, and the refusal.

Apart, because machines, volumes, snapshots and templates all count. Surprising: the same refusal has another
`cserrorcode` when it comes from a deploy, and inside a job it turns into code 530.
"""

from __future__ import annotations

from .errors import ApiError
from .model import Account, Row
from .world import World

GIB = 1024**3
UNLIMITED = -1
# name, and what an account gets when nobody set a limit: in CloudStack's order, which is the numeric
# resource type.
TYPES: tuple[tuple[str, int], ...] = (
    ("user_vm", 20),
    ("public_ip", 20),
    ("volume", 20),
    ("snapshot", 20),
    ("template", 20),
    ("project", 10),
    ("network", 20),
    ("vpc", 20),
    ("cpu", 40),
    ("memory", 40_960),
    ("primary_storage", 200),
    ("secondary_storage", 400),
    ("backup", 20),
    ("backup_storage", 400),
    ("bucket", 20),
    ("object_storage", 400),
    ("gpu", 20),
)
DEFAULTS = dict(TYPES)
IN_BYTES = frozenset({"primary_storage", "secondary_storage"})


def limit_of(account: Account, name: str) -> int:
    if account.type == 1:
        return UNLIMITED
    return account.limits.get(name, account.limits.get("*", DEFAULTS[name]))


def usage(world: World, account_id: str) -> dict[str, int]:
    used = dict.fromkeys(DEFAULTS, 0)
    for machine in world.machine:
        if machine.account == account_id and machine.state not in ("Destroyed", "Error", "Expunging"):
            used["user_vm"] += 1
            used["cpu"] += machine.cpunumber
            used["memory"] += machine.memory
    for volume in world.volume:
        if volume.account == account_id and volume.state != "Destroy":
            used["volume"] += 1
            used["primary_storage"] += volume.size
    for snapshot in world.snapshot:
        if snapshot.account == account_id and snapshot.state != "Destroyed":
            used["snapshot"] += 1
    used["public_ip"] = sum(address.account == account_id for address in world.public_ip)
    used["network"] = sum(network.account == account_id for network in world.network)
    used["vpc"] = sum(vpc.account == account_id for vpc in world.vpc)
    used["template"] = sum(t.account == account_id and t.state == "Active" for t in world.template)
    used["project"] = sum(p.members.get(account_id) == "Admin" for p in world.project)
    return used


def shown(name: str, amount: int) -> str:
    if name not in IN_BYTES:
        return str(amount)
    return f"({amount / GIB:.2f} GB) {amount}" if amount else "(0 bytes) 0"


def check(world: World, account: Account, wanted: dict[str, int], code: int = 535, cs: int = 4370) -> None:
    used: dict[str, int] | None = None
    for name, amount in wanted.items():
        limit = limit_of(account, name)
        if limit == UNLIMITED:
            continue
        used = used or usage(world, account.id)
        top = limit * GIB if name in IN_BYTES else limit
        if used[name] + amount > top:
            domain = world.domain[account.domain].number
            raise ApiError(
                code,
                f"Maximum amount of resources of Type = '{name}', tag = 'null' for Account Name ="
                f" {account.name} in"
                f" Domain Id = {domain} is exceeded: Account Resource Limit = {shown(name, top)}, Current"
                f" Account"
                f" Resource Amount = {shown(name, used[name])}, Current Account Resource Reservation ="
                f" {shown(name, 0)}, Requested Resource Amount = {shown(name, amount)}.",
                cs,
            )


def rows(world: World, account: Account) -> list[Row]:
    owner = world.owner(account.id)
    if account.type == 5:
        owner["account"] = account.name
    numbers = {name: number for number, (name, _) in enumerate(TYPES)}
    told = [name for name in account.limits if name in numbers]  # first those that were set, as they were set
    return [
        {**owner, "resourcetype": str(numbers[name]), "resourcetypename": name, "max": limit_of(account, name)}
        for name in [*told, *(name for name in numbers if name not in told)]
    ]
