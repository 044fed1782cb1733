"""What an insert is refused for, at once and by name, with nothing made."""

from __future__ import annotations

import base64
import copy
import random
from typing import Any

import pytest

INSTANCES = "zones/{zone}/instances"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
GOOD: dict[str, Any] = {
    "name": "web",
    "machineType": "tiny",
    "disks": [{"boot": True, "initializeParams": {"sourceImage": DEBIAN}}],
    "networkInterfaces": [{}],
}
DATA = {"initializeParams": {"diskSizeGb": "1"}}
INITIAL = "disks.0.initializeParams"


def changed(path: str, value: Any) -> dict[str, Any]:
    """A good body with one member set, or taken away (None)."""
    body = copy.deepcopy(GOOD)
    *steps, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    place: Any = body
    for step in steps:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    if value is None:
        del place[last]
    else:
        place[last] = value
    return body


BAD = [
    ("name", None, 400, "resource.name"),
    ("name", "Web", 400, "resource.name"),
    ("name", "web-", 400, "resource.name"),
    ("name", "x" * 64, 400, "resource.name"),
    ("machineType", None, 400, "resource.machineType"),
    ("machineType", "zones/ch-gva-2/machineTypes/nope", 400, "referenced resource does not exist"),
    ("machineType", "zones/elsewhere-a/machineTypes/tiny", 400, "own zone"),
    ("machineType", "global/networks/default", 400, "malformed"),
    ("machineType", "custom-99-1", 400, "Allowed are"),
    ("disks", None, 400, "No disks are specified"),
    ("disks", [], 400, "No disks are specified"),
    ("disks", [{"initializeParams": {"sourceImage": DEBIAN}}], 400, "Exactly one disk"),
    ("disks", GOOD["disks"] * 2, 400, "Exactly one disk"),
    ("disks.0.source", "zones/ch-gva-2/disks/d", 400, "initializeParams"),
    ("disks.0.type", "SCRATCH", 400, "resource.disks[0].type"),
    ("disks.0.mode", "READ_ONLY", 400, "resource.disks[0].mode"),
    ("disks.0.interface", "NVME", 400, "resource.disks[0].interface"),
    ("disks", [{**GOOD["disks"][0], "deviceName": "d"}, {**DATA, "deviceName": "d"}], 400, "disks[1].deviceName': 'd'"),
    ("disks.0.deviceName", "d" * 64, 400, "63 characters at most"),
    ("disks", [{**GOOD["disks"][0], "deviceName": "persistent-disk-1"}, DATA], 400, "used by another disk"),
    ("disks.0.diskEncryptionKey", {"kmsKeyName": "k"}, 400, "diskEncryptionKey"),
    (f"{INITIAL}.sourceImage", None, 400, "needs a source image"),
    (f"{INITIAL}.sourceImage", "projects/debian-cloud/global/images/none", 400, "referenced image resource"),
    (f"{INITIAL}.sourceImage", "projects/debian-cloud/global/images/family/none", 404, "images/family/none"),
    (f"{INITIAL}.diskSizeGb", 5, 400, "smaller than the image size (10 GB)"),
    (f"{INITIAL}.diskSizeGb", "five", 400, "diskSizeGb"),
    (f"{INITIAL}.diskType", "zones/ch-gva-2/diskTypes/none", 400, "referenced diskType"),
    (f"{INITIAL}.diskName", "Data", 400, "diskName"),
    (f"{INITIAL}.sourceSnapshot", "global/snapshots/s", 400, "sourceSnapshot"),
    (f"{INITIAL}.labels", {"Big": "x"}, 400, "initializeParams.labels"),
    ("networkInterfaces", None, 400, "At least one network interface"),
    ("networkInterfaces", [{}, {}], 400, "one network interface"),
    ("networkInterfaces.0.network", "global/networks/none", 400, "referenced network resource"),
    ("networkInterfaces.0.network", "projects/other/global/networks/default", 400, "referenced network resource"),
    ("networkInterfaces.0.subnetwork", "regions/ch-gva/subnetworks/none", 400, "referenced subnetwork resource"),
    ("networkInterfaces.0.subnetwork", "regions/elsewhere/subnetworks/default", 400, "own region"),
    ("networkInterfaces.0.networkIP", "10.0.0", 400, "IPv4"),
    ("networkInterfaces.0.networkIP", "10.0.0.7", 400, "60.147.32.0/20"),
    ("networkInterfaces.0.networkIP", "60.147.32.1", 400, "60.147.32.0/20"),
    ("networkInterfaces.0.accessConfigs", [{"natIP": "203.0.113.9"}], 400, "accessConfigs[0].natIP"),
    ("networkInterfaces.0.accessConfigs", [{}, {}], 400, "At most one access config"),
    ("networkInterfaces.0.accessConfigs", [{"networkTier": "STANDARD"}], 400, "networkTier"),
    ("networkInterfaces.0.aliasIpRanges", [{"ipCidrRange": "/24"}], 400, "aliasIpRanges"),
    ("networkInterfaces.0", {"networkIP": "60.147.33.7", "accessConfigs": [{"natIP": "60.147.33.8"}]}, 400, "natIP"),
    ("labels", {"Env": "x"}, 400, "resource.labels"),
    ("labels", {"env": "X"}, 400, "resource.labels.env"),
    ("labels", {f"l{number}": "" for number in range(65)}, 400, "64"),
    ("tags.items", ["Web"], 400, "resource.tags.items[0]"),
    ("tags.items", ["a", "a"], 400, "unique"),
    ("metadata.items", [{"key": "k", "value": "1"}, {"key": "k", "value": "2"}], 400, "duplicate"),
    ("metadata.items", [{"key": "shutdown-script", "value": "true"}], 400, "resource.metadata.items[0].key"),
    ("canIpForward", True, 400, "resource.canIpForward"),
    ("guestAccelerators", [{"acceleratorCount": 1}], 400, "guestAccelerators"),
    ("confidentialInstanceConfig", {"enableConfidentialCompute": True}, 400, "confidentialInstanceConfig"),
    ("instanceEncryptionKey", {"kmsKeyName": "k"}, 400, "instanceEncryptionKey"),
    ("shieldedInstanceConfig", {"enableSecureBoot": True}, 400, "shieldedInstanceConfig"),
    ("minCpuPlatform", "Intel Skylake", 400, "minCpuPlatform"),
    ("resourcePolicies", ["regions/r/resourcePolicies/p"], 400, "resourcePolicies"),
    ("scheduling", {"preemptible": True, "automaticRestart": True}, 400, "scheduling.preemptible"),
    ("scheduling", {"preemptible": True, "onHostMaintenance": "MIGRATE"}, 400, "scheduling.preemptible"),
    ("scheduling", {"preemptible": False, "provisioningModel": "SPOT"}, 400, "scheduling.preemptible"),
    ("scheduling", {"instanceTerminationAction": "STOP"}, 400, "scheduling.instanceTerminationAction"),
    ("scheduling", {"provisioningModel": "FLEX_START"}, 400, "scheduling.provisioningModel"),
    ("scheduling", {"maxRunDuration": {"seconds": "3600"}}, 400, "scheduling.maxRunDuration"),
    ("scheduling", {"nodeAffinities": [{"key": "k"}]}, 400, "scheduling.nodeAffinities"),
    ("advancedMachineFeatures", {"threadsPerCore": 1}, 400, "advancedMachineFeatures"),
    ("sourceMachineImage", "global/machineImages/m", 400, "sourceMachineImage"),
    ("hostname", "a b.example.com", 400, "resource.hostname"),
    ("hostname", "web.example.com.", 400, "resource.hostname"),
    ("hostname", ".".join(["a" * 63] * 4), 400, "253"),
    ("serviceAccounts", [{"email": "two words@example.com"}], 400, "resource.serviceAccounts[0].email"),
    ("serviceAccounts", [{}], 400, "resource.serviceAccounts[0].email"),
    ("serviceAccounts", [{"email": "a@b"}, {"email": "c@d"}], 400, "one service account"),
    ("nonsense", 1, 400, "nonsense"),
]


@pytest.mark.parametrize(("path", "value", "status", "words"), BAD, ids=[f"{bad[0]}={bad[1]}"[:60] for bad in BAD])
def test_a_bad_member_is_refused_by_name(gateway: Any, path: str, value: Any, status: int, words: str) -> None:
    message = gateway.refuse("POST", INSTANCES, changed(path, value), status=status)
    assert words in message
    assert gateway.cloudstack("listVirtualMachines") == []


def test_all_refused_members_are_named_at_once(gateway: Any) -> None:
    message = gateway.refuse("POST", INSTANCES, GOOD | {"canIpForward": True, "minCpuPlatform": "x"})
    assert "resource.canIpForward" in message and "resource.minCpuPlatform" in message


def test_an_unknown_zone_is_not_found(gateway: Any) -> None:
    message = gateway.refuse("POST", "zones/nowhere-a/instances", GOOD, status=404)
    assert message == "The resource 'projects/tenant/zones/nowhere-a' was not found"


def test_machine_images_are_refused_by_name(gateway: Any) -> None:
    message = gateway.refuse("POST", INSTANCES, GOOD, sourceMachineImage="global/machineImages/m")
    assert "sourceMachineImage" in message


def test_a_taken_name_is_a_conflict(gateway: Any) -> None:
    gateway.deploy("web")
    message = gateway.refuse("POST", INSTANCES, GOOD, status=409)
    assert message == "The resource 'projects/tenant/zones/ch-gva-2/instances/web' already exists"


def test_a_taken_disk_name_is_a_conflict(gateway: Any) -> None:
    gateway.deploy("data")
    body = changed(f"{INITIAL}.diskName", "data")
    assert gateway.refuse("POST", INSTANCES, body, status=409).endswith("/disks/data' already exists")


def test_a_disk_of_another_instance_cannot_be_attached(gateway: Any) -> None:
    gateway.deploy("db")
    body = GOOD | {"disks": [*GOOD["disks"], {"source": "zones/ch-gva-2/disks/db"}]}
    message = gateway.refuse("POST", INSTANCES, body)
    assert "disks/db' is already being used by" in message and message.endswith("/instances/db'")


def test_a_disk_that_does_not_exist_is_not_found(gateway: Any) -> None:
    body = GOOD | {"disks": [*GOOD["disks"], {"source": "zones/ch-gva-2/disks/none"}]}
    assert gateway.refuse("POST", INSTANCES, body, status=404).endswith("/disks/none' was not found")


@pytest.mark.parametrize(
    ("initial", "words"),
    [
        ({"diskSizeGb": "0"}, "at least 1"),
        ({"diskSizeGb": "20", "diskType": "ssd-10"}, "have 10 GB"),
        ({"diskSizeGb": "20", "diskName": "web"}, "Two disks of one name"),
    ],
)
def test_a_further_disk_that_cannot_be_is_refused(gateway: Any, initial: dict[str, Any], words: str) -> None:
    body = GOOD | {"disks": [*GOOD["disks"], {"initializeParams": initial}]}
    assert words in gateway.refuse("POST", INSTANCES, body)


def test_a_size_that_the_machine_type_overrules_is_refused(gateway: Any) -> None:
    body = changed(f"{INITIAL}.diskSizeGb", 20) | {"machineType": "small-rootdisk50"}
    assert "comes with a boot disk of 50 GB" in gateway.refuse("POST", INSTANCES, body)


def test_sizes_beyond_cloudstacks_are_told_with_its_limit_and_make_nothing(gateway: Any) -> None:
    image = "projects/debian-cloud/global/images/family/debian-12"
    disk = {"boot": True, "initializeParams": {"sourceImage": image, "diskSizeGb": "5000"}}
    body = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]}
    for path, said in (
        ("instances", body),
        ("disks", {"name": "d", "sourceImage": image, "sizeGb": "5000"}),
        ("disks", {"name": "d", "sizeGb": "5000"}),
    ):
        error = gateway.fail("POST", f"zones/{{zone}}/{path}", said)
        assert (error["code"], error["http"]) == ("INVALID_FIELD_VALUE", 400)
        assert "2000 GB" in error["message"] or "Max: 1024" in error["message"]
    assert gateway.names("zones/{zone}/instances") == gateway.names("zones/{zone}/disks") == []


def test_user_data_over_cloudstacks_limit_is_refused_with_the_limit(gateway: Any) -> None:
    noise = base64.b64encode(random.Random(1).randbytes(40_000)).decode()
    image = "projects/debian-cloud/global/images/family/debian-12"
    disk = {"boot": True, "initializeParams": {"sourceImage": image}}
    body = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]}
    said = gateway.refuse(
        "POST", "zones/{zone}/instances", body | {"metadata": {"items": [{"key": "user-data", "value": noise}]}}
    )
    assert "resource.metadata.items" in said and "at most 32768" in said
