"""What clients read without looking whether it is there: left out, one of them crashes, or makes things anew for ever.

Apart from the strictness of values because this is about members. Each table is what its client was seen to need. The
surprising thing: Google leaves out what is empty, so a member that is always there is always a choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

REGION, ZONE = "regions/de-fra", "zones/de-fra-1"
FAMILY = "projects/debian-cloud/global/images/family/debian-12"
NAME = "unchecked"
PATHS = {
    "project": "",
    "zone": ZONE,
    "region": REGION,
    "machineType": f"{ZONE}/machineTypes/micro",
    "image": "/compute/v1/projects/debian-cloud/global/images/family/debian-12",
    "instance": f"{ZONE}/instances/{NAME}",
    "boot disk": f"{ZONE}/disks/{NAME}",
    "disk": f"{ZONE}/disks/{NAME}-data",
    "snapshot": f"global/snapshots/{NAME}",
    "address": f"{REGION}/addresses/{NAME}",
    "firewall": f"global/firewalls/{NAME}",
    "network": f"global/networks/{NAME}",
    "subnetwork": f"{REGION}/subnetworks/{NAME}",
}
# Dotted paths; every entry of a list has what follows []. A missing one is a KeyError.
LIBCLOUD = {
    "project": "id name commonInstanceMetadata",
    "zone": "id name status",
    "region": "id name status",
    "machineType": "id name zone guestCpus",
    "image": "id name",
    "instance": "id name status zone machineType tags.fingerprint disks[].source",
    "disk": "id name status zone sizeGb",
    "boot disk": "id name status zone sizeGb",
    "snapshot": "id name diskSizeGb",
    "address": "id name status address",
    "firewall": "id name network",
    "network": "id name",
    "subnetwork": "id name kind",
    "operation": "selfLink status",
}
# A panic (selfLink, metadata, scheduling), a replacement or a change at every plan.
TERRAFORM = {
    "instance": "selfLink metadata scheduling.automaticRestart scheduling.onHostMaintenance scheduling.preemptible "
    "scheduling.provisioningModel name zone machineType labels tags.items metadata.items networkInterfaces[].network "
    "networkInterfaces[].subnetwork networkInterfaces[].accessConfigs[].natIP "
    "networkInterfaces[].accessConfigs[].networkTier disks[].mode disks[].autoDelete disks[].source "
    "disks[].deviceName disks[].index",
    "boot disk": "selfLink name zone type sizeGb sourceImage labelFingerprint",
    "disk": "selfLink name zone type sizeGb labels labelFingerprint",
    "network": "selfLink name autoCreateSubnetworks networkFirewallPolicyEnforcementOrder routingConfig",
    "subnetwork": "selfLink name network ipCidrRange region fingerprint",
    "firewall": "selfLink name network priority allowed sourceRanges direction disabled logConfig",
    "address": "selfLink name address addressType networkTier region status labels labelFingerprint",
    "snapshot": "selfLink name diskSizeGb labels labelFingerprint",
    "operation": "selfLink name status targetId targetLink",
}
JCLOUDS = {
    "instance": "id selfLink name tags networkInterfaces[].name networkInterfaces[].network disks[].deviceName",
    "operation": "id selfLink name targetLink status insertTime operationType",
}
NEEDED = [
    (client, kind, member)
    for client, table in {"Libcloud": LIBCLOUD, "Terraform": TERRAFORM, "jclouds": JCLOUDS}.items()
    for kind, members in table.items()
    for member in members.split()
]


@pytest.fixture(scope="module")
def shown(api: Any) -> Iterator[dict[str, Any]]:
    """One resource of each kind, as it is read."""
    labels = {"stage": "test"}

    def made(path: str, **body: Any) -> dict[str, Any]:
        operation: dict[str, Any] = api.done("POST", path, json={"name": NAME} | body)
        assert "error" not in operation, operation
        return operation

    network = f"global/networks/{NAME}"
    operation = made("global/networks", autoCreateSubnetworks=False)
    made(f"{REGION}/subnetworks", network=network, ipCidrRange="10.9.0.0/24")
    allowed = [{"IPProtocol": "tcp", "ports": ["80"]}]
    made("global/firewalls", network=network, allowed=allowed, sourceRanges=["0.0.0.0/0"])
    made(f"{REGION}/addresses", labels=labels)
    address = api.get(PATHS["address"])["address"]
    nic = {"subnetwork": f"{REGION}/subnetworks/{NAME}", "accessConfigs": [{"natIP": address}]}
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": FAMILY}}
    more = {"tags": {"items": ["web"]}, "metadata": {"items": [{"key": "a", "value": "b"}]}, "labels": labels}
    machine = f"{ZONE}/machineTypes/micro"
    made(f"{ZONE}/instances", machineType=machine, disks=[disk], networkInterfaces=[nic], **more)
    made(f"{ZONE}/disks", name=f"{NAME}-data", sizeGb="10", labels=labels)
    made(f"{ZONE}/disks/{NAME}/createSnapshot", labels=labels)
    found = {
        kind: api.get(path) if not path.startswith("/") else api("GET", path).json() for kind, path in PATHS.items()
    }
    yield found | {"operation": operation}
    for kind in ("instance", "disk", "snapshot", "address", "firewall", "subnetwork", "network"):
        api.done("DELETE", PATHS[kind])


@pytest.mark.parametrize(("client", "kind", "member"), NEEDED, ids=" ".join)
def test_a_member_is_there(shown: dict[str, Any], client: str, kind: str, member: str) -> None:
    values: list[Any] = [shown[kind]]
    for name in member.replace("[]", ".[]").split("."):
        if name == "[]":
            assert all(values), f"{member} of {kind}: an empty list"
            values = [entry for value in values for entry in value]
        else:
            assert [value for value in values if name not in value] == [], f"{client} reads {member} of {kind}"
            values = [value[name] for value in values]
    assert None not in values


def test_what_terraform_sent_comes_back_as_it_was_sent(shown: dict[str, Any]) -> None:
    instance = shown["instance"]
    assert instance["labels"] == {"stage": "test"}
    assert instance["tags"]["items"] == ["web"]
    assert instance["metadata"]["items"] == [{"key": "a", "value": "b"}]
    assert [(disk["mode"], disk["autoDelete"]) for disk in instance["disks"]] == [("READ_WRITE", True)]
    assert shown["firewall"]["allowed"] == [{"IPProtocol": "tcp", "ports": ["80"]}]
    assert shown["address"]["networkTier"] == "PREMIUM"
    scheduling = {"automaticRestart": True, "onHostMaintenance": "MIGRATE", "preemptible": False}
    assert instance["scheduling"].items() >= (scheduling | {"provisioningModel": "STANDARD"}).items()


@pytest.mark.parametrize(
    "path", ["zones", "regions", "aggregated/disks", "aggregated/instances", "aggregated/addresses"]
)
@pytest.mark.usefixtures("shown")
def test_lists_that_libcloud_reads_without_a_look_have_items(api: Any, path: str) -> None:
    assert api.get(path)["items"]
