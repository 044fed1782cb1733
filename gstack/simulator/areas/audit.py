"""The audit trail: listing it, and taking events out of it.

Apart from `events`, which writes it. Surprising: the first page holds the newest events, yet inside a page
they ascend, and an archived event is not gone but out of sight.
"""

from __future__ import annotations

from ..call import Call
from ..errors import denied, invalid
from ..lists import ID_FILTERS, Filters, check_page, select, visible_accounts, window
from ..model import Entity, Event, Row
from ..names import event_types
from ..registry import command
from ..world import date


def view(call: Call, event: Event) -> Row:
    row: Row = {"id": event.id, "username": call.world.user[event.user].name, "type": event.type}
    row.update(level=event.level, description=event.description, **call.world.owner(event.account))
    if event.resourceid:
        row["resourceid"] = event.resourceid
    row["resourcetype"] = event.resourcetype
    if event.resourcename:
        row["resourcename"] = event.resourcename
    row.update(created=date(event.created), state=event.state)
    if event.parent:
        row["parentid"] = event.parent
    return row


def in_action(event: Event, wanted: object) -> bool:
    return isinstance(wanted, Entity) and wanted.id in (event.id, event.parent)


def moment(wanted: object) -> float:
    return float(str(wanted))


EVENT_FILTERS: Filters = {
    **ID_FILTERS,
    "type": lambda event, wanted: event.type == wanted,
    "level": lambda event, wanted: event.level == wanted,
    "state": lambda event, wanted: event.state.lower() == str(wanted).lower(),
    "resourceid": lambda event, wanted: event.resourceid == wanted,
    "resourcetype": lambda event, wanted: event.resourcetype == wanted,
    "startdate": lambda event, wanted: event.created >= moment(wanted),
    "enddate": lambda event, wanted: event.created <= moment(wanted),
    "startid": in_action,
}


# What `resourcetype` may be, and the table of the world that holds such objects here.
RESOURCES = {
    "VirtualMachine": "machine",
    "Volume": "volume",
    "Snapshot": "snapshot",
    "Template": "template",
    "Iso": "template",
    "Host": "host",
    "StoragePool": "storage_pool",
    "SystemVm": "system_vm",
    "IpAddress": "public_ip",
    "SecurityGroup": "security_group",
    "FirewallRule": "net_rule",
    "LoadBalancerRule": "net_rule",
    "Account": "account",
    "User": "user",
    "PrivateGateway": "gateway",
    "StaticRoute": "static_route",
    "Counter": "counter",
    "Condition": "condition",
    "AutoScalePolicy": "scale_policy",
    "AutoScaleVmProfile": "scale_profile",
    "AutoScaleVmGroup": "scale_group",
    "AffinityGroup": "affinity_group",
    "GuestOsCategory": "os_category",
    "GuestOs": "os_type",
    "Network": "network",
    "NetworkAcl": "acl",
    "NetworkAclItem": "acl_item",
    "Project": "project",
    "Domain": "domain",
    "DiskOffering": "disk_offering",
    "ServiceOffering": "service_offering",
    "NetworkOffering": "network_offering",
    "VpcOffering": "vpc_offering",
    "Zone": "zone",
    "Vpc": "vpc",
    "Cluster": "cluster",
    "Pod": "pod",
    "VmSnapshot": "machine_snapshot",
    "ManagementServer": "management_server",
}
# Those of which this cloud never holds any (`ApiCommandResourceType` of CloudStack).
NEVER_HELD = (
    *("None", "DomainRouter", "ConsoleProxy", "Backup", "ImageStore", "PortableIpAddress", "PhysicalNetwork"),
    *("TrafficType", "PhysicalNetworkServiceProvider", "GlobalLoadBalancerRule", "InternalLbVm"),
    *("DedicatedGuestVlanRange", "GuestOsMapping", "BackupOffering", "Role", "VpnCustomerGateway", "ObjectStore"),
    *("Bucket", "QuotaTariff", "KubernetesCluster", "KubernetesSupportedVersion", "SharedFS", "Extension"),
    "ExtensionCustomAction",
)
STATES = ("Created", "Scheduled", "Started", "Completed")


def check_resource(call: Call) -> None:
    """Here, unlike in other lists, what a filter names must be there once and be the caller's."""
    kind, key, state = call.text("resourcetype"), call.text("resourceid"), call.text("state")
    if kind is not None and kind not in RESOURCES and kind not in NEVER_HELD:
        raise invalid("Invalid resourcetype")
    if key is not None:
        if kind is None:
            raise invalid("resourceid parameter must be used with resourcetype parameter")
        table = getattr(call.world, RESOURCES[kind]) if kind in RESOURCES else None
        if table is None or (table.get(key.lower()) is None and key.lower() not in table.gone):
            raise invalid("Invalid resourceid")
        call.check_access(table.get(key.lower()))
    if state and state not in STATES:
        raise invalid(f"Invalid state specified: {state}")


@command("listEvents", "event")
def list_events(call: Call) -> Row:
    """The first page holds the newest events, yet inside a page they ascend."""
    check_page(call)
    check_resource(call)
    mine = visible_accounts(call)
    archived = call.flag("archived")
    rows = [event for event in call.world.event if mine(event.account) and event.archived == archived]
    rows = select(call, rows, EVENT_FILTERS, lambda event: (event.description, event.type))
    entry, duration = call.number("entrytime"), call.number("duration")
    if entry is not None and duration is not None:
        rows = lasting(call, rows, entry, duration)
    chosen = window(call, rows[::-1])[::-1]
    if not rows:
        return {}
    shown = [view(call, event) for event in chosen]
    return {"count": len(rows), "event": shown} if shown else {"count": len(rows)}


def lasting(call: Call, rows: list[Event], entry: int, duration: int) -> list[Event]:
    """What began in the last `entry` seconds, has gone on for more than `duration`, and has not ended."""
    now, ended = call.world.now(), {event.parent for event in call.world.event if event.state == "Completed"}
    began = [e for e in rows if e.state == "Started" and duration <= now - e.created <= entry]
    return [event for event in began if event.parent not in ended]


def chosen(call: Call) -> list[Event]:
    """The events of the caller that `ids`, or type and dates, name."""
    given, kind = call.entities("ids", Event), call.text("type")
    start, end = call.args.get("startdate"), call.args.get("enddate")
    if given is None and kind is None and start is None and end is None:
        raise invalid("either ids, type, startdate or enddate must be specified")
    for event in given or ():
        if not call.reaches(event):
            raise denied()
    rows = given if given is not None else [e for e in call.world.event if e.account == call.account.id]
    rows = [e for e in rows if kind is None or e.type == kind]
    rows = [e for e in rows if start is None or e.created >= moment(start)]
    return [e for e in rows if end is None or e.created <= moment(end)]


@command("archiveEvents", "event")
def archive(call: Call) -> Row:
    for event in chosen(call):
        event.archived = True
    return {"success": True}


@command("deleteEvents", "event")
def delete(call: Call) -> Row:
    for event in chosen(call):
        call.world.event.remove(event, leave_trace=False)
    return {"success": True}


@command("listEventTypes")
def list_types(call: Call) -> Row:
    rows = [{"name": name} for name in event_types()]
    return {"count": len(rows), "eventtype": rows}
