"""The metadata that all instances of a project share, and a project's other verbs."""

from __future__ import annotations

import base64
import gzip
from typing import Any

import pytest

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
ADA = "ada:ssh-ed25519 AAAAada ada@laptop"
BOB = "bob:ssh-ed25519 AAAAbob bob@laptop"


def share(gateway: Any, **values: str) -> dict[str, Any]:
    """Set the project's metadata."""
    items = [{"key": key.replace("_", "-"), "value": value} for key, value in values.items()]
    seen = gateway.get("")["commonInstanceMetadata"]["fingerprint"]
    return dict(gateway.run("POST", "setCommonInstanceMetadata", {"items": items, "fingerprint": seen}))


def user_data(gateway: Any, name: str = "web", **own: str) -> str:
    """What the guest of a new instance reads."""
    disk = {"boot": True, "initializeParams": {"sourceImage": DEBIAN}}
    items = [{"key": key.replace("_", "-"), "value": value} for key, value in own.items()]
    body = {"name": name, "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]}
    gateway.run("POST", "zones/{zone}/instances", body | {"metadata": {"items": items}})
    return told(gateway, name)


def told(gateway: Any, name: str = "web") -> str:
    (row,) = gateway.cloudstack("listVirtualMachines", name=name)
    answer = gateway.cloudstack("getVirtualMachineUserData", virtualmachineid=row["id"])
    data = base64.b64decode(answer["virtualmachineuserdata"].get("userdata", ""))
    return (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode()


def test_shared_metadata_is_read_back(gateway: Any) -> None:
    operation = share(gateway, foo="bar")
    assert (operation["operationType"], operation["targetLink"].rpartition("/")[2]) == ("setMetadata", "tenant")
    shown = gateway.get("")["commonInstanceMetadata"]
    assert shown["items"] == [{"key": "foo", "value": "bar"}]
    share(gateway)
    assert "items" not in gateway.get("")["commonInstanceMetadata"]


def test_an_old_fingerprint_is_refused_and_the_shared_metadata_stays(gateway: Any) -> None:
    share(gateway, foo="bar")
    body = {"items": [], "fingerprint": "AAAAAAAAAAA="}
    message = gateway.refuse("POST", "setCommonInstanceMetadata", body, status=412)
    assert message == "Supplied fingerprint does not match current metadata fingerprint."
    assert gateway.get("")["commonInstanceMetadata"]["items"]


def test_shared_metadata_belongs_to_one_project(gateway: Any) -> None:
    share(gateway, foo="bar")
    assert "items" not in gateway.as_user("other").get("")["commonInstanceMetadata"]


def test_shared_ssh_keys_reach_new_instances_beside_their_own(gateway: Any) -> None:
    share(gateway, ssh_keys=ADA)
    text = user_data(gateway, ssh_keys=BOB)
    assert "AAAAada" in text and "AAAAbob" in text


def test_an_instance_may_block_shared_ssh_keys(gateway: Any) -> None:
    share(gateway, ssh_keys=ADA)
    text = user_data(gateway, ssh_keys=BOB, block_project_ssh_keys="TRUE")
    assert "AAAAada" not in text and "AAAAbob" in text


def test_an_instances_own_startup_script_comes_before_the_shared_one(gateway: Any) -> None:
    share(gateway, startup_script="echo shared", foo="kept from guests")
    assert "echo own" in user_data(gateway, "own", startup_script="echo own")
    assert "echo shared" not in told(gateway, "own")
    text = user_data(gateway, "plain")
    assert "echo shared" in text and "kept from guests" not in text


def test_bad_shared_ssh_keys_are_named(gateway: Any) -> None:
    body = {"items": [{"key": "ssh-keys", "value": "no colon"}]}
    assert "'resource.items[0].value'" in gateway.refuse("POST", "setCommonInstanceMetadata", body)


def test_there_is_one_network_tier(gateway: Any) -> None:
    gateway.run("POST", "setDefaultNetworkTier", {"networkTier": "PREMIUM"})
    assert "networkTier" in gateway.refuse("POST", "setDefaultNetworkTier", {"networkTier": "STANDARD"})


def test_a_project_shares_no_networks(gateway: Any) -> None:
    assert gateway.get("getXpnHost") == {"kind": "compute#project"}
    assert "resources" not in gateway.get("getXpnResources")


@pytest.mark.parametrize("verb", ["enableXpnHost", "disableXpnHost", "moveInstance", "setUsageExportBucket"])
def test_what_a_project_cannot_do_is_refused_with_a_reason(gateway: Any, verb: str) -> None:
    assert "is not supported" in gateway.refuse("POST", verb, {}, status=501)


@pytest.mark.parametrize(("verb", "member"), [("moveInstance", "targetInstance"), ("moveDisk", "targetDisk")])
def test_nothing_moves_to_another_zone_but_a_copied_image_is_a_start_there(
    gateway: Any, verb: str, member: str
) -> None:
    body = {member: "zones/ch-gva-2/instances/web", "destinationZone": "zones/at-vie-1"}
    assert "copyTemplate has brought to that zone" in gateway.refuse("POST", verb, body, status=501)
    made = gateway.deploy("web")
    gateway.cloudstack("stopVirtualMachine", id=made["id"])
    gateway.simulator.settle()
    gateway.run("POST", "global/images", {"name": "golden", "sourceDisk": "zones/ch-gva-2/disks/web"})
    content = {
        "name": "there",
        "machineType": "tiny",
        "disks": [{"boot": True, "initializeParams": {"sourceImage": "global/images/golden"}}],
        "networkInterfaces": [{}],
    }
    assert "not ready in zone at-vie-1" in gateway.refuse("POST", "zones/at-vie-1/instances", content)
    (template,) = gateway.cloudstack("listTemplates", templatefilter="self")
    (target,) = gateway.cloudstack("listZones", name="at-vie-1")
    gateway.cloudstack("copyTemplate", id=template["id"], sourcezoneid=gateway.zone_id, destzoneid=target["id"])
    gateway.simulator.settle()
    gateway.run("POST", "zones/at-vie-1/instances", content)


def test_a_key_that_is_added_later_reaches_guests_that_are_there_at_their_next_boot(gateway: Any) -> None:
    assert "AAAAada" not in user_data(gateway)
    assert "AAAAada" not in user_data(gateway, "closed", block_project_ssh_keys="TRUE")
    gateway.deploy("foreign")
    share(gateway, ssh_keys=ADA)
    assert "\nuser ada <<" in told(gateway)
    assert "AAAAada" not in told(gateway, "closed") + told(gateway, "foreign")
    share(gateway)
    assert "AAAAada" not in told(gateway)


def test_metadata_that_means_nothing_to_guests_changes_no_machine(gateway: Any) -> None:
    user_data(gateway)
    gateway.simulator.faults.add("status", "updateVirtualMachine", code=530, text="no luck")
    assert "warnings" not in share(gateway, foo="bar")


def test_a_machine_that_cannot_be_told_is_a_warning(gateway: Any) -> None:
    user_data(gateway)
    gateway.simulator.faults.add("status", "updateVirtualMachine", code=530, text="no luck")
    assert "no luck" in share(gateway, ssh_keys=ADA)["warnings"][0]["message"]
    assert gateway.get("")["commonInstanceMetadata"]["items"]
