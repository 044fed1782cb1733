"""Checks a request's parameters against the recorded list and turns them into values and objects.

Apart, because no command may do it in its own way. Surprising: unknown parameters are ignored, an
unreadable boolean is false, and an id may also be CloudStack's internal number where the parameter is old
enough to have no `since`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from . import errors
from .apis import Api, Param
from .model import Entity
from .world import Table, World

Maps = list[dict[str, str]]
Value = str | int | bool | float | Entity | list[str] | list[Entity] | Maps | None

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.I)
NUMBER = re.compile(r"-?\d{1,18}")
CONTROL = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f]")
INDEXED = re.compile(r"(\w+)\[(\d+)\](?:\.(.*))?", re.S)
DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S%z")
LIMITS = {"integer": 2**31, "short": 2**15, "long": 2**63}

# Parameter name → table of the world. A uuid parameter that is not here names something the simulator
# never holds.
KINDS = {
    "zoneid": "zone",
    "templateid": "template",
    "serviceofferingid": "service_offering",
    "diskofferingid": "disk_offering",
    "overridediskofferingid": "disk_offering",
    "networkofferingid": "network_offering",
    "virtualmachineid": "machine",
    "volumeid": "volume",
    "volumeids": "volume",
    "snapshotid": "snapshot",
    "networkid": "network",
    "networkids": "network",
    "securitygroupid": "security_group",
    "securitygroupids": "security_group",
    "ostypeid": "os_type",
    "oscategoryid": "os_category",
    "nicid": "nic",
    "projectid": "project",
    "projectroleid": "project_role",
    "projectrolepermissionid": "role_permission",
    "domainid": "domain",
    "jobid": "job",
    "userid": "user",
    "accountid": "account",
    "startid": "event",
    "ipaddressid": "public_ip",
    "publicipid": "public_ip",
    "associatednetworkid": "network",
    "physicalnetworkid": "physical_network",
    "virtualmachineids": "machine",
    "lbruleid": "net_rule",
    "vpcid": "vpc",
    "vpcofferingid": "vpc_offering",
    "aclid": "acl",
    "gatewayid": "gateway",
    "destzoneid": "zone",
    "destzoneids": "zone",
    "sourcezoneid": "zone",
    "zoneids": "zone",
    "projectids": "project",
    "affinitygroupid": "affinity_group",
    "affinitygroupids": "affinity_group",
    "groupid": "instance_group",
    "userdataid": "user_data",
    "vmsnapshotid": "machine_snapshot",
    "vmsnapshotids": "machine_snapshot",
    "counterid": "counter",
    "conditionid": "condition",
    "conditionids": "condition",
    "policyid": "scale_policy",
    "scaleuppolicyids": "scale_policy",
    "scaledownpolicyids": "scale_policy",
    "vmprofileid": "scale_profile",
    "vmgroupid": "scale_group",
    "autoscalevmgroupid": "scale_group",
    "autoscaleuserid": "user",
}
# Parameters that name something in these commands alone, and in any other something the simulator never holds.
PLACES = {
    ("listHosts", "podid"): "pod",
    ("listHosts", "clusterid"): "cluster",
    ("listClusters", "podid"): "pod",
    ("listStoragePools", "podid"): "pod",
    ("listStoragePools", "clusterid"): "cluster",
    ("listSystemVms", "podid"): "pod",
    ("listSystemVms", "hostid"): "host",
}
# The length error names the Java field, which is the parameter's name but for these.
JAVA_FIELDS = {
    ("createSecurityGroup", "name"): "securityGroupName",
    ("createVolume", "name"): "volumeName",
    ("deployVirtualMachine", "displayname"): "displayName",
    ("updateVirtualMachine", "displayname"): "displayName",
}


@dataclass(slots=True)
class Ghost(Entity):
    """An id that passes the parameter layer although nothing (or nothing any more) is behind it."""

    kind: str


def reject_control_characters(raw: Mapping[str, str]) -> None:
    for name, value in raw.items():
        if CONTROL.search(value):
            text = f"Received value containing illegal ASCII non-printable characters for parameter {name}"
            raise errors.ApiError(431, text, 9999)


def collect_maps(raw: Mapping[str, str]) -> dict[str, dict[int, dict[str, str]]]:
    maps: dict[str, dict[int, dict[str, str]]] = {}
    for name in sorted((name for name in raw if "[" in name), reverse=True):
        match = INDEXED.fullmatch(name)
        if match is None:
            raise errors.ApiError(
                430,
                f"Unable to decode parameter {name}; if specifying an object array, please use"
                " parameter[index].field=XXX, e.g. userGroupList[0].group=httpGroup",
                9999,
            )
        maps.setdefault(match[1].lower(), {}).setdefault(int(match[2]), {})[match[3] or ""] = raw[name]
    return maps


class Checker:
    """Reads the parameters of one request."""

    def __init__(self, world: World, api: Api, id_kind: str | None, raw: Mapping[str, str], is_root: bool) -> None:
        self.world = world
        self.api = api
        self.params = api.params_for(is_root)
        self.id_kind = id_kind
        self.raw = {name.lower(): value for name, value in raw.items() if "[" not in name}
        self.maps = collect_maps(raw)

    def read(self) -> dict[str, Value]:
        for param in self.params:
            if param.required and param.name not in (self.maps if param.type == "map" else self.raw):
                raise errors.missing(self.api.name, param.name)
        self.check_paging()
        values: dict[str, Value] = {}
        for param in self.params:
            value = self.value(param)
            if value is not None:
                values[param.name] = value
        return values

    def check_paging(self) -> None:
        if "pagesize" not in self.api.by_name:
            return
        page, size = self.raw.get("page"), self.raw.get("pagesize")
        if page is None and size is not None and size != "-1":
            raise errors.ApiError(431, '"page" parameter is required when "pagesize" is specified', 9999)
        if size is None and page is not None:
            raise errors.ApiError(431, '"pagesize" parameter is required when "page" is specified', 9999)

    def value(self, param: Param) -> Value:
        if param.type == "map":
            found = self.maps.get(param.name)
            return [found[index] for index in sorted(found)] if found else None
        raw = self.raw.get(param.name)
        if raw is None:
            return None
        if param.required and not raw:
            raise errors.invalid(f"Invalid value provided for API arg: {param.name}")
        self.check_length(param, raw)
        if param.type == "boolean":
            return raw.lower() == "true"
        if param.type in LIMITS:
            return self.integer(param, raw)
        if param.type == "date":
            return self.date(raw)
        if param.type == "list":
            return self.items(param, raw)
        if param.type == "uuid":
            return self.reference(param, raw)
        return raw

    def check_length(self, param: Param, raw: str) -> None:
        if param.type == "string" and len(raw) > param.length:
            name = JAVA_FIELDS.get((self.api.name, param.name), param.name)
            raise errors.parameter(
                self.api.name,
                f"invalid value. Value greater than max allowed length {param.length} for param: {name}",
            )

    def integer(self, param: Param, raw: str) -> int:
        limit = LIMITS[param.type]
        if not NUMBER.fullmatch(raw) or not -limit <= int(raw) < limit:
            raise errors.parameter(self.api.name, f"invalid value {raw} for parameter {param.name}")
        return int(raw)

    def date(self, raw: str) -> float:
        for form in DATES:
            try:
                moment = datetime.strptime(raw, form)
            except ValueError:
                continue
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        text = f"Unable to parse date {raw} for command {self.api.name.lower()}, please pass dates in the format"
        raise errors.ApiError(431, text + " mentioned in the api documentation", 9999)

    def table(self, name: str) -> Table[Any] | None:
        kind = self.id_kind if name in ("id", "ids") else KINDS.get(name) or PLACES.get((self.api.name, name))
        return getattr(self.world, kind) if kind else None

    def items(self, param: Param, raw: str) -> Value:
        parts = [part.strip() for part in raw.split(",") if part.strip()]
        table = self.table(param.name)
        if table is None or not (param.name == "ids" or param.name in KINDS):
            return parts
        found: list[Entity] = []
        for part in parts:
            entity = self.find(table, part, numeric=True)
            if entity is None and UUID.fullmatch(part):
                raise errors.unknown_id(self.api.name, param.name, part)
            found.append(entity or Ghost(part, -1, table.kind))
        return found

    def reference(self, param: Param, raw: str) -> Value:
        if param.name == "projectid" and raw == "-1":
            return Ghost("-1", -1, "Project")
        table = self.table(param.name)
        numeric = param.since is None
        if numeric and raw == "0":
            problem = f"invalid value. Invalid value provided for API arg: {param.name}"
            raise errors.parameter(self.api.name, problem)
        entity = self.find(table, raw, numeric) if table is not None else None
        if entity is None:
            raise errors.unknown_id(self.api.name, param.name, raw)
        return entity

    def find(self, table: Table[Any], raw: str, numeric: bool) -> Entity | None:
        key = raw.lower()
        entity: Entity | None = table.get(key)
        if entity is not None:
            return entity
        if key in table.gone:
            return Ghost(key, table.gone[key], table.kind)
        if numeric and NUMBER.fullmatch(raw):
            number = int(raw)
            return table.get(table.numbers.get(number)) or Ghost("", number, table.kind)
        return None
