"""What an insert accepts is read back as it was said: every field of the policy has a sample here, or a reason.

Terraform compares what it reads with what it wrote; whatever differs is a change that it makes again and again.
"""

from __future__ import annotations

from typing import Any

import pytest

from gstack.resources.instances import BODY

INSTANCES = "zones/{zone}/instances"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
BOOT = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
ACCOUNTS = [{"email": "a@b.iam.gserviceaccount.com", "scopes": ["https://www.googleapis.com/auth/compute"]}]
ADDRESS = "60.147.40.7"

# By path: the members of the request that say it, and what the instance shows for it, by path.
SAMPLES: dict[str, tuple[dict[str, Any], Any]] = {
    "name": ({}, "web"),
    "machineType": ({"machineType": "zones/ch-gva-2/machineTypes/n1-standard-1"}, "machineTypes/n1-standard-1"),
    "description": ({"description": "a ✓"}, "a ✓"),
    "hostname": ({"hostname": "web.example.com"}, "web.example.com"),
    "labels": ({"labels": {"a": "b", "c": ""}}, {"a": "b", "c": ""}),
    "tags": ({"tags": {"items": ["a", "b"]}}, {"items": ["a", "b"]}),
    "metadata": ({"metadata": {"items": [{"key": "k", "value": "ü"}]}}, {"items": [{"key": "k", "value": "ü"}]}),
    "deletionProtection": ({"deletionProtection": True}, True),
    "serviceAccounts": ({"serviceAccounts": ACCOUNTS}, ACCOUNTS),
    "scheduling.automaticRestart": ({"scheduling": {"automaticRestart": False}}, False),
    "scheduling.onHostMaintenance": ({"scheduling": {"onHostMaintenance": "TERMINATE"}}, "TERMINATE"),
    "scheduling.provisioningModel": ({"scheduling": {"provisioningModel": "SPOT"}}, "SPOT"),
    "scheduling.preemptible": ({"scheduling": {"preemptible": True}}, True),
    "scheduling.instanceTerminationAction": (
        {"scheduling": {"provisioningModel": "SPOT", "instanceTerminationAction": "DELETE"}},
        "DELETE",
    ),
    "disks[].boot": ({}, True),
    "disks[].autoDelete": ({"disks": [BOOT | {"autoDelete": False}]}, False),
    "disks[].deviceName": ({"disks": [BOOT | {"deviceName": "system"}]}, "system"),
    "disks[].diskSizeGb": ({"disks": [BOOT | {"diskSizeGb": "20"}]}, "20"),
    "disks[].type": ({"disks": [BOOT | {"type": "PERSISTENT"}]}, "PERSISTENT"),
    "disks[].mode": ({"disks": [BOOT | {"mode": "READ_WRITE"}]}, "READ_WRITE"),
    "disks[].interface": ({"disks": [BOOT | {"interface": "SCSI"}]}, "SCSI"),
    "networkInterfaces[].network": (
        {"networkInterfaces": [{"network": "global/networks/default"}]},
        "networks/default",
    ),
    "networkInterfaces[].subnetwork": (
        {"networkInterfaces": [{"subnetwork": "regions/ch-gva/subnetworks/default"}]},
        "regions/ch-gva/subnetworks/default",
    ),
    "networkInterfaces[].networkIP": ({"networkInterfaces": [{"networkIP": ADDRESS}]}, ADDRESS),
    "networkInterfaces[].accessConfigs[].natIP": (
        {"networkInterfaces": [{"accessConfigs": [{"natIP": ADDRESS}]}]},
        ADDRESS,
    ),
    "networkInterfaces[].accessConfigs[].name": ({"networkInterfaces": [{"accessConfigs": [{"name": "x"}]}]}, "x"),
    "networkInterfaces[].accessConfigs[].type": (
        {"networkInterfaces": [{"accessConfigs": [{"type": "ONE_TO_ONE_NAT"}]}]},
        "ONE_TO_ONE_NAT",
    ),
    "networkInterfaces[].accessConfigs[].networkTier": (
        {"networkInterfaces": [{"accessConfigs": [{"networkTier": "PREMIUM"}]}]},
        "PREMIUM",
    ),
}
# Read back elsewhere, or nowhere in GCE either.
ELSEWHERE = {
    "disks[].source": "test_instances_of_disks.py boots from one and attaches one",
    "networkInterfaces[].aliasIpRanges[].ipCidrRange": "test_isolated_networks.py: zones with groups have none",
    "networkInterfaces[].stackType": "what is there is IPv4, and only that may be said",
    "networkInterfaces[].nicType": "GCE shows it where it was chosen; only its default may be said",
    "reservationAffinity.consumeReservationType": "there are no reservations, and nothing is reserved for anybody",
    "keyRevocationActionType": "only what is the case anyway may be said",
    "privateIpv6GoogleAccess": "only what is the case anyway may be said",
    **dict.fromkeys(("fingerprint", "labelFingerprint", "networkInterfaces[].fingerprint"), "proofs of what was read"),
}
# The disk's own, as GCE does not show initializeParams again.
OF_DISKS: dict[str, tuple[Any, str, Any]] = {
    "sourceImage": (DEBIAN, "sourceImage", "images/linux-debian-12-64-bit"),
    "diskSizeGb": ("21", "sizeGb", "21"),
    "diskType": ("zones/ch-gva-2/diskTypes/pd-ssd", "type", "diskTypes/pd-ssd"),
    "diskName": ("other", "name", "other"),
    "labels": ({"a": "b"}, "labels", {"a": "b"}),
    "description": ("of a disk", "description", "of a disk"),
    "architecture": ("X86_64", "architecture", "X86_64"),
}
# test_instances_of_disks.py, test_instances_scheduled.py
OBJECTS = ("sourceSnapshot", "resourcePolicies")


def _at(resource: Any, path: str) -> Any:
    for step in path.replace("[]", ".0").split("."):
        resource = resource[int(step)] if step.isdigit() else resource[step]
    return resource


def _fits(shown: Any, said: Any) -> bool:
    if isinstance(said, str) and "/" in said:
        return str(shown).endswith(said)
    if isinstance(said, dict) and isinstance(shown, dict):
        return all(shown.get(name) == value for name, value in said.items())
    return bool(shown == said)


def _insert(gateway: Any, **members: Any) -> dict[str, Any]:
    said = {"name": "web", "machineType": "tiny", "disks": [BOOT], "networkInterfaces": [{}]} | members
    gateway.run("POST", INSTANCES, said)
    return dict(gateway.get(f"{INSTANCES}/web"))


def test_every_field_that_is_accepted_is_tried() -> None:
    accepted = {path for path, state, _ in BODY.table() if state != "refused"}
    of_disks = {f"disks[].initializeParams.{member}" for member in (*OF_DISKS, *OBJECTS)}
    assert accepted == SAMPLES.keys() | ELSEWHERE.keys() | of_disks


@pytest.mark.parametrize("path", SAMPLES)
def test_a_field_is_read_back_as_it_was_said(gateway: Any, path: str) -> None:
    members, said = SAMPLES[path]
    assert _fits(_at(_insert(gateway, **members), path), said)


@pytest.mark.parametrize("member", OF_DISKS)
def test_a_disks_own_field_is_read_back_from_the_disk(gateway: Any, member: str) -> None:
    value, shown, said = OF_DISKS[member]
    instance = _insert(gateway, disks=[BOOT | {"initializeParams": {"sourceImage": DEBIAN, member: value}}])
    disk = gateway.get(f"zones/{{zone}}/disks/{instance['disks'][0]['source'].rpartition('/')[2]}")
    assert _fits(disk[shown], said)


def test_an_instance_that_is_sent_back_as_it_was_read_changes_nothing(gateway: Any) -> None:
    members: dict[str, Any] = {}
    for path, (said, _) in SAMPLES.items():
        if not path.startswith(("disks", "networkInterfaces")):
            members |= said
    read = _insert(gateway, **members)
    gateway.run("PUT", f"{INSTANCES}/web", read, mostDisruptiveAllowedAction="NO_EFFECT")
    assert gateway.get(f"{INSTANCES}/web") == read
