"""Every form in which clients write a reference, in every member of a body that takes one.

The forms are those of docs/clients and of the recorded requests: URLs of any host and version, paths from ``projects/``
or from the scope on, bare names, numeric ids, ``?uniqueId=``. The surprising thing: each form is sent for real, so that
a room which parses its references in a way of its own is found out.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.mutations import HTTP_CHECK, INSIDE, INSTANCE, MAKERS, POLICY, POOL, ROOT, SUB, VM

IMAGE = "projects/debian-cloud/global/images/linux-debian-12-64-bit"
DISK, SNAP = "zones/ch-gva-2/disks/disk", "global/snapshots/snap"
Send = Callable[[Any, str, int], Any]


def forms(gateway: Any, target: str) -> dict[str, str]:
    """Every form of ``target``, a path from ``projects/`` on or below the project."""
    path = target if target.startswith("projects/") else f"projects/tenant/{target}"
    project, below = path.split("/")[1], path.split("/", 2)[2]
    read = gateway.get(f"/compute/v1/{path}")
    found = {
        "own host": f"https://{gateway.host}/compute/v1/{path}",
        "another port": f"https://{gateway.host}:9443/compute/v1/{path}",
        "google": f"https://www.googleapis.com/compute/v1/{path}",
        "google's own": f"https://compute.googleapis.com/compute/v1/{path}",
        "beta": f"https://www.googleapis.com/compute/beta/{path}",
        "without a version": f"https://{gateway.host}/{path}",
        "doubled slashes": f"https://{gateway.host}//compute/v1//{path}",
        "its selfLink": read["selfLink"],
        "from projects on": path,
        "from a slash on": f"/{path}",
        "unique id": f"https://www.googleapis.com/compute/v1/{path}?uniqueId={read['id']}",
        "number": f"{path.rpartition('/')[0]}/{read['id']}",
    }
    if project == "tenant":
        number = gateway.get("/compute/v1/projects/tenant")["id"]
        found["project number"] = f"projects/{number}/{below}"
        found["project number in a URL"] = f"https://www.googleapis.com/compute/v1/projects/{number}/{below}"
        found |= {"from the scope on": below, "bare": path.rpartition("/")[2]}
    return found


def instance(number: int, **changes: Any) -> dict[str, Any]:
    return INSTANCE | {"name": f"i{number}"} | changes


def boot(**parameters: Any) -> list[dict[str, Any]]:
    return [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": IMAGE, **parameters}}]


def insert(path: str, body: Callable[[str, int], dict[str, Any]]) -> Send:
    return lambda gateway, link, number: gateway.run("POST", path, body(link, number))


def attach(gateway: Any, link: str, _number: int) -> None:
    gateway.run("POST", f"{VM}/attachDisk", {"source": link, "deviceName": "d"})
    gateway.run("POST", f"{VM}/detachDisk", deviceName="d")


def schedule(gateway: Any, link: str, _number: int) -> None:
    gateway.run("POST", f"{ROOT}/addResourcePolicies", {"resourcePolicies": [link]})
    gateway.run("POST", f"{ROOT}/removeResourcePolicies", {"resourcePolicies": [link]})


def piece(gateway: Any, link: str, number: int) -> None:
    body = {"name": f"s{number}", "network": link, "ipCidrRange": f"10.1.{number}.0/24"}
    gateway.run("POST", "regions/de-fra/subnetworks", body)
    gateway.run("DELETE", f"regions/de-fra/subnetworks/s{number}")


def reserved(gateway: Any, link: str, number: int) -> None:
    nic = {"subnetwork": SUB, "networkIP": link}
    # That it is accepted says that the address was found; only the first machine can have it.
    gateway.call("POST", "zones/de-fra-1/instances", instance(number, machineType="tiny", networkInterfaces=[nic]))


INSTANCES, DISKS = "zones/ch-gva-2/instances", "zones/ch-gva-2/disks"
# What is sent, what it refers to, and what has to be there before.
MEMBERS: dict[str, tuple[Send, str, tuple[str, ...]]] = {
    "firewalls.network": (
        insert(
            "global/firewalls", lambda link, n: {"name": f"f{n}", "network": link, "allowed": [{"IPProtocol": "tcp"}]}
        ),
        "global/networks/default",
        (),
    ),
    "disks.type": (
        insert(DISKS, lambda link, n: {"name": f"d{n}", "sizeGb": "10", "type": link}),
        "zones/ch-gva-2/diskTypes/pd-standard",
        (),
    ),
    "disks.sourceSnapshot": (
        insert(DISKS, lambda link, n: {"name": f"d{n}", "sourceSnapshot": link}),
        SNAP,
        ("vm", "snap"),
    ),
    "snapshots.sourceDisk": (
        insert("global/snapshots", lambda link, n: {"name": f"s{n}", "sourceDisk": link}),
        ROOT,
        ("vm",),
    ),
    "images.sourceDisk": (
        insert("global/images", lambda link, n: {"name": f"g{n}", "sourceDisk": link}),
        ROOT,
        ("stopped",),
    ),
    "images.sourceSnapshot": (
        insert("global/images", lambda link, n: {"name": f"g{n}", "sourceSnapshot": link}),
        SNAP,
        ("vm", "snap"),
    ),
    "instances.attachDisk.source": (attach, DISK, ("vm", "disk")),
    "disks.addResourcePolicies.resourcePolicies": (schedule, POLICY, ("vm", "policy")),
    "instances.setMachineType.machineType": (
        insert(f"{VM}/setMachineType", lambda link, _n: {"machineType": link}),
        "zones/ch-gva-2/machineTypes/small",
        ("stopped",),
    ),
    "subnetworks.network": (piece, "global/networks/net", ("net",)),
    "instances.machineType": (
        insert(INSTANCES, lambda link, n: instance(n, machineType=link)),
        "zones/ch-gva-2/machineTypes/tiny",
        (),
    ),
    "instances.network": (
        insert(INSTANCES, lambda link, n: instance(n, networkInterfaces=[{"network": link}])),
        "global/networks/default",
        (),
    ),
    "instances.sourceImage": (
        insert(INSTANCES, lambda link, n: instance(n, disks=boot(sourceImage=link))),
        IMAGE,
        (),
    ),
    "instances.diskType": (
        insert(INSTANCES, lambda link, n: instance(n, disks=boot(diskType=link))),
        "zones/ch-gva-2/diskTypes/pd-standard",
        (),
    ),
    "instances.subnetwork": (
        insert(
            "zones/de-fra-1/instances",
            lambda link, n: instance(n, machineType="tiny", networkInterfaces=[{"subnetwork": link}]),
        ),
        SUB,
        ("sub",),
    ),
    "addresses.subnetwork": (
        insert(
            "regions/de-fra/addresses",
            lambda link, n: {"name": f"a{n}", "addressType": "INTERNAL", "subnetwork": link},
        ),
        SUB,
        ("sub",),
    ),
    "targetPools.healthChecks": (
        insert("regions/de-fra/targetPools", lambda link, n: {"name": f"p{n}", "healthChecks": [link]}),
        HTTP_CHECK,
        ("http check",),
    ),
    "forwardingRules.target": (
        insert(
            "regions/de-fra/forwardingRules",
            lambda link, n: {"name": f"r{n}", "target": link, "portRange": str(80 + n)},
        ),
        POOL,
        ("pool",),
    ),
    "instances.networkIP": (reserved, "regions/de-fra/addresses/inside", ("sub", "inside")),
}
# Where a name alone says too little: a disk could be in any zone, and an address is no link.
NOWHERE = ("snapshots.sourceDisk", "images.sourceDisk", "instances.networkIP")


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_every_form_of_a_reference_means_the_same(gateway: Any, member: str) -> None:
    send, target, needs = MEMBERS[member]
    for need in needs:
        MAKERS[need](gateway)
    failed = {}
    for number, (form, link) in enumerate(forms(gateway, target).items()):
        if form == "bare" and member in NOWHERE:
            continue
        try:
            send(gateway, link, number)
        except AssertionError as error:
            failed[f"{form}: {link}"] = str(error)[:300]
    assert failed == {}


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_a_unique_id_of_what_is_gone_is_refused_though_its_name_is_there(gateway: Any, member: str) -> None:
    send, target, needs = MEMBERS[member]
    for need in needs:
        MAKERS[need](gateway)
    path = target if target.startswith("projects/") else f"projects/tenant/{target}"
    with pytest.raises(AssertionError, match=r": 40[04] "):
        send(gateway, f"https://{gateway.host}/compute/v1/{path}?uniqueId=4711", 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("regions/de-fra/subnetworks", {"name": "s", "network": "NET", "ipCidrRange": "10.1.1.0/24"}),
        ("regions/de-fra/addresses", INSIDE | {"name": "a", "subnetwork": "SUB"}),
        ("zones/de-fra-1/instances", instance(1, machineType="tiny", networkInterfaces=[{"networkIP": "ADDRESS"}])),
    ],
)
def test_what_another_project_has_is_not_taken_for_what_is_called_the_same_here(
    gateway: Any, path: str, body: dict[str, Any]
) -> None:
    for need in ("sub", "inside"):
        MAKERS[need](gateway)
    links = {"NET": "global/networks/net", "SUB": SUB, "ADDRESS": "regions/de-fra/addresses/inside"}
    text = json.dumps(body)
    for short, link in links.items():
        text = text.replace(f'"{short}"', f'"projects/other/{link}"')
    if "networkInterfaces" in body:
        text = text.replace('{"networkIP"', f'{{"subnetwork": "{SUB}", "networkIP"')
    gateway.refuse("POST", path, json.loads(text))
