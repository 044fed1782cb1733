"""Lists of which CloudStack is asked for less than everything: they answer as if it had been asked for all.

Apart from the lists of each collection because the promise is one. The surprising thing: names of a list are given in
sight of all rows, so what is asked for must hold every row that could take a name away from another.
"""

from __future__ import annotations

import random
from typing import Any
from unittest import mock

import pytest

from gstack.protocol import listing
from gstack.protocol.filters import Filter
from gstack.protocol.ids import numeric_id

PARTS = ["web", "Web", "x", "1", "db", "deadbeef", "a b", "--", "web-1"]
OTHERS = ["status = RUNNING", "NOT status = RUNNING", "labels.env = a", "name != web", "description:*", "disks:*"]
OLD = ["status eq RUNNING", "status ne RUNNING", "name ne web.*"]
EXAMPLES = 25  # of names and filters, for each seed


class Renamed:
    """Objects that are called anew for each example, as other tools might: some names are alike as GCE writes them."""

    def __init__(self, gateway: Any, kind: str, count: int) -> None:
        self.gateway = gateway
        self.rows = list(getattr(gateway.simulator.world, kind))[-count:]

    def shuffle(self, chance: random.Random) -> list[str]:
        """Give each a new name; all of them."""
        few = ["-".join(chance.choices(PARTS, k=chance.choice([1, 1, 2]))) for _ in range(3)]
        names = [chance.choice(few) for _ in self.rows]
        for row, name in zip(self.rows, names, strict=True):
            row.name = name
            if hasattr(row, "displayname"):
                row.displayname = name
        return names


@pytest.fixture
def machines(gateway: Any) -> Renamed:
    """Machines in two zones."""
    zones = {row["name"]: row["id"] for row in gateway.cloudstack("listZones")}
    for number in range(6):
        made = gateway.deploy(f"vm{number}", zoneid=zones[("ch-gva-2", "at-vie-1")[number % 2]])
        if number % 3 == 0:
            gateway.cloudstack("stopVirtualMachine", id=made["id"])
            tags = {"tags[0].key": "env", "tags[0].value": "a", "resourceids": made["id"], "resourcetype": "UserVm"}
            gateway.cloudstack("createTags", **tags)
    gateway.simulator.settle()
    gateway.get("zones/{zone}/instances")  # what is cached is
    return Renamed(gateway, "machine", 6)


@pytest.fixture
def snapshots(gateway: Any) -> Renamed:
    """Snapshots of one disk."""
    gateway.deploy("vm")
    volume = gateway.cloudstack("listVolumes", type="ROOT")[0]["id"]
    for number in range(6):
        gateway.cloudstack("createSnapshot", volumeid=volume, name=f"s{number}")
    gateway.simulator.settle()
    return Renamed(gateway, "snapshot", 6)


def _filter(chance: random.Random, known: list[str], zones: list[str]) -> str:
    name = chance.choice([*known, *known, "web", "nothing", "Web", "1", "x", "x-1", "deadbeef"])
    escaped = name.replace("-", r"\-")
    old = [f"name eq {name}", f"name eq ^{name}$", rf'name eq "{escaped}"', rf'name eq ".*\b{escaped}\b.*"', *OLD]
    new = [f'name = "{name}"', f"name = {name}", f'zone = "{chance.choice(zones)}"', f"id = {name}", *OTHERS]
    forms, joins = chance.choice([(old, [" "]), (new, [" ", " AND ", " OR "])])
    text = chance.choice(joins).join(f"({part})" for part in chance.sample(forms, chance.randint(1, 3)))
    return f"NOT ({text})" if chance.random() < 0.1 else text


def _both(gateway: Any, path: str, **query: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    pushed = gateway.get(path, **query)
    with (
        mock.patch.object(Filter, "_wanted", lambda *_: {}),
        mock.patch.object(listing.masks, "keeps", lambda *_: True),
    ):
        return pushed, gateway.get(path, **query)


@pytest.mark.parametrize("seed", range(3))
def test_instances_are_the_same_whatever_the_filter_lets_cloudstack_leave_out(machines: Renamed, seed: int) -> None:
    gateway, chance = machines.gateway, random.Random(seed)
    for _ in range(EXAMPLES):
        names = machines.shuffle(chance)
        whole = gateway.get("aggregated/instances")["items"]
        items = [item for scope in whole.values() for item in scope.get("instances", [])]
        known = [item["name"] for item in items] + [items[0]["id"]]
        text = _filter(chance, known, [item["zone"] for item in items])
        path, fields = chance.choice(
            [
                ("aggregated/instances", ""),
                ("zones/{zone}/instances", ""),
                ("zones/{zone}/instances", "kind,items(name,status)"),
                ("aggregated/instances", "items/*/instances(name,disks/source)"),
            ]
        )
        pushed, whole = _both(gateway, path, filter=text, fields=fields)
        assert pushed == whole, (text, names)


@pytest.mark.parametrize("seed", range(3))
def test_snapshots_are_the_same_whatever_the_filter_lets_cloudstack_leave_out(snapshots: Renamed, seed: int) -> None:
    gateway, chance = snapshots.gateway, random.Random(seed)
    for _ in range(EXAMPLES):
        names = snapshots.shuffle(chance)
        text = _filter(chance, gateway.names("global/snapshots"), ["nowhere"])
        pushed, whole = _both(gateway, "global/snapshots", filter=text)
        assert pushed == whole, (text, names)


@pytest.mark.parametrize("collection", ["instances", "disks", "addresses"])
def test_a_zone_that_the_filter_names_is_the_only_one_that_is_asked(machines: Renamed, collection: str) -> None:
    gateway = machines.gateway
    gateway.cloudstack("createVolume", name="d", zoneid=gateway.zone_id, diskofferingid=_offering(gateway))
    zone = gateway.get("zones/{zone}")["selfLink"]
    pushed, whole = _both(gateway, f"aggregated/{collection}", filter=f'zone = "{zone}"')
    assert pushed == whole
    assert [scope for scope, found in whole["items"].items() if collection in found] == (
        [] if collection == "addresses" else ["zones/ch-gva-2"]
    )


def _offering(gateway: Any) -> str:
    return str(gateway.cloudstack("listDiskOfferings")[0]["id"])


def test_one_name_costs_one_call_and_another_where_it_is_borne(machines: Renamed) -> None:
    gateway = machines.gateway
    gateway.get("aggregated/instances", filter="name eq ^nothing$")
    assert gateway.upstream == ["listVirtualMachines"]
    gateway.get("aggregated/instances", filter="name eq ^vm1$")
    assert gateway.upstream == ["listVirtualMachines", "listVolumes"]


def test_volumes_are_not_read_where_nobody_sees_them(machines: Renamed) -> None:
    gateway = machines.gateway
    names = gateway.get("zones/{zone}/instances", fields="items(name,status)")
    assert gateway.upstream == ["listVirtualMachines"]
    assert len(names["items"]) == 3
    for query in ({"fields": "items/disks"}, {"fields": "items/name", "filter": "disks:*"}):
        assert len(gateway.get("zones/{zone}/instances", **query)["items"]) == 3
        assert "listVolumes" in gateway.upstream


def test_a_machine_that_another_tool_renames_loses_the_name_that_gstack_marked_it_with(gateway: Any) -> None:
    made = gateway.deploy("web-0a1b2", displayname="web")
    tags = {"tags[0].key": "gstack:name", "tags[0].value": "web", "resourceids": made["id"], "resourcetype": "UserVm"}
    gateway.cloudstack("createTags", **tags)
    assert gateway.names("zones/{zone}/instances", filter="name = web") == ["web"]
    gateway.cloudstack("stopVirtualMachine", id=made["id"])
    gateway.simulator.settle()
    gateway.cloudstack("updateVirtualMachine", id=made["id"], name="other")
    assert gateway.names("zones/{zone}/instances") == ["other"]
    assert gateway.get("zones/{zone}/instances/other")["id"] == str(numeric_id(made["id"]))
