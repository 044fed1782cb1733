"""What the operator offers: zones, offerings, operating systems, hypervisors, and which commands there are.

Apart, because users only read it. Surprising: listApis names only what this simulator implements, so that a
client that asks first gets an honest answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..apis import Api, Field
from ..call import Call
from ..errors import ApiError, invalid
from ..lists import ID_FILTERS, Filters, Test, check_page, name_is, page, select
from ..model import Record, Row
from ..registry import COMMANDS, command
from . import capacity, routers

NO_SUCH_API = "Api Discovery plugin was unable to find an api by that name or process any apis"
INTERNAL = ("for_admin", "hosts", "providers", "networkdomain", "physicalnetworkid", "imagestoreid")


def equal(key: str) -> Test:
    return lambda record, wanted: str(record.row.get(key)).lower() == str(wanted).lower()


def api_row(api: Api, is_root: bool) -> Row:
    row: Row = {"name": api.name, "description": "", "isasync": api.is_async}
    if api.since:
        row["since"] = api.since
    row["related"] = api.related or ""
    params: list[Row] = []
    for param in api.params_for(is_root):
        one: Row = {"name": param.name, "description": "", "type": param.type, "length": param.length}
        one["required"] = param.required
        if param.since:
            one["since"] = param.since
        if param.related is not None:
            one["related"] = param.related
        params.append(one)
    row["params"] = params
    row["response"] = response_rows(api.response)
    return row


def response_rows(fields: tuple[Field, ...]) -> list[Row]:
    rows: list[Row] = []
    for field in fields:
        row: Row = {"name": field.name, "description": "", "type": field.type} if field.name else {}
        if field.inside is not None:
            row["response"] = response_rows(field.inside)
        rows.append(row)
    return rows


@command("listApis")
def list_apis(call: Call) -> Row:
    simulator = call.simulator
    names = [name for name in COMMANDS if simulator.may(call.user, simulator.apis[name])]
    wanted = call.text("name")
    if wanted is not None:
        names = [name for name in names if name == wanted]
        if not names:
            raise ApiError(530, NO_SUCH_API, 9999)
    return {"count": len(names), "api": [api_row(simulator.apis[name], call.is_root) for name in sorted(names)]}


@command("listCapabilities")
def list_capabilities(call: Call) -> Row:
    world = call.world
    if call.is_root:
        return {"capability": {**world.capability, **world.capability_for_admin}}
    expunges = call.simulator.settings.flag("allow.user.expunge.recover.vm")
    return {"capability": {**world.capability, "allowuserexpungerecovervm": expunges}}


def zone_row(call: Call, zone: Record) -> Row:
    row = {key: value for key, value in zone.row.items() if key not in INTERNAL}
    extra = zone.row.get("for_admin")
    if call.is_root and isinstance(extra, dict):
        row.update(extra)
    if call.is_root and call.flag("showcapacities"):
        row["capacity"] = capacity.of_zone(call, zone)
    return row


@command("listZones", "zone")
def list_zones(call: Call) -> Row:
    check_page(call)
    rows = [zone for zone in call.world.zone if call.is_root or zone.row.get("allocationstate") != "Disabled"]
    if "available" in call.args and not call.flag("available"):
        routed = {router.zone for router in routers.running(call) if router.account == call.account.id}
        rows = [zone for zone in rows if zone.id in routed]
    if not call.args.get("ids"):
        call.args.pop("ids", None)
    filters: Filters = {**ID_FILTERS, "name": name_is, "networktype": equal("networktype")}
    rows = select(call, rows, filters, lambda zone: (zone.name,))
    return page(call, "zone", rows, lambda zone: zone_row(call, zone))


def at_least(key: str) -> Test:
    """cpunumber and memory ask for offerings with at least that much; custom ones can always have it."""
    return lambda record, wanted: record.row.get(key) is None or int(record.row[key]) >= int(wanted)


def in_zone(record: Record, wanted: object) -> bool:
    """An offering names the zones it is limited to, or none."""
    zones = record.row.get("zoneid")
    return not zones or getattr(wanted, "id", None) in str(zones).split(",")


def offered(rows: Iterable[Record]) -> list[Record]:
    return [record for record in rows if not record.removed]


OFFERING_FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "issystem": lambda record, wanted: record.row["issystem"] is wanted,
    "iscustomized": lambda record, wanted: record.row["iscustomized"] is wanted,
    "zoneid": in_zone,
    "cpunumber": at_least("cpunumber"),
    "cpuspeed": at_least("cpuspeed"),
    "memory": at_least("memory"),
}


@command("listServiceOfferings", "service_offering")
def list_service_offerings(call: Call) -> Row:
    check_page(call)
    if call.flag("issystem") and not call.is_root:
        raise invalid("Only ROOT admins can access system offerings.")
    return plain_list(call, "serviceoffering", offered(call.world.service_offering), OFFERING_FILTERS)


@command("listDiskOfferings", "disk_offering")
def list_disk_offerings(call: Call) -> Row:
    filters: Filters = {**ID_FILTERS, "name": name_is, "zoneid": in_zone}
    return plain_list(call, "diskoffering", offered(call.world.disk_offering), filters)


NETWORK_OFFERING_FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "guestiptype": equal("guestiptype"),
    "state": equal("state"),
    "traffictype": equal("traffictype"),
    "forvpc": lambda record, wanted: record.row.get("forvpc") is wanted,
    "isdefault": lambda record, wanted: record.row.get("isdefault") is wanted,
    "supportedservices": lambda record, wanted: set(wanted) <= {one["name"] for one in record.row.get("service", ())},
}


@command("listNetworkOfferings", "network_offering")
def list_network_offerings(call: Call) -> Row:
    zone = call.entity("zoneid", Record)
    rows = [one for one in call.world.network_offering if zone is None or usable(one, zone)]
    return plain_list(call, "networkoffering", rows, NETWORK_OFFERING_FILTERS)


def usable(offering: Record, zone: Record) -> bool:
    """Whether a zone has the providers of all the services of an offering."""
    held = zone.row.get("providers")
    rows = offering.row.get("service")
    if not isinstance(held, list) or not isinstance(rows, list):
        return True
    return all({one["name"] for one in row.get("provider", ())} & set(held) for row in rows)


@command("listOsTypes", "os_type")
def list_os_types(call: Call) -> Row:
    filters: Filters = {**ID_FILTERS, "description": equal("description"), "oscategoryid": in_category}
    return plain_list(call, "ostype", list(call.world.os_type), filters)


def in_category(record: Record, wanted: object) -> bool:
    return record.row.get("oscategoryid") == getattr(wanted, "id", None)


@command("listOsCategories", "os_category")
def list_os_categories(call: Call) -> Row:
    filters: Filters = {**ID_FILTERS, "name": name_is, "isfeatured": equal("isfeatured")}
    return plain_list(call, "oscategory", list(call.world.os_category), filters)


@command("listRegions")
def list_regions(call: Call) -> Row:
    row: Row = {"id": 1, "name": "Local", "endpoint": "http://localhost:8080/client/"}
    rows = [{**row, "gslbserviceenabled": True, "portableipserviceenabled": False}]
    wanted = call.number("id")
    return page(call, "region", [row for row in rows if wanted in (None, row["id"])], dict)


@command("cloudianIsEnabled")
def cloudian_is_enabled(call: Call) -> Row:
    """A plugin that ships with CloudStack, off unless the operator turns it on; the address is its default."""
    return {"cloudianisenabled": {"enabled": False, "url": "https://cmc.cloudian.com:8443/Cloudian/"}}


@command("quotaIsEnabled")
def quota_is_enabled(call: Call) -> Row:
    return {"isenabled": {"isenabled": False}}


def plain_list(call: Call, key: str, rows: list[Record], filters: Filters) -> Row:
    check_page(call)
    found = select(call, rows, filters, lambda record: (record.name, str(record.row.get("displaytext", ""))))
    return page(call, key, found, lambda record: record.row)


@command("listHypervisors")
def list_hypervisors(call: Call) -> Row:
    rows: list[Row] = [{"name": "Simulator"}] if "zoneid" in call.args else call.world.hypervisors
    return page(call, "hypervisor", rows, dict)
