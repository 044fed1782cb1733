"""Fills a new world from the data files: zones, offerings, templates, accounts.

Apart, because nothing reads these files once a world exists. Surprising: which of the recorded zones come
to life is data too (`cloud.json`), so that further zones need a row there and no code here.
"""

from __future__ import annotations

import json
from binascii import crc32
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from . import model, seed_infrastructure
from .apis import DATA
from .model import Row
from .model_network import AclItem, AclList, PublicIp
from .model_owned import Counter
from .names import os_categories, os_types
from .world import Table, World

Data = dict[str, Any]

# What differs between the rows that listTemplates answers for one template in several zones.
OWN = (
    "hosts",
    "providers",
    "networkdomain",
    "physicalnetworkid",
    "imagestoreid",
)  # of `cloud.json`, kept with the zone
ZONE_FIELDS = ("zoneid", "zonename", "created", "downloaddetails")


def read(name: str) -> Data:
    data: Data = json.loads((DATA / name).read_text(encoding="utf-8"))
    return data


def plant(world: World, zones: Iterable[str] | None = None, extras: bool = False) -> None:
    """Fill a new world. `zones` names those of `cloud.json` that live in it; None means all. `extras` adds what the
    recorded cloud did not have: a project, and two templates of one name.
    """
    cloud, catalogue = read("cloud.json"), read("catalogue.json")
    more = read("extras.json") if extras else {"accounts": [], "projects": [], "templates": []}
    world.capability, world.capability_for_admin = catalogue["capability"], catalogue["capability_for_admin"]
    world.hypervisors = catalogue["hypervisor"]
    live = {zone["name"]: zone for zone in cloud["zones"]}
    if zones is not None:
        live = {name: live[name] for name in zones}
    plant_identities(world, cloud["domains"], cloud["accounts"] + more["accounts"])
    plant_projects(world, more["projects"])
    plant_zones(world, catalogue, live)
    plant_records(world.service_offering, catalogue["serviceoffering"])
    plant_records(world.disk_offering, catalogue["diskoffering"])
    plant_records(world.network_offering, catalogue["networkoffering"])
    plant_records(world.os_category, os_categories())
    plant_counters(world, cloud["counters"])
    plant_records(world.os_type, os_types(catalogue["ostype"]))
    everywhere = [{**row, "zoneid": zone.id, "zonename": zone.name} for row in more["templates"] for zone in world.zone]
    plant_templates(world, catalogue["template"] + everywhere)
    for row in catalogue["infrastructure"]["iso"]:  # in CloudStack's tables a template that lies in no zone
        number = world.template.take_number()
        world.template.add(model.Template(row["id"], number, row["name"], None, row, {}))
    plant_networks(world, catalogue, live)
    seed_infrastructure.plant(world, catalogue["infrastructure"])


def plant_identities(world: World, domain_rows: list[Data], account_rows: list[Data]) -> None:
    now = world.now()
    for number, row in enumerate(domain_rows, 1):
        world.domain.add(model.Domain(row["id"], number, row["name"], row["path"]))
    domains = {domain.path: domain.id for domain in world.domain}
    for row in account_rows:
        account = model.Account(
            row["id"],
            row["number"],
            row["name"],
            row["type"],
            domains[row["domain"]],
            now,
            limits=row["limits"],
        )
        world.account.add(account)
        if "user" in row:
            keys = world.key(), world.key()
            user = model.User(row["user"], row["number"], row["name"], account.id, now, *keys)
            user.firstname, user.lastname, user.email = row["firstname"], row["lastname"], row.get("email", "")
            world.user.add(user)
        if "user" in row and "email" not in row:
            continue  # made by the cloud itself, and has no group
        group = row.get("default_group") or world.uuid()
        description = "Default Security Group"
        world.security_group.add(
            model.SecurityGroup(group, world.security_group.take_number(), "default", account.id, description)
        )
    world.index_keys()


def plant_projects(world: World, rows: list[Data]) -> None:
    now = world.now()
    for number, row in enumerate(rows, 1):
        account = next(a for a in world.account if a.name == row["account"])
        members = {a.id: role for a in world.account for name, role in row["members"].items() if a.name == name}
        account.project = row["id"]
        world.project.add(
            model.Project(row["id"], number, row["name"], row["displaytext"], account.id, account.domain, now, members)
        )


def plant_zones(world: World, catalogue: Data, live: Data) -> None:
    extra = {row["id"]: row for row in catalogue["zone_for_admin"]}
    for row in catalogue["zone"]:
        number = world.zone.take_number()
        if row["name"] in live:
            full = {**row, "for_admin": extra.get(row["id"], {}), **{key: live[row["name"]].get(key) for key in OWN}}
            world.zone.add(model.Record(row["id"], number, row["name"], full))


def plant_counters(world: World, providers: dict[str, list[list[str]]]) -> None:
    for provider, rows in providers.items():
        for source, name, value in rows:
            key = f"{crc32(f'{provider} {value}'.encode()):08x}-e584-11f1-ba46-02fc00000001"
            world.counter.add(Counter(key, world.counter.take_number(), name, source, value, provider))


def plant_records(table: Table[model.Record], rows: Iterable[Data]) -> None:
    for row in rows:
        table.add(model.Record(row["id"], table.take_number(), row["name"], row))


def plant_templates(world: World, rows: Iterable[Data]) -> None:
    for row in rows:
        known = world.template.get(str(row["id"]))
        zone = world.zone.get(str(row["zoneid"]))
        if zone is None:
            continue
        if known is None:
            shared = {key: value for key, value in row.items() if key not in ZONE_FIELDS}
            number = world.template.take_number()
            known = world.template.add(
                model.Template(str(row["id"]), number, str(row["name"]), None, shared, {}, bytes=int(row["size"]))
            )
        known.zones[zone.id] = {key: row[key] for key in ZONE_FIELDS}


def plant_networks(world: World, catalogue: Data, live: Data) -> None:
    plant_records(world.vpc_offering, catalogue["vpcoffering"])
    world.network_services = catalogue["networkservice"]
    for row in catalogue["network"][::-1]:
        if row["zonename"] in live:
            plant_network(world, row, live[row["zonename"]].get("vlan"))
    for zone in live.values():
        if "public" in zone:
            plant_addresses(world, zone)
    for row in catalogue["acllist"]:
        plant_acl(world, row)


def plant_network(world: World, row: Row, vlan: int | None) -> None:
    key, name, cidr = str(row["id"]), str(row["name"]), str(row["cidr"])
    ends = cidr, str(row["gateway"]), str(row["netmask"])
    network = model.Network(key, world.network.take_number(), name, str(row["zoneid"]), row, None, *ends)
    network.offering, network.vlan = str(row["networkofferingid"]), vlan
    world.network.add(network)


def plant_addresses(world: World, zone: Data) -> None:
    """The public addresses of a zone, of which the cloud's own machines hold the first."""
    zone_id = next(z.id for z in world.zone if z.name == zone["name"])
    key, public = zone["physicalnetworkid"], zone["public"]
    row: Row = {"id": key, "zoneid": zone_id}
    world.physical_network.add(model.Record(key, world.physical_network.take_number(), zone["name"], row))
    first, last = (int(ip_address(public[end])) for end in ("first", "last"))
    for place, value in enumerate(range(first, last + 1)):
        number, held = world.public_ip.take_number(), place < public["held"]
        address = PublicIp(world.uuid(), number, str(ip_address(value)), zone_id, public["network"], system=held)
        address.state = "Allocated" if held else "Free"
        world.public_ip.add(address)


def plant_acl(world: World, row: Row) -> None:
    """One of the two lists of every VPC. The recordings show the items of the one that allows; the other
    has the same two, denying.
    """
    acl = AclList(str(row["id"]), world.acl.take_number(), str(row["name"]), str(row["description"]), None, None)
    world.acl.add(acl)
    items = row["items"]
    assert isinstance(items, list)
    action = "Allow" if items else "Deny"
    keys = [item["id"] for item in items] or [world.uuid(), world.uuid()]
    for position, (key, traffic) in enumerate(zip(keys, ("Ingress", "Egress"), strict=True), 1):
        number = world.acl_item.take_number()
        item = AclItem(key, number, acl.id, None, position, "all", action, traffic, ["0.0.0.0/0"])
        world.acl_item.add(item)
