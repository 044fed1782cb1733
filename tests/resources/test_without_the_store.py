"""gstack's database deleted in the middle: what CloudStack holds reads the same afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Gateway
from tests.resources.test_forwarding_rules import ADDRESSES, POOLS, RULES, arriving, fra, machine, pool, rule

__all__ = ["fra"]  # a fixture

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
INSTANCE = {
    "name": "web",
    "machineType": "zones/ch-gva-2/machineTypes/n1-standard-1",  # Google's name, which no offering bears
    "labels": {"tier": "gold", "empty": ""},
    "tags": {"items": ["http", "ssh"]},
    "disks": [
        {
            "boot": True,
            "autoDelete": False,
            "initializeParams": {"sourceImage": DEBIAN, "diskName": "system", "diskSizeGb": "20", "labels": {"a": "b"}},
        }
    ],
    "networkInterfaces": [{"accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}],  # as the zone has it
}
FIREWALL = {
    "name": "web",
    "network": "global/networks/default",
    "priority": 900,
    "targetTags": ["http"],
    "sourceRanges": ["192.0.2.0/24"],
    "allowed": [{"IPProtocol": "tcp", "ports": ["80", "443"]}],
}
SCHEDULE = {
    "schedule": {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}},
    "retentionPolicy": {"maxRetentionDays": 7},
    "snapshotProperties": {"labels": {"by": "clock"}},
}
ISOLATED = {
    **INSTANCE,
    "machineType": "zones/de-fra-1/machineTypes/custom-2-1024",
    "networkInterfaces": [
        {"subnetwork": "regions/de-fra/subnetworks/own", "accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}
    ],
}
COLLECTIONS = (
    "aggregated/instances",
    "aggregated/disks",
    "global/firewalls",
    "global/snapshots",
    "global/networks",
    "regions/ch-gva/resourcePolicies",
    "aggregated/subnetworks",
    "aggregated/addresses",
    "global/routes",
)


@pytest.fixture
def full(gateway: Any) -> Any:
    """A gateway with what CloudStack can hold of everything."""
    gateway.run("POST", "global/firewalls", FIREWALL)
    gateway.run("POST", "zones/{zone}/instances", INSTANCE)
    gateway.run("POST", "regions/ch-gva/resourcePolicies", {"name": "nightly", "snapshotSchedulePolicy": SCHEDULE})
    disk = {"name": "data", "sizeGb": "10", "type": "zones/ch-gva-2/diskTypes/pd-ssd", "labels": {"c": "d"}}
    policy = "projects/tenant/regions/ch-gva/resourcePolicies/nightly"
    gateway.run("POST", "zones/{zone}/disks", disk)
    attached = {"source": "zones/ch-gva-2/disks/data", "autoDelete": True}
    gateway.run("POST", "zones/{zone}/instances/web/attachDisk", attached)
    gateway.run("POST", "zones/{zone}/disks/data/addResourcePolicies", {"resourcePolicies": [policy]})
    gateway.run("POST", "zones/{zone}/disks/system/createSnapshot", {"name": "snap", "labels": {"e": "f"}})
    gateway.run("POST", "zones/{zone}/disks", {"name": "copy", "sourceDisk": "zones/ch-gva-2/disks/system"})
    gateway.run("POST", "global/images", {"name": "golden", "sourceSnapshot": "global/snapshots/snap", "family": "own"})
    gateway.run("POST", "global/networks", {"name": "own", "autoCreateSubnetworks": False})
    piece = {"name": "own", "network": "global/networks/own", "ipCidrRange": "10.1.0.0/24"}
    gateway.run("POST", "regions/de-fra/subnetworks", piece)
    gateway.run("POST", "regions/de-fra/addresses", {"name": "kept", "labels": {"g": "h"}})
    gateway.run("POST", "global/firewalls", FIREWALL | {"name": "own", "network": "global/networks/own"})
    gateway.run("POST", "zones/de-fra-1/instances", ISOLATED)
    image_disk = {"name": "fresh", "sourceImage": DEBIAN, "labels": {"i": "j"}}
    gateway.run("POST", "zones/{zone}/disks", image_disk)
    return gateway


def read(gateway: Any) -> dict[str, Any]:
    """Every collection, as lists have it; of an aggregated one the scopes that hold something."""
    found = {path: gateway.get(path).get("items", []) for path in COLLECTIONS}
    return {path: _filled(items) if isinstance(items, dict) else items for path, items in found.items()}


def _filled(scopes: dict[str, Any]) -> dict[str, Any]:
    return {scope: held for scope, held in scopes.items() if "warning" not in held}


def test_what_cloudstack_holds_reads_the_same_without_the_store(full: Any) -> None:
    before, image = read(full), full.get("global/images/golden")
    full.forget_everything()
    after = read(full)
    assert after == before
    assert all(after[path] for path in COLLECTIONS)
    (instance,) = after["aggregated/instances"]["zones/ch-gva-2"]["instances"]
    assert instance["machineType"].endswith("/n1-standard-1")
    assert (instance["labels"], instance["tags"]["items"]) == (INSTANCE["labels"], ["http", "ssh"])
    assert [disk["source"].rpartition("/")[2] for disk in instance["disks"]] == ["system", "data"]
    assert [disk["autoDelete"] for disk in instance["disks"]] == [False, True]
    shown = full.get("global/images/golden")
    assert shown["family"] == "own"
    # What an image was made of is in the store only: CloudStack forgets it.
    assert {name: value for name, value in image.items() if name in shown} == shown


@pytest.mark.parametrize("path", ["zones/{zone}/instances/web", "zones/{zone}/disks/system", "global/firewalls/web"])
def test_what_was_made_before_can_be_named_after(full: Any, path: str) -> None:
    before = full.get(path)
    full.forget_everything()
    assert full.get(path) == full.get(f"{path.rpartition('/')[0]}/{before['id']}") == before


def test_what_was_made_before_can_be_changed_after(full: Any) -> None:
    full.forget_everything()
    for zone in ("ch-gva-2", "de-fra-1"):
        path = f"zones/{zone}/instances/web"
        seen = full.get(path)
        labels = {"labels": {"tier": "silver"}, "labelFingerprint": seen["labelFingerprint"]}
        full.run("POST", f"{path}/setLabels", labels)
        full.run("POST", f"{path}/setTags", {"items": ["ssh"], "fingerprint": seen["tags"]["fingerprint"]})
        full.run("POST", f"{path}/stop")
        full.run("POST", f"{path}/setMachineType", {"machineType": f"zones/{zone}/machineTypes/small"})
        full.run("POST", f"{path}/start")
        now = full.get(path)
        assert (now["labels"], now["tags"]["items"], now["status"]) == ({"tier": "silver"}, ["ssh"], "RUNNING")
        full.run("DELETE", path)
    full.run("PATCH", "global/firewalls/web", {"priority": 800})
    full.run("POST", "zones/{zone}/disks/system/resize", {"sizeGb": "25"})
    assert [disk["name"] for disk in full.get("zones/{zone}/disks")["items"]] == ["copy", "fresh", "system"]
    for path in ("zones/{zone}/disks/system", "zones/de-fra-1/disks/system", "global/snapshots/snap"):
        full.run("DELETE", path)
    for path in ("global/images/golden", "global/firewalls/own", "regions/de-fra/addresses/kept"):
        full.run("DELETE", path)
    full.run("DELETE", "regions/de-fra/subnetworks/own")
    assert "own" not in full.names("global/firewalls")


def test_a_forwarding_rule_that_is_made_anew_has_its_reserved_address_and_its_balancer_again(fra: Gateway) -> None:
    one = machine(fra, "one")
    fra.run("POST", ADDRESSES, {"name": "kept"})
    pool(fra, "one")
    address = rule(fra, IPAddress="kept")["IPAddress"]
    balancers = fra.cloudstack("listLoadBalancerRules")
    fra.forget_everything()
    assert arriving(fra, address) == {one}
    assert fra.get(f"{ADDRESSES}/kept")["users"][0].endswith(f"/{RULES}/rule")
    assert "The address resource" in fra.refuse("DELETE", f"{ADDRESSES}/kept")
    pool(fra, "one")
    other = {"name": "other", "target": f"{POOLS}/pool", "portRange": "80", "IPAddress": "kept"}
    assert "forwardingRules/rule" in fra.refuse("POST", RULES, other)
    assert rule(fra, IPAddress="kept")["IPAddress"] == address
    assert (arriving(fra, address), fra.cloudstack("listLoadBalancerRules")) == ({one}, balancers)
    fra.run("DELETE", f"{RULES}/rule")
    fra.run("DELETE", f"{ADDRESSES}/kept")
    assert fra.cloudstack("listLoadBalancerRules") == []


def test_balancers_of_lost_forwarding_rules_go_on_beside_new_ones(fra: Gateway) -> None:
    one = machine(fra, "one")
    fra.run("POST", ADDRESSES, {"name": "kept"})
    pool(fra, "one")
    lost = rule(fra, IPAddress="kept")["IPAddress"]
    fra.forget_everything()
    pool(fra, "one")
    new = rule(fra, name="new")["IPAddress"]
    assert (arriving(fra, lost), arriving(fra, new)) == ({one}, {one})
    fra.run("DELETE", f"{RULES}/new")
    assert (arriving(fra, lost), arriving(fra, new)) == ({one}, set())
