"""What root sees below the zones: pods, clusters, hosts, storage pools, system machines, settings, alerts.

Apart from what the operator changes. Surprising: to a user these commands do not exist (432), ISO images aside,
and a host tells most of its numbers as text.
"""

from __future__ import annotations

from ..call import Call
from ..errors import invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, Test, check_page, name_is, page, select
from ..model import Record, Row
from ..registry import Handler, command
from ..seed_infrastructure import host_row
from ..settings import DEFAULTS
from ..world import Table, date
from . import capacity, routers

MIB = 1024**2
ISO_FILTERS = ("featured", "self", "selfexecutable", "sharedexecutable", "executable", "community", "all")


def field(name: str) -> Test:
    """A parameter that a field of the row answers, whatever its case; of an object the id."""
    return lambda record, wanted: str(record.row.get(name)).lower() == str(getattr(wanted, "id", wanted)).lower()


# command → kind of its ids, key of its rows, the parameters that one field each answers
TABLES: dict[str, tuple[str, str, dict[str, str]]] = {
    "listPods": ("pod", "pod", {"zoneid": "zoneid", "allocationstate": "allocationstate"}),
    "listClusters": (
        "cluster",
        "cluster",
        {
            "zoneid": "zoneid",
            "podid": "podid",
            "hypervisor": "hypervisortype",
            "clustertype": "clustertype",
            "allocationstate": "allocationstate",
            "managedstate": "managedstate",
            "arch": "arch",
        },
    ),
    "listHosts": (
        "host",
        "host",
        {
            "zoneid": "zoneid",
            "podid": "podid",
            "clusterid": "clusterid",
            "type": "type",
            "state": "state",
            "resourcestate": "resourcestate",
            "hypervisor": "hypervisor",
            "arch": "arch",
            "hahost": "hahost",
        },
    ),
    "listStoragePools": (
        "storage_pool",
        "storagepool",
        {
            "zoneid": "zoneid",
            "podid": "podid",
            "clusterid": "clusterid",
            "scope": "scope",
            "status": "state",
            "path": "path",
            "ipaddress": "ipaddress",
        },
    ),
    "listSystemVms": (
        "system_vm",
        "systemvm",
        {
            "zoneid": "zoneid",
            "podid": "podid",
            "hostid": "hostid",
            "systemvmtype": "systemvmtype",
            "state": "state",
            "arch": "arch",
        },
    ),
    "listManagementServers": ("management_server", "managementserver", {}),
    "listAlerts": ("alert", "alert", {"type": "type"}),
}


def shown(call: Call, name: str, record: Record) -> Row:
    """The row with what is counted at this moment."""
    if name == "listHosts":
        return {**record.row, **load(call, record)}
    if name == "listStoragePools":
        return {**record.row, "disksizeallocated": stored(call, record)}
    return record.row


def load(call: Call, host: Record) -> Row:
    machines = [m for m in call.world.machine if m.host is not None and host.id == host_row(m.host, m.zone)[0]]
    speed, memory = sum(m.cpunumber * m.cpuspeed for m in machines), sum(m.memory for m in machines) * MIB
    whole = int(str(host.row["cpunumber"])) * int(str(host.row["cpuspeed"]))
    part = f"{capacity.percent(speed, whole)}%"
    room = f"{capacity.percent(memory, int(str(host.row['memorytotal'])))}%"
    return {
        "cpuallocated": part,
        "cpuallocatedpercentage": part,
        "cpuallocatedwithoverprovisioning": part,
        "cpuallocatedvalue": speed,
        "cpuwithoverprovisioning": str(whole),
        "memoryallocated": memory,
        "memoryallocatedbytes": memory,
        "memoryallocatedpercentage": room,
    }


def stored(call: Call, pool: Record) -> int:
    """The first pool of a zone holds every volume."""
    zone = pool.row["zoneid"]
    first = next(one for one in call.world.storage_pool if one.row["zoneid"] == zone)
    return sum(v.size for v in call.world.volume if v.zone == zone and v.pool) if first is pool else 0


def listing(name: str, kind: str, key: str, fields: dict[str, str]) -> Handler:
    filters: Filters = {**ID_FILTERS, "name": name_is, **{param: field(one) for param, one in fields.items()}}

    def handler(call: Call) -> Row:
        check_page(call)
        table: Table[Record] = getattr(call.world, kind)
        rows = select(call, list(table), filters, lambda record: (record.name,))
        return page(call, key, rows[::-1] if key == "alert" else rows, lambda row: shown(call, name, row))

    return handler


for _name, (_kind, _key, _fields) in TABLES.items():
    command(_name, _kind)(listing(_name, _kind, _key, _fields))


@command("generateAlert")
def generate_alert(call: Call) -> Row:
    table, world = call.world.alert, call.world
    name, told = call.text("name") or "", call.text("description") or ""
    row: Row = {"id": world.uuid(), "type": call.number("type"), "name": name, "description": told}
    row["sent"] = date(world.now())

    def work() -> Steps:
        yield 0.1
        table.add(Record(str(row["id"]), table.take_number(), name, row))
        return {"success": True}

    return call.later(work)


@command("listInfrastructure")
def list_infrastructure(call: Call) -> Row:
    world = call.world
    row: Row = {"zones": len(world.zone), "pods": len(world.pod), "clusters": len(world.cluster)}
    row.update(hosts=len(world.host), storagepools=len(world.storage_pool), imagestores=len(world.zone))
    row.update(backuprepositories=0, objectstores=0, systemvms=len(world.system_vm))
    row.update(routers=sum(1 for _ in routers.running(call)), ilbvms=0, cpusockets=0)
    row.update(managementservers=len(world.management_server), alerts=len(world.alert))
    return {"infrastructure": row}


@command("listConfigurations")
def list_configurations(call: Call) -> Row:
    """The settings this cloud has; CloudStack's own list is some 800 longer."""
    check_page(call)
    rows = [Record(name, 0, name, setting(call, name)) for name in sorted(DEFAULTS)]
    filters: Filters = {"name": name_is, "category": field("category"), "group": field("group")}
    rows = select(call, rows, filters, lambda record: (record.name,))
    return page(call, "configuration", rows, lambda record: record.row)


AT_START = frozenset({"default.page.size"})  # in CloudStack a restart makes these effective, here nothing has to


def setting(call: Call, name: str) -> Row:
    default, value = DEFAULTS[name], call.simulator.settings.values[name]
    kind = "Boolean" if isinstance(default, bool) else "Number" if isinstance(default, int) else "Decimal"
    words = name.replace(".", " ").capitalize()
    row: Row = {"category": "Advanced", "group": "Miscellaneous", "subgroup": "Others", "name": name}
    row.update(value=text(value), defaultvalue=text(default), description=words)
    return {
        **row,
        "isdynamic": name not in AT_START,
        "component": "management-server",
        "displaytext": words,
        "type": kind,
    }


def text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@command("listIsos", "template")
def list_isos(call: Call) -> Row:
    """The operator's one image, which is featured and boots nothing; users cannot register any here."""
    check_page(call)
    wanted = (call.text("isofilter") or "selfexecutable").lower()
    if wanted not in ISO_FILTERS:
        raise invalid(f"Please specify a valid iso filter: {', '.join(ISO_FILTERS)}")
    if wanted == "all" and not call.is_root:
        raise invalid("Filter all can be specified by admin only")
    seen = wanted in ("featured", "executable", "all")
    rows = [one for one in call.world.template if one.row["format"] == "ISO" and seen]
    filters: Filters = {**ID_FILTERS, "name": name_is, "bootable": field("bootable")}
    return page(call, "iso", select(call, rows, filters, lambda record: (record.name,)), lambda record: record.row)
