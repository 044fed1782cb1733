"""Resource tags.

Apart, because they hang on everything. Surprising: keys are unique per object without regard to case, there
is no update, over-long keys and values are cut in silence, and nearly every mistake shows only in the job.
"""

from __future__ import annotations

from ..call import Call
from ..errors import DENIED, ApiError
from ..jobs import Steps
from ..lists import check_page, fold, page, visible_accounts
from ..model import Entity, Row, Tag
from ..registry import command

LENGTH = 255
# resource type → table of the world that holds such objects here
TABLES = {
    "UserVm": "machine",
    "Volume": "volume",
    "Snapshot": "snapshot",
    "Template": "template",
    "ISO": "template",
    "Network": "network",
    "SecurityGroup": "security_group",
    "SecurityGroupRule": "rule",
    "Account": "account",
    "User": "user",
    "Project": "project",
    "PublicIpAddress": "public_ip",
    "FirewallRule": "net_rule",
    "PortForwardingRule": "net_rule",
    "LoadBalancer": "net_rule",
    "Vpc": "vpc",
    "NetworkACL": "acl_item",
    "StaticRoute": "static_route",
    "SnapshotPolicy": "snapshot_policy",
}
UNTAGGABLE = ("NetworkACLList", "Nic", "Zone", "ServiceOffering", "DiskOffering", "Domain", "DomainRouter")
BY_FOLDED = {name.lower(): name for name in (*TABLES, *UNTAGGABLE)}
UNOWNED = 'Cannot invoke "org.apache.cloudstack.acl.ControlledEntity.getDomainId()" because "entity" is null'
NO_KEY = (
    'Cannot invoke "String.equalsIgnoreCase(String)" because the return value of'
    ' "com.cloud.server.ResourceTag.getKey()" is null'
)


def wanted_pairs(call: Call) -> list[tuple[str | None, str | None]]:
    return [(pair.get("key"), pair.get("value")) for pair in call.maps("tags")]


def known_type(call: Call) -> str:
    asked = call.text("resourcetype") or ""
    name = BY_FOLDED.get(asked.lower())
    if name is None:
        raise ApiError(431, f"Invalid resource type {asked}")
    return name


def resource_type(call: Call) -> str:
    name = known_type(call)
    if name in UNTAGGABLE:
        raise ApiError(431, f"The resource type {name} doesn't support resource tags")
    return name


def find(call: Call, kind: str, key: str) -> Entity:
    table = getattr(call.world, TABLES[kind]) if TABLES[kind] else None
    entity: Entity | None = table.get(key.lower()) if table is not None else None
    if entity is None:
        how = "id" if key.isdecimal() else "uuid"
        raise ApiError(431, f"Unable to find resource by {how} {key} and type {kind}")
    public = kind in ("Template", "ISO") and getattr(entity, "account", None) is None and not call.is_root
    if public or not call.reaches(entity):
        raise ApiError(530, DENIED)
    if kind == "PublicIpAddress" and getattr(entity, "account", None) is None:
        raise ApiError(530, UNOWNED)
    return entity


def owner_of(call: Call, entity: Entity) -> str:
    owner = call.world.account_of(entity)
    return owner.id if owner else call.account.id


def check_text(column: str, text: str) -> None:
    """The column is utf8mb3: nothing outside the Basic Multilingual Plane fits."""
    odd = next((c for c in text if ord(c) > 0xFFFF), None)
    if odd is not None:
        shown = "".join(f"\\x{byte:02X}" for byte in odd.encode())
        raise ApiError(
            530,
            f"Unable to persist on DB, due to: Data truncation: Incorrect string value: '{shown}' for column"
            f" `cloud`.`resource_tags`.`{column}` at row 1",
        )


def prepared(pairs: list[tuple[str | None, str | None]]) -> list[tuple[str | None, str]]:
    made = []
    for key, value in pairs:
        if value is None:
            raise ApiError(530, "Command failed due to Internal Server Error")
        if not value:
            raise ApiError(431, f"Value for the key {key} is either null or empty")
        check_text("key", key or "")
        check_text("value", value)
        made.append((key if key is None else key[:LENGTH], value[:LENGTH]))
    return made


def put(
    call: Call,
    kind: str,
    target: str,
    owner: str,
    pairs: list[tuple[str | None, str | None]],
    customer: str | None = None,
) -> None:
    made = prepared(pairs)
    taken = {fold(tag.key) for tag in call.world.tags.get(target, ()) if tag.key is not None}
    for key, _ in made:
        if key is not None and fold(key) in taken:
            raise ApiError(530, f"tag {key} already on {kind} with id {target}")
    tags = [Tag(key, value, kind, target, owner, customer) for key, value in made]
    if tags:
        call.world.tags.setdefault(target, []).extend(tags)


@command("createTags")
def create_tags(call: Call) -> Row:
    pairs, ids, customer = wanted_pairs(call), call.words("resourceids") or [], call.text("customer")

    def work() -> Steps:
        kind = resource_type(call)
        found = [find(call, kind, key) for key in ids]
        made = prepared(pairs)
        for entity in found:
            taken = {fold(tag.key) for tag in call.world.tags.get(entity.id, ()) if tag.key is not None}
            for (key, _), (sent, _) in zip(made, pairs, strict=True):
                if key is not None and fold(key) in taken:
                    raise ApiError(530, f"tag {sent} already on {kind} with id {entity.id}")
        for entity in found:
            put(call, kind, entity.id, owner_of(call, entity), list(pairs), customer)
        yield 0.1
        return {"success": True}

    return call.later(work)


@command("deleteTags")
def delete_tags(call: Call) -> Row:
    """It succeeds if any tag goes; what it names and is not there it passes over, the object too."""
    pairs, ids = wanted_pairs(call), call.words("resourceids") or []

    def work() -> Steps:
        tags, kind = call.world.tags, known_type(call)
        held = [tag for key in ids for tag in tags.get(uuid_of(call, kind, key), ()) if tag.resourcetype == kind]
        if pairs and any(tag.key is None for tag in held):
            raise ApiError(530, NO_KEY)
        doomed = [tag for tag in held if not pairs or any(is_meant(tag, *pair) for pair in pairs)]
        if not doomed:
            raise ApiError(530, "Failed to delete tags")
        if not all(map(call.reaches, doomed)):
            raise ApiError(530, DENIED)
        for target in {tag.resourceid for tag in doomed}:
            tags[target] = [tag for tag in tags[target] if tag not in doomed]
        yield 0.1
        return {"success": True}

    return call.later(work)


def uuid_of(call: Call, kind: str, key: str) -> str:
    table = TABLES.get(kind)
    if not key.isdecimal() or table is None:
        return key.lower()
    numbers: dict[int, str] = getattr(call.world, table).numbers
    return numbers.get(int(key), key)


def is_meant(tag: Tag, key: str | None, value: str | None) -> bool:
    """No value means any. Here Java compares, which knows of no accents and trailing spaces."""
    same = (tag.key or "").lower() == (key or "").lower()
    return same and (value is None or tag.value.lower() == value.lower())


@command("listTags")
def list_tags(call: Call) -> Row:
    check_page(call)
    mine = visible_accounts(call)
    tags = [tag for held in call.world.tags.values() for tag in held if mine(tag.account)]
    wanted = {name: call.text(name) for name in ("key", "value", "resourcetype", "resourceid", "customer")}
    for name, value in wanted.items():
        if value is not None:
            tags = [tag for tag in tags if fold(getattr(tag, name) or "") == fold(value)]
    tags.sort(key=lambda tag: tag.resourcetype, reverse=True)
    return page(call, "tag", tags, call.world.tag_row)
