"""The items of network ACL lists.

Apart from the lists. Surprising: an update with `partialupgrade=false` that leaves the CIDRs or the traffic type out
spoils the item, and then its whole list cannot be listed until the item is deleted.
"""

from __future__ import annotations

from .. import errors
from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, select
from ..model import Network, Row
from ..model_network import AclItem, AclList
from ..registry import command
from ..world import IN_NETWORK
from . import net_rules
from .network_acls import own_list, visible_lists

NAMED = ("tcp", "udp", "icmp", "all")
BOTH = ["0.0.0.0/0", "::/0"]
SPOILED = 'Cannot invoke "java.util.List.size()" because "cidrs" is null'
UNSTARTED = 'Cannot invoke "java.lang.Integer.intValue()" because "sourcePortStart" is null'
UNTYPED = 'Cannot invoke "com.cloud.network.vpc.NetworkACLItem$TrafficType.toString()" because the traffic type is null'


def view(call: Call, item: AclItem) -> Row:
    if item.cidrs is None or item.traffictype is None:
        raise ApiError(530, SPOILED if item.cidrs is None else UNTYPED, 9999, errors.HIDDEN)
    row: Row = {"id": item.id, "protocol": item.protocol}
    if item.start is not None:
        row.update(startport=str(item.start), endport=str(item.end))
    row.update(traffictype=item.traffictype, state=item.state, cidrlist=",".join(item.cidrs))
    if item.icmptype is not None:
        row.update(icmptype=item.icmptype, icmpcode=item.icmpcode)
    row["tags"] = call.world.tag_rows(item.id, IN_NETWORK)
    row.update(aclid=item.acl, aclname=call.world.acl[item.acl].name, number=item.position, action=item.action)
    if item.reason is not None:
        row["reason"] = item.reason
    return row


def checked_protocol(protocol: str) -> str:
    """It is kept in the case it was sent in."""
    name = protocol.lower()
    if name.isdecimal():
        if not 0 <= int(name) <= 255:
            raise invalid(f"Invalid protocol number: {name}")
    elif name not in NAMED:
        raise invalid(f"Invalid protocol [{protocol}]. Expected one of: [{','.join(NAMED)}]")
    return protocol


def checked_action(action: str) -> str:
    if action.lower() not in ("allow", "deny"):
        raise invalid(f"Invalid action [{action}]. Permitted actions are Allow and Deny")
    return action.capitalize()


def checked_traffic(traffic: str) -> str:
    if traffic.lower() not in ("ingress", "egress"):
        raise invalid(f"Invalid traffic type {traffic}")
    return traffic.capitalize()


def check_position(call: Call, acl: AclList, position: int, mine: AclItem | None = None) -> None:
    if position < 1:
        raise invalid(f"Invalid number [{position}]. Number cannot be < 1")
    if any(i.acl == acl.id and i.position == position and i is not mine for i in call.world.acl_item):
        raise invalid(f"ACL item with number {position} already exists in ACL: {acl.id}")


def check_traffic(item: AclItem) -> None:
    """Ports and ICMP numbers against the protocol."""
    start, end = item.start, item.end
    if start is not None and not 0 <= start <= net_rules.MAX_PORT:
        raise invalid(f"Start public port is an invalid value: {start}")
    if end is not None and not 0 <= end <= net_rules.MAX_PORT:
        raise invalid(f"End public port is an invalid value: {end}")
    if start is not None and end is not None and start > end:
        raise invalid(f"Start port can't be bigger than end port [startport={start},endport={end}]")
    protocol = item.protocol.lower()
    if protocol == "icmp":
        if start is not None or end is not None:
            raise invalid("Can't specify start/end port when protocol is ICMP")
        return
    if item.icmptype is not None or item.icmpcode is not None:
        raise invalid("Can specify icmpCode and icmpType for ICMP protocol only")
    if protocol == "all" and (start is not None or end is not None):
        raise invalid("start port and end port must be null if protocol = 'all'")


def target_list(call: Call) -> AclList:
    network = call.entity("networkid", Network)
    if "aclid" not in call.args:
        if network is None:
            raise invalid("Cannot create Network ACL Item. ACL Id or network Id is required")
        call.check_access(network)
        if network.vpc is None:
            raise invalid(f"Network: {network.id} does not belong to VPC")
        return ensure_list(call, network)
    return own_list(call, "aclid")


def ensure_list(call: Call, network: Network) -> AclList:
    """The list of a tier; one that has none gets its own on the way."""
    world = call.world
    known = world.acl.get(network.acl)
    if known is not None and known.vpc is not None:
        return known
    name, text = f"{network.name}-acl", f"ACL for {network.name}"
    acl = world.acl.add(AclList(world.uuid(), world.acl.take_number(), name, text, network.vpc, network.account))
    network.acl = acl.id
    return acl


@command("createNetworkACL")
def create_item(call: Call) -> Row:
    acl, world = target_list(call), call.world
    protocol = checked_protocol(call.text("protocol") or "")
    taken = [item.position for item in world.acl_item if item.acl == acl.id]
    asked = call.number("number")
    position = max(taken, default=0) + 1 if asked is None else asked
    if asked is not None:
        check_position(call, acl, asked)
    given = call.words("cidrlist")
    icmp = protocol.lower() == "icmp"
    start, end = call.number("startport"), call.number("endport")
    if start is None and end is not None:
        raise ApiError(530, UNSTARTED, 9999, errors.HIDDEN)
    item = AclItem(
        id=world.uuid(),
        number=world.acl_item.take_number(),
        acl=acl.id,
        account=acl.account,
        position=position,
        protocol=protocol,
        action=checked_action(call.text("action") or "Allow"),
        traffictype=checked_traffic(call.text("traffictype") or "Ingress"),
        cidrs=list(BOTH) if given is None else net_rules.check_cidrs(given),
        start=start,
        end=start if end is None else end,
        icmptype=default(call.number("icmptype"), -1 if icmp else None),
        icmpcode=default(call.number("icmpcode"), -1 if icmp else None),
        reason=call.text("reason"),
    )
    check_traffic(item)
    world.acl_item.add(item)

    def work() -> Steps:
        yield 0.1
        return {"networkacl": view(call, item)}

    job = call.submit(work, item, key=acl.id)
    return {"id": item.id, "jobid": job.id}


def default(value: int | None, otherwise: int | None) -> int | None:
    return otherwise if value is None else value


FILTERS: Filters = {
    **ID_FILTERS,
    "aclid": same_id("acl"),
    "protocol": lambda item, wanted: item.protocol.lower() == str(wanted).lower(),
    "traffictype": lambda item, wanted: (item.traffictype or "").lower() == str(wanted).lower(),
    "action": lambda item, wanted: item.action.lower() == str(wanted).lower(),
}


@command("listNetworkACLs", "acl_item")
def list_items(call: Call) -> Row:
    check_page(call)
    lists = {acl.id for acl in visible_lists(call)}
    if "networkid" in call.args:
        lists &= {str(getattr(call.args["networkid"], "acl", None))}
    rows = [item for item in reversed(list(call.world.acl_item)) if item.acl in lists]
    rows = select(call, rows, FILTERS, lambda item: (item.reason,))
    return page(call, "networkacl", rows, lambda item: view(call, item))


@command("updateNetworkACLItem", "acl_item")
def update_item(call: Call) -> Row:
    item = call.need("id", AclItem)
    partial = call.flag("partialupgrade", True)

    def work() -> Steps:
        if item.account is None:
            raise invalid("Default ACL cannot be modified")
        position = call.number("number")
        if position is not None:
            check_position(call, call.world.acl[item.acl], position, item)
        new = changed(call, item, partial)
        check_traffic(new)
        yield 0.1
        copy(new, item)
        try:
            return {"networkacl": {**view(call, item), "state": "Add"}}
        except ApiError as error:
            raise ApiError(530, error.text) from None

    return call.later(work, item, key=item.acl)


def changed(call: Call, item: AclItem, partial: bool) -> AclItem:
    """The item as the call wants it: what it does not give stays, or, without `partialupgrade`, is lost."""
    protocol, action, traffic = call.text("protocol"), call.text("action"), call.text("traffictype")
    given = call.words("cidrlist")
    new = AclItem(item.id, item.number, item.acl, item.account, item.position, item.protocol)
    if partial:
        copy(item, new)
    new.position = default(call.number("number"), item.position) or item.position
    new.protocol = checked_protocol(protocol) if protocol else item.protocol
    new.action = checked_action(action) if action else item.action
    new.traffictype = checked_traffic(traffic) if traffic else item.traffictype if partial else None
    new.cidrs = net_rules.check_cidrs(given) if given else item.cidrs if partial else None
    new.start, new.end = default(call.number("startport"), new.start), default(call.number("endport"), new.end)
    new.icmptype = default(call.number("icmptype"), new.icmptype)
    new.icmpcode = default(call.number("icmpcode"), new.icmpcode)
    new.reason = call.text("reason") or new.reason
    return new


CONTENT = (
    "position",
    "protocol",
    "action",
    "traffictype",
    "cidrs",
    "start",
    "end",
    "icmptype",
    "icmpcode",
    "reason",
)


def copy(source: AclItem, target: AclItem) -> None:
    for name in CONTENT:
        setattr(target, name, getattr(source, name))


@command("moveNetworkAclItem", "acl_item")
def move_item(call: Call) -> Row:
    table = call.world.acl_item
    item = table.get((call.text("id") or "").lower())

    def neighbour(name: str) -> AclItem | None:
        key = call.text(name)
        found = table.get(key.lower()) if key else None
        if key and found is None:
            raise invalid(f"Could not find rule with ID [{key}]")
        return found

    def work() -> Steps:
        if item is None:
            raise invalid(f"Could not find a rule with ID[{call.text('id')}]")
        call.check_access(item)
        before, after = neighbour("previousaclruleid"), neighbour("nextaclruleid")
        if before is None and after is None:
            raise invalid("Both previous and next ACL rule IDs cannot be blank.")
        if any(other is not None and other.acl != item.acl for other in (before, after)):
            raise invalid("Cannot use ACL rules from differentiating ACLs. Rule being moved.")
        yield 0.1
        place(call, item, before, after)
        return {"networkacl": view(call, item)}

    return call.later(work, key=item.acl if item else None)


def place(call: Call, item: AclItem, before: AclItem | None, after: AclItem | None) -> None:
    """Behind the last item if only the one before is named, to the top if only the one after is."""
    others = sorted((i for i in call.world.acl_item if i.acl == item.acl and i is not item), key=lambda i: i.position)
    if after is None:
        item.position = others[-1].position + 1
        return
    item.position = wanted = before.position + 1 if before is not None else 1
    for other in others:
        if other.position == wanted:
            wanted = other.position = wanted + 1


@command("deleteNetworkACL", "acl_item")
def delete_item(call: Call) -> Row:
    item = call.need("id", AclItem)

    def work() -> Steps:
        if item.account is None:
            raise invalid("ACL Items in default ACL cannot be deleted")
        yield 0.1
        call.world.tags.pop(item.id, None)
        if item.id in call.world.acl_item.rows:
            call.world.acl_item.remove(item, leave_trace=False)
        return {"success": True}

    return call.later(work, item, key=item.acl)
