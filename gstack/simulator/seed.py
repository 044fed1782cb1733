"""Fills a new world from the data files: zones, offerings, templates, accounts.

Apart, because nothing reads these files once a world exists. Surprising: which of the recorded zones come
to life is data too (`cloud.json`), so that further zones need a row there and no code here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

from . import model
from .apis import DATA
from .model import Row
from .world import Table, World

Data = dict[str, Any]

# What differs between the rows that listTemplates answers for one template in several zones.
ZONE_FIELDS = ("zoneid", "zonename", "created", "downloaddetails")


def read(name: str) -> Data:
    data: Data = json.loads((DATA / name).read_text(encoding="utf-8"))
    return data


def plant(world: World) -> None:
    cloud, catalogue = read("cloud.json"), read("catalogue.json")
    world.capability = catalogue["capability"]
    world.hypervisors = catalogue["hypervisor"]
    live = {zone["name"]: zone for zone in cloud["zones"]}
    plant_identities(world, cloud)
    plant_zones(world, catalogue, live)
    plant_records(world.service_offering, catalogue["serviceoffering"])
    plant_records(world.disk_offering, catalogue["diskoffering"])
    plant_records(world.network_offering, catalogue["networkoffering"])
    plant_records(world.os_type, catalogue["ostype"])
    plant_templates(world, catalogue["template"] + cloud["templates"])
    for name in live:
        plant_network(world, live[name], catalogue["network_like"])


def plant_identities(world: World, cloud: Data) -> None:
    now = world.now()
    for number, row in enumerate(cloud["domains"], 1):
        world.domain.add(model.Domain(row["id"], number, row["name"], row["path"]))
    domains = {domain.path: domain.id for domain in world.domain}
    for row in cloud["accounts"]:
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
            world.user.add(model.User(row["user"], row["number"], row["name"], account.id, now, *keys))
        group = row.get("default_group") or world.uuid()
        description = "Default Security Group"
        world.security_group.add(
            model.SecurityGroup(group, world.security_group.take_number(), "default", account.id, description)
        )
    for number, row in enumerate(cloud["projects"], 1):
        account = next(a for a in world.account if a.name == row["account"])
        members = {a.id: role for a in world.account for name, role in row["members"].items() if a.name == name}
        account.project = row["id"]
        world.project.add(
            model.Project(row["id"], number, row["name"], row["displaytext"], account.id, account.domain, now, members)
        )
    world.index_keys()


def plant_zones(world: World, catalogue: Data, live: Data) -> None:
    extra = {row["id"]: row for row in catalogue["zone_for_admin"]}
    for row in catalogue["zone"]:
        number = world.zone.take_number()
        if row["name"] in live:
            full = {**row, "for_admin": extra.get(row["id"], {}), "hosts": live[row["name"]]["hosts"]}
            world.zone.add(model.Record(row["id"], number, row["name"], full))


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


def plant_network(world: World, zone: Data, like: Row) -> None:
    spec = zone["network"]
    net = ip_network(spec["cidr"])
    zone_row = next(z for z in world.zone if z.name == zone["name"])
    row = {
        **like,
        "id": spec["id"],
        "name": spec["name"],
        "displaytext": spec["name"],
        "zoneid": zone_row.id,
        "zonename": zone_row.name,
        "related": spec["id"],
        "gateway": spec["gateway"],
        "netmask": str(net.netmask),
        "cidr": spec["cidr"],
        "physicalnetworkid": spec["physicalnetworkid"],
    }
    number = world.network.take_number()
    world.network.add(
        model.Network(
            spec["id"],
            number,
            spec["name"],
            zone_row.id,
            row,
            None,
            spec["cidr"],
            spec["gateway"],
            str(net.netmask),
        )
    )
