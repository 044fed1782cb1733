"""How often each method that reads asks CloudStack: one call for a get, two for a page, and a table of what needs more.

Counted once the catalogue is known, as it is most of the time. Calls side by side count one by one. A method that is
served from now on is held to the budget as well, as soon as there is something for it to read.
"""

from __future__ import annotations

from typing import Any

import pytest

from gstack.protocol.discovery import PLACEHOLDER
from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers
from gstack.translate import volumes
from tests.mutations import MAKERS, NET

load_handlers()
READS = sorted(name for name, handler in HANDLERS.items() if handler.method.http_method == "GET")
GET, PAGE = 1, 2
# Exactly as many calls, and why. See test_disks_have_budgets_by_their_names, too.
MORE = {
    "compute.addresses.get": (2, "CloudStack lists addresses that are reserved apart from those that are used"),
    "compute.routers.getNatIpInfo": (3, "networks, addresses and machines are three lists"),
    "compute.routers.getRouterStatus": (2, "networks and addresses are two lists"),
    "compute.instances.get": (2, "machines and volumes are two lists"),
    "compute.instances.getEffectiveFirewalls": (2, "a machine, and all firewalls"),
    "compute.networks.getEffectiveFirewalls": (2, "a network, and all firewalls"),
}
NAMES = {
    "project": "tenant",
    "zone": "ch-gva-2",
    "region": "ch-gva",
    "instance": "web",
    "disk": "data",
    "snapshot": "snap",
    "image": "golden",
    "family": "mine",
    "firewall": "ssh",
    "resourcePolicy": "nightly",
    "network": "own",
    "machineType": "tiny",
    "diskType": "pd-ssd",
    "instanceTemplate": "small",
    "instanceGroup": "ig",
    "backendService": "be",
}
# Where the hole is called `resource`, by collection.
RESOURCES = {
    "disks": "data",
    "snapshots": "snap",
    "images": "golden",
    "instances": "web",
    "resourcePolicies": "nightly",
    "instanceTemplates": "small",
    "subnetworks": "sub",
    "regionBackendServices": "be",
}
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
SCHEDULE = {
    "schedule": {"dailySchedule": {"daysInCycle": 1, "startTime": "04:00"}},
    "retentionPolicy": {"maxRetentionDays": 7},
}
MACHINE = {
    "machineType": "tiny",
    "disks": [{"boot": True, "initializeParams": {"sourceImage": DEBIAN}}],
    "networkInterfaces": [{}],
}
TEMPLATE = {"name": "small", "properties": MACHINE}
MADE = (
    ("zones/{zone}/instances", {"name": "web", **MACHINE}),
    ("global/instanceTemplates", TEMPLATE),
    ("regions/ch-gva/instanceTemplates", TEMPLATE),
    ("zones/{zone}/disks", {"name": "data", "sizeGb": "10"}),
    ("zones/{zone}/disks/web/createSnapshot", {"name": "snap"}),
    ("global/images", {"name": "golden", "sourceSnapshot": "global/snapshots/snap", "family": "mine"}),
    ("global/firewalls", {"name": "ssh", "network": "global/networks/default", "allowed": [{"IPProtocol": "tcp"}]}),
    ("regions/ch-gva/resourcePolicies", {"name": "nightly", "snapshotSchedulePolicy": SCHEDULE}),
    ("global/networks", {"name": "own", "autoCreateSubnetworks": True}),
    ("zones/{zone}/instanceGroups", {"name": "ig"}),
    ("zones/{zone}/instanceGroups/ig/addInstances", {"instances": [{"instance": "zones/ch-gva-2/instances/web"}]}),
    ("regions/ch-gva/backendServices", {"name": "be", "backends": [{"group": "zones/ch-gva-2/instanceGroups/ig"}]}),
)


# What lives elsewhere than in Basic zones, by tests/mutations.py, and the names that it has.
ELSEWHERE = (
    "fra vm",
    "router",
    "pool",
    "rule",
    "group",
    "service",
    "check",
    "region check",
    "http check",
    "https check",
)
IN_FRA = {
    "region": "de-fra",
    "zone": "de-fra-1",
    "address": "addr",
    "subnetwork": "sub",
    "router": "router",
    "targetPool": "pool",
    "forwardingRule": "rule",
    "instanceGroup": "ig",
    "backendService": "be",
}
CHECK = dict.fromkeys(("healthCheck", "httpHealthCheck", "httpsHealthCheck"), "hc")
COLLECTIONS_IN_FRA = {"addresses", "subnetworks", "routers", "targetPools", "forwardingRules", "instanceGroups"} | {
    "regionBackendServices"
}
# There are none to be read, and why.
NOTHING = {
    "compute.acceleratorTypes.get": "no offering of the embedded CloudStack has a GPU",
    "compute.backendServices.get": "those of all regions are refused",
    "compute.globalAddresses.get": "there are none",
    "compute.regionInstanceGroups.get": "groups lie in a zone",
    "compute.instances.getGuestAttributes": "guests write none",
    "compute.licenses.get": "there are none",
    "compute.machineImages.get": "there are none",
}


@pytest.fixture
def full(gateway: Any) -> Any:
    """A gateway with something in every collection that can hold something."""
    for path, body in MADE:
        gateway.run("POST", path, body)
    for name in ELSEWHERE:
        if name != "router":  # the network is there
            MAKERS[name](gateway)
    gateway.run("POST", "regions/de-fra/routers", {"name": "router", "network": NET})
    gateway.run("POST", "regions/de-fra/addresses", {"name": "addr"})
    return gateway


def _path(name: str) -> str:
    method = HANDLERS[name].method
    names = NAMES | {"resource": RESOURCES.get(method.resource, "web")} | CHECK
    names |= IN_FRA if method.resource in COLLECTIONS_IN_FRA else {}
    return "/compute/v1/" + PLACEHOLDER.sub(lambda hole: names.get(hole[1], "none"), method.path)


def _budget(name: str) -> int:
    verb = HANDLERS[name].method.verb
    return PAGE if verb in ("list", "aggregatedList") else GET


def _spent(gateway: Any, path: str, **query: Any) -> int | None:
    """The calls of a further request like the first, the fewer of two: on a slow machine an answer that is kept may be
    too old at one of them. None where there is nothing to read."""
    calls = []
    for _ in range(3):
        gateway.call("GET", path, status=None, **query)
        calls.append(len(gateway.upstream))
    return min(calls[1:]) if gateway.status == 200 else None


def test_every_read_keeps_to_its_budget(full: Any) -> None:
    query = {"compute.instances.getEffectiveFirewalls": {"networkInterface": "nic0"}}
    spent = {name: _spent(full, _path(name), **query.get(name, {})) for name in READS}
    spent |= {name: _spent(full, path) for name, path in _named_in_lists(full).items()}
    assert {name for name, calls in spent.items() if calls is None} == NOTHING.keys()
    over = {name: calls for name, calls in spent.items() if calls is not None and calls > _budget(name)}
    assert over == {name: calls for name, (calls, _) in MORE.items()}


def _named_in_lists(gateway: Any) -> dict[str, str]:
    """Where the operations and routes are, whose names nobody chose."""
    found = {}
    for kind, path in (
        ("globalOperations", "global/operations"),
        ("regionOperations", "regions/de-fra/operations"),
        ("zoneOperations", "zones/{zone}/operations"),
        ("routes", "global/routes"),
    ):
        found[f"compute.{kind}.get"] = f"{path}/{gateway.names(path)[0]}"
    return found


def test_a_page_costs_the_same_however_many_rows_there_are(full: Any) -> None:
    lists = [name for name in READS if HANDLERS[name].method.verb in ("list", "aggregatedList")]
    few = {name: _spent(full, _path(name)) for name in lists}
    offering = full.cloudstack("listDiskOfferings", name="ssd-10")[0]["id"]
    for number in range(10):
        full.cloudstack("createVolume", zoneid=full.zone_id, name=f"more-{number}", diskofferingid=offering)
        full.deploy(f"more-{number}-vm")
        full.run("POST", f"zones/{{zone}}/disks/more-{number}-vm/createSnapshot", {"name": f"snap-{number}"})
    assert {name: _spent(full, _path(name)) for name in lists} == few
    assert {name: _spent(full, _path(name), maxResults=3) for name in lists} == few


def test_disks_have_budgets_by_their_names(full: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where volumes are few one look shows them all. Where they are known to be many, what gstack
    named is one look; others' disks take a second round, a boot disk's machine is known after that."""
    offering = full.cloudstack("listDiskOfferings", name="ssd-10")[0]["id"]
    full.cloudstack("createVolume", zoneid=full.zone_id, name="theirs", diskofferingid=offering)
    disks = ("data", "theirs", "web")
    assert {name: _spent(full, f"zones/{{zone}}/disks/{name}") for name in disks} == dict.fromkeys(disks, 1)
    monkeypatch.setattr(volumes, "FEW", 2)
    monkeypatch.setattr(volumes, "_many", {})
    assert {name: _spent(full, f"zones/{{zone}}/disks/{name}") for name in disks} == {"data": 1, "theirs": 3, "web": 4}
