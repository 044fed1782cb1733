"""The installed gcloud with what no other of its tests tells of instances, templates, images and snapshots; and the
table of who tells what: a verb that is served from now on needs a line in it. The effect is looked for in CloudStack.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gstack.cloudstack.client import Cloud
from gstack.protocol.methods import HANDLERS
from gstack.resources import load_handlers

load_handlers()
Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")
REGION, ZONE = "--region=de-fra", "--zone=de-fra-1"
NONE = "gcloud has no command that asks for it"


# By collection and verb: the words of gcloud that ask for it, as they stand in its tests.
COMMANDS = {
    "acceleratorTypes": {"list": "accelerator-types list", "aggregatedList": "accelerator-types list", "get": NONE},
    "diskTypes": {"list": "disk-types list", "aggregatedList": "disk-types list", "get": "disk-types describe"},
    "machineTypes": {
        "list": "machine-types list",
        "aggregatedList": "machine-types list",
        "get": "machine-types describe",
    },
    "disks": {
        "addResourcePolicies": "disks add-resource-policies",
        "aggregatedList": "disks list",
        "bulkSetLabels": NONE,
        "createSnapshot": "disks snapshot",
        "delete": "disks delete",
        "get": "disks describe",
        "getIamPolicy": "disks get-iam-policy",
        "insert": "disks create",
        "list": "disks list",
        "removeResourcePolicies": "disks remove-resource-policies",
        "resize": "disks resize",
        "setLabels": "disks add-labels",
        "testIamPermissions": NONE,
        "update": "disks update",
    },
    "images": {
        "delete": "images delete",
        "deprecate": "images deprecate",
        "get": "images describe",
        "getFromFamily": "images describe-from-family",
        "getIamPolicy": "images get-iam-policy",
        "insert": "images create",
        "list": "images list",
        "patch": "images update",
        "setLabels": "images update",
        "testIamPermissions": NONE,
    },
    "instanceTemplates": {
        "aggregatedList": "instance-templates list",
        "delete": "instance-templates delete",
        "get": "instance-templates describe",
        "getIamPolicy": "instance-templates get-iam-policy",
        "insert": "instance-templates create",
        "list": "instance-templates list",
        "testIamPermissions": NONE,
    },
    "regionInstanceTemplates": {
        "delete": "instance-templates delete",
        "get": "instance-templates describe",
        "insert": "instance-templates create",
        "list": "instance-templates list",
    },
    "instances": {
        "addAccessConfig": "instances add-access-config",
        "addNetworkInterface": "instances network-interfaces add",
        "aggregatedList": "instances list",
        "attachDisk": "instances attach-disk",
        "bulkInsert": "instances bulk create",
        "delete": "instances delete",
        "deleteAccessConfig": "instances delete-access-config",
        "deleteNetworkInterface": "instances network-interfaces",
        "detachDisk": "instances detach-disk",
        "get": "instances describe",
        "getEffectiveFirewalls": "instances network-interfaces get-effective-firewalls",
        "getGuestAttributes": "instances get-guest-attributes",
        "getIamPolicy": "instances get-iam-policy",
        "getSerialPortOutput": "instances get-serial-port-output",
        "insert": "instances create",
        "list": "instances list",
        "listReferrers": NONE,
        "reset": "instances reset",
        "setDeletionProtection": "instances update",
        "setDiskAutoDelete": "instances set-disk-auto-delete",
        "setLabels": "instances add-labels",
        "setMachineType": "instances set-machine-type",
        "setMetadata": "instances add-metadata",
        "setName": "instances set-name",
        "setScheduling": "instances set-scheduling",
        "setServiceAccount": "instances set-service-account",
        "setTags": "instances add-tags",
        "start": "instances start",
        "stop": "instances stop",
        "testIamPermissions": NONE,
        "update": "instances update-from-file",
        "updateAccessConfig": "instances update-access-config",
        "updateNetworkInterface": "instances network-interfaces update",
    },
    "regionInstances": {"bulkInsert": "instances bulk create"},
    "projects": {
        "get": "project-info describe",
        "getXpnHost": NONE,  # shared-vpc asks beta for these
        "getXpnResources": NONE,
        "listXpnHosts": NONE,
        "setCommonInstanceMetadata": "project-info add-metadata",
        "setDefaultNetworkTier": "project-info update",
    },
    "resourcePolicies": {
        "aggregatedList": "resource-policies list",
        "delete": "resource-policies delete",
        "get": "resource-policies describe",
        "getIamPolicy": "resource-policies get-iam-policy",
        "insert": "resource-policies create",
        "list": "resource-policies list",
        "patch": "resource-policies update snapshot-schedule",
        "testIamPermissions": NONE,
    },
    "snapshots": {
        "delete": "snapshots delete",
        "get": "snapshots describe",
        "getIamPolicy": "snapshots get-iam-policy",
        "insert": "snapshots create",
        "list": "snapshots list",
        "setLabels": "snapshots add-labels",
        "testIamPermissions": NONE,
    },
    "imageFamilyViews": {"get": "instances create"},
}


# What tests of google-cloud-compute call the client of a collection.
CLIENTS = {
    "disks": "disks",
    "images": "images",
    "instanceTemplates": "templates",
    "regionInstanceTemplates": "region_templates",
    "instances": "instances",
    "regionInstances": "of_regions",
    "projects": "projects",
    "resourcePolicies": "policies",
    "snapshots": "snapshots",
    "imageFamilyViews": "families",
}


def _sources(*patterns: str) -> str:
    """The tests of a client as one text, without this one's table."""
    folder = Path(__file__).parent
    paths = sorted(path for pattern in patterns for path in folder.glob(pattern))
    return "\n".join(re.sub(r"COMMANDS = \{.*?\n\}", "", path.read_text(), flags=re.DOTALL) for path in paths)


@pytest.mark.parametrize("collection", COMMANDS)
def test_every_verb_that_is_served_has_a_command_here(collection: str) -> None:
    verbs = {name.split(".")[2] for name in HANDLERS if name.split(".")[1] == collection}
    assert verbs == COMMANDS[collection].keys()


@pytest.mark.parametrize("collection", COMMANDS)
def test_every_command_is_tried_by_gcloud(collection: str) -> None:
    said = re.sub(r"[^\w-]+", " ", _sources("test_gcloud*.py")).replace(" policies ", " resource-policies ")
    assert {words for words in COMMANDS[collection].values() if words != NONE and f" {words} " not in said} == set()


@pytest.mark.parametrize("collection", CLIENTS)
def test_every_verb_is_tried_by_google_cloud_compute(collection: str) -> None:
    said, client = _sources("test_compute_*.py", "test_google_cloud_*.py"), CLIENTS[collection]
    methods = {re.sub(r"([A-Z])", r"_\1", verb).lower() for verb in COMMANDS[collection]}
    assert {method for method in methods if not re.search(rf"\b{client}\.{method}(_unary)?\(", said)} == set()


@pytest.mark.long
def test_types_snapshots_and_templates_are_shown_labelled_and_their_policies_read(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud, fresh: Fresh
) -> None:
    name = fresh("verbs")
    assert done("machine-types", "describe", "e2-small", "--format=value(name)").out.strip() == "e2-small"
    assert done("disk-types", "describe", "pd-ssd", "--format=value(name)").out.strip() == "pd-ssd"
    region = "--instance-template-region=ch-gva"
    done("instance-templates", "create", name, region, "--machine-type=micro", *IMAGE)
    shown = gcloud("compute", "instance-templates", "describe", name, "--region=ch-gva", as_json=True).json
    assert shown["region"].endswith("/regions/ch-gva")
    done("instance-templates", "create", name, "--machine-type=micro", *IMAGE)
    policy = gcloud("compute", "instance-templates", "get-iam-policy", name, as_json=True).json
    assert policy["version"] == 1
    template = f"--source-instance-template=projects/tenant/regions/ch-gva/instanceTemplates/{name}"
    done("instances", "create", name, template)
    try:
        done("disks", "snapshot", name, f"--snapshot-names={name}")
        done("snapshots", "add-labels", name, "--labels=tier=gold")
        (row,) = cloudstack.list("listSnapshots", name=name)
        assert {"tier": "gold"}.items() <= {tag["key"]: tag["value"] for tag in row["tags"]}.items()
        listed = gcloud("compute", "snapshots", "list", f"--filter=name={name}", as_json=True).json
        assert [one["labels"] for one in listed] == [{"tier": "gold"}]
        assert gcloud("compute", "snapshots", "get-iam-policy", name, as_json=True).json["version"] == 1
        words = ("--daily-schedule", "--start-time=04:00", "--max-retention-days=5", "--region=ch-gva")
        done("resource-policies", "create", "snapshot-schedule", name, *words)
        policy = gcloud("compute", "resource-policies", "get-iam-policy", name, "--region=ch-gva", as_json=True).json
        assert policy["version"] == 1
    finally:
        gcloud("compute", "instances", "delete", name)
        gcloud("compute", "snapshots", "delete", name)
        gcloud("compute", "resource-policies", "delete", name, "--region=ch-gva")
        gcloud("compute", "instance-templates", "delete", name)
        done("instance-templates", "delete", name, "--region=ch-gva")


@pytest.mark.long
def test_interfaces_and_external_addresses_come_and_go(
    gcloud: Gcloud, done: Gcloud, cloudstack: Cloud, fresh: Fresh
) -> None:
    name, other = fresh("verbs"), fresh("other")
    machine = (name, "--machine-type=micro", "--no-address", *IMAGE, ZONE)
    for network, cidr in ((name, "10.31.0.0/24"), (other, "10.32.0.0/24")):
        done("networks", "create", network, "--subnet-mode=custom")
        done("networks", "subnets", "create", network, f"--network={network}", REGION, f"--range={cidr}")
    done("instances", "create", *machine, f"--subnet={name}")
    try:
        done("instances", "add-access-config", name, ZONE, "--access-config-name=nat")
        (row,) = cloudstack.list("listVirtualMachines", name=name)
        (address,) = cloudstack.list("listPublicIpAddresses", ipaddress=row["publicip"])
        assert (address["isstaticnat"], address["virtualmachineid"]) == (True, row["id"])
        pointer = ("--public-ptr", "--public-ptr-domain=x.example.com.")
        refused = gcloud("compute", "instances", "update-access-config", name, ZONE, *pointer)
        assert refused.status != 0 and "reverse DNS" in refused.err, refused.err
        done("instances", "delete-access-config", name, ZONE, "--access-config-name=nat")
        (row,) = cloudstack.list("listVirtualMachines", name=name)
        assert "publicip" not in row
        nic = (f"--network={other}", f"--subnetwork={other}")
        added = gcloud("beta", "compute", "instances", "network-interfaces", "add", name, ZONE, *nic)
        assert added.status == 0, added.err
        (row,) = cloudstack.list("listVirtualMachines", name=name)
        assert len(row["nic"]) == 2
        gone = ("delete", name, ZONE, "--network-interface=nic1")
        deleted = gcloud("beta", "compute", "instances", "network-interfaces", *gone)
        assert deleted.status == 0, deleted.err
        (row,) = cloudstack.list("listVirtualMachines", name=name)
        assert len(row["nic"]) == 1
    finally:
        gcloud("compute", "instances", "delete", name, ZONE)
        for network in (name, other):
            gcloud("compute", "networks", "subnets", "delete", network, REGION)
            done("networks", "delete", network)
