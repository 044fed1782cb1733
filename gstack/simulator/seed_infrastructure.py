"""Fills a new world with what stands below the zones: pods, clusters, hosts, storage pools, system machines.

Apart from `seed`, because only root ever sees it. Surprising: the recordings show one host, one pool and one system
machine; the others are that one moved to another place, as many as were counted.
"""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_OID, uuid5

from . import model
from .model import Row
from .world import Table, World

POOLS = 2  # of each cluster
# As recorded for every zone: one machine that shows consoles and one that moves templates and snapshots.
SYSTEM_VMS = {"consoleproxy": "v-{}-VM", "secondarystoragevm": "s-{}-VM"}


def host_row(number: int, zone: str) -> tuple[str, str]:
    """A made-up, stable identity for the n-th host of a zone."""
    tail = f"{number:012d}"
    return f"3287ce41-06c5-404e-{zone[:4]}-{tail}", f"SimulatedAgent.01e28796-6778-4706-{zone[:4]}-{tail}"


def plant(world: World, rows: dict[str, Any]) -> None:
    for row in rows["pod"]:
        add(world, world.pod, row)
    for row in rows["cluster"]:
        add(world, world.cluster, row)
    for row in rows["managementserver"]:
        add(world, world.management_server, row)
    for cluster in world.cluster:
        plant_pools(world, rows["storagepool"], cluster.row)
    for zone in world.zone:
        clusters = [cluster.row for cluster in world.cluster if cluster.row["zoneid"] == zone.id]
        plant_hosts(world, rows["host"], zone, clusters)
        plant_system_vms(world, rows["systemvm"], zone)


def add(world: World, table: Table[model.Record], row: Row) -> None:
    """A row that says of no zone, or of one that lives in this world."""
    if row.get("zoneid") is None or world.zone.get(str(row["zoneid"])) is not None:
        table.add(model.Record(str(row["id"]), table.take_number(), str(row["name"]), row))


def place(cluster: Row) -> Row:
    told = {key: cluster[key] for key in ("zoneid", "zonename", "podid", "podname")}
    return {**told, "clusterid": cluster["id"], "clustername": cluster["name"]}


def plant_pools(world: World, sample: Row, cluster: Row) -> None:
    for number in range(POOLS):
        name = f"{cluster['name']}-ps{number}"
        same = sample["name"] == name
        path = f"/export/{cluster['zonename']}/{str(cluster['name']).rpartition('-')[2]}/primary{number}"
        own: Row = {"id": sample["id"] if same else str(uuid5(NAMESPACE_OID, name)), "name": name, "path": path}
        add(world, world.storage_pool, {**sample, **place(cluster), **own})


def plant_hosts(world: World, sample: Row, zone: model.Record, clusters: list[Row]) -> None:
    hosts = zone.row["hosts"]
    assert isinstance(hosts, dict)
    for number in range(hosts["count"]):
        key, name = host_row(number, zone.id)
        cluster = clusters[number * len(clusters) // hosts["count"]]
        shape: Row = {"cpunumber": hosts["cpunumber"], "cpuspeed": hosts["cpuspeed"]}
        add(world, world.host, {**sample, "id": key, "name": name, **place(cluster), **shape})


def plant_system_vms(world: World, sample: Row, zone: model.Record) -> None:
    pod = next(pod for pod in world.pod if pod.row["zoneid"] == zone.id)
    for kind, pattern in SYSTEM_VMS.items():
        name = pattern.format(world.system_vm.next)
        host, hostname = host_row(0, zone.id)
        own: Row = {"id": str(uuid5(NAMESPACE_OID, f"{zone.id} {kind}")), "name": name, "systemvmtype": kind}
        own.update(zoneid=zone.id, zonename=zone.name, podid=pod.id, podname=pod.name, hostid=host, hostname=hostname)
        add(world, world.system_vm, {**sample, **own})
