"""Making instances: what is honoured, remembered, and read back."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gstack.store.db import db

INSTANCES = "zones/{zone}/instances"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"


def body(name: str = "web", **members: Any) -> dict[str, Any]:
    """What a client sends at the least."""
    return {
        "name": name,
        "machineType": "zones/ch-gva-2/machineTypes/tiny",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
        "networkInterfaces": [{"network": "global/networks/default"}],
    } | members


def boot(**members: Any) -> list[dict[str, Any]]:
    """A boot disk with further initializeParams."""
    return [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN} | members}]


@pytest.fixture
def insert(gateway: Any) -> Any:
    """Makes an instance and gives it as it is read back."""

    def make(**members: Any) -> dict[str, Any]:
        content = body(**members)
        gateway.run("POST", INSTANCES, content)
        return gateway.get(f"{INSTANCES}/{content['name']}")

    return make


def test_an_instance_is_a_running_machine_of_its_name(gateway: Any, insert: Any) -> None:
    instance = insert()
    (row,) = gateway.cloudstack("listVirtualMachines")
    assert (row["name"], row["state"], row["serviceofferingname"]) == ("web", "Running", "Tiny")
    assert (instance["status"], instance["networkInterfaces"][0]["networkIP"]) == ("RUNNING", row["ipaddress"])
    assert instance["creationTimestamp"] == row["created"][:19] + ".000+00:00"


def test_the_operation_names_the_instance_and_its_number(gateway: Any) -> None:
    operation = gateway.run("POST", INSTANCES, body())
    instance = gateway.get(f"{INSTANCES}/web")
    assert operation["operationType"] == "insert"
    assert operation["targetLink"] == instance["selfLink"]
    assert operation["targetId"] == instance["id"]


@pytest.mark.parametrize(
    ("said", "model"),
    [
        ({"preemptible": True, "automaticRestart": False}, "STANDARD"),  # gcloud --preemptible
        ({"preemptible": True, "automaticRestart": False, "provisioningModel": "SPOT"}, "SPOT"),
        ({"provisioningModel": "SPOT"}, "SPOT"),
    ],
)
def test_a_preemptible_instance_has_what_follows_from_it(insert: Any, said: dict[str, Any], model: str) -> None:
    assert insert(scheduling=said)["scheduling"] == {
        "onHostMaintenance": "TERMINATE",
        "automaticRestart": False,
        "preemptible": True,
        "provisioningModel": model,
    }


def test_members_that_clients_need_are_there_even_when_nothing_was_said(insert: Any) -> None:
    instance = insert()
    assert instance["metadata"]["fingerprint"] and instance["tags"]["fingerprint"] and instance["labelFingerprint"]
    assert instance["scheduling"] == {
        "onHostMaintenance": "MIGRATE",
        "automaticRestart": True,
        "preemptible": False,
        "provisioningModel": "STANDARD",
    }
    assert instance["disks"] == [
        {
            "kind": "compute#attachedDisk",
            "type": "PERSISTENT",
            "mode": "READ_WRITE",
            "source": instance["zone"] + "/disks/web",
            "deviceName": "persistent-disk-0",
            "index": 0,
            "boot": True,
            "autoDelete": True,
            "interface": "SCSI",
            "diskSizeGb": "10",
        }
    ]


@pytest.mark.parametrize(
    "reference",
    [
        "tiny",
        "zones/ch-gva-2/machineTypes/tiny",
        "projects/tenant/zones/ch-gva-2/machineTypes/tiny",
        "https://www.googleapis.com/compute/v1/projects/tenant/zones/ch-gva-2/machineTypes/tiny",
        "https://elsewhere.example/compute/beta/projects/tenant/zones/ch-gva-2/machineTypes/tiny",
    ],
)
def test_a_machine_type_may_be_named_in_any_form(insert: Any, reference: str) -> None:
    assert insert(machineType=reference)["machineType"].endswith("/zones/ch-gva-2/machineTypes/tiny")


def test_googles_machine_types_read_back_as_they_were_asked_for(gateway: Any, insert: Any) -> None:
    assert insert(machineType="n1-standard-1")["machineType"].endswith("/machineTypes/n1-standard-1")
    assert gateway.cloudstack("listVirtualMachines")[0]["serviceofferingname"] == "Medium"


def test_a_machine_that_was_resized_shows_what_it_is_now(gateway: Any, insert: Any) -> None:
    insert(machineType="n1-standard-1")
    gateway.run("POST", f"{INSTANCES}/web/stop")
    (row,) = gateway.cloudstack("listVirtualMachines")
    offering = gateway.offering_id("Large")
    gateway.cloudstack("changeServiceForVirtualMachine", id=row["id"], serviceofferingid=offering)
    assert gateway.get(f"{INSTANCES}/web")["machineType"].endswith("/machineTypes/large")


def test_a_custom_machine_type_has_its_size(gateway: Any, insert: Any) -> None:
    assert insert(machineType="custom-2-3072")["machineType"].endswith("/machineTypes/custom-2-3072")
    (row,) = gateway.cloudstack("listVirtualMachines")
    assert (row["cpunumber"], row["memory"]) == (2, 3072)


@pytest.mark.parametrize(
    "image",
    [
        "projects/debian-cloud/global/images/family/debian-12",
        "projects/debian-cloud/zones/-/imageFamilyViews/debian-12",
        "https://www.googleapis.com/compute/v1/projects/debian-cloud/global/images/linux-debian-12-64-bit",
    ],
)
def test_an_image_may_be_named_by_itself_or_its_family(gateway: Any, insert: Any, image: str) -> None:
    insert(disks=[{"boot": True, "initializeParams": {"sourceImage": image}}])
    assert gateway.cloudstack("listVirtualMachines")[0]["templatename"] == "Linux Debian 12 64-bit"
    disk = gateway.get("zones/{zone}/disks/web")
    assert disk["sourceImage"].endswith("/projects/debian-cloud/global/images/linux-debian-12-64-bit")


def test_the_boot_disk_has_the_size_name_labels_and_description_it_was_asked_for(gateway: Any, insert: Any) -> None:
    instance = insert(
        disks=[
            {
                "boot": True,
                "autoDelete": True,
                "deviceName": "boot",
                "initializeParams": {
                    "sourceImage": DEBIAN,
                    "diskSizeGb": "20",
                    "diskName": "web-root",
                    "labels": {"tier": "gold"},
                    "description": "the root of it",
                },
            }
        ]
    )
    (attached,) = instance["disks"]
    assert (attached["diskSizeGb"], attached["deviceName"]) == ("20", "boot")
    assert attached["source"].endswith("/disks/web-root")
    disk = gateway.get("zones/{zone}/disks/web-root")
    assert (disk["labels"], disk["description"], disk["sizeGb"]) == ({"tier": "gold"}, "the root of it", "20")


def test_a_disk_type_of_googles_reads_back(gateway: Any, insert: Any) -> None:
    insert(disks=boot(diskType="zones/ch-gva-2/diskTypes/pd-ssd"))
    assert gateway.get("zones/{zone}/disks/web")["type"].endswith("/diskTypes/pd-ssd")


def test_a_disk_type_that_says_nothing_costs_nothing(gateway: Any, insert: Any) -> None:
    insert(disks=boot(diskType="zones/ch-gva-2/diskTypes/pd-standard"))
    assert gateway.get("zones/{zone}/disks/web")["type"].endswith("/diskTypes/pd-standard")
    assert gateway.cloudstack("listTags", resourcetype="Volume") == []


def test_further_disks_are_made_and_attached_in_order(gateway: Any, insert: Any) -> None:
    made = {"initializeParams": {"diskName": "data", "diskSizeGb": "5"}, "autoDelete": True, "deviceName": "d"}
    unnamed = {"initializeParams": {"diskSizeGb": "6"}}
    instance = insert(disks=[*boot(), made, unnamed])
    found = [(disk["source"].rpartition("/")[2], disk["diskSizeGb"]) for disk in instance["disks"]]
    assert found == [("web", "10"), ("data", "5"), ("web-2", "6")]
    assert [(disk["autoDelete"], disk["deviceName"]) for disk in instance["disks"]] == [
        (True, "persistent-disk-0"),
        (True, "d"),
        (False, "persistent-disk-2"),
    ]
    assert gateway.get("zones/{zone}/disks/data")["users"] == [instance["selfLink"]]


def test_an_existing_disk_is_attached_by_its_source(gateway: Any, insert: Any) -> None:
    offering = gateway.cloudstack("listDiskOfferings", name="ssd-10")[0]["id"]
    gateway.cloudstack("createVolume", zoneid=gateway.zone_id, name="mine", diskofferingid=offering)
    instance = insert(disks=[*boot(), {"source": "zones/ch-gva-2/disks/mine"}])
    assert instance["disks"][1]["source"].endswith("/disks/mine")
    assert instance["disks"][1]["autoDelete"] is False


def test_labels_and_network_tags_are_resource_tags(gateway: Any, insert: Any) -> None:
    instance = insert(labels={"env": "test", "empty": ""}, tags={"items": ["web", "db"]})
    assert instance["labels"] == {"env": "test", "empty": ""}
    assert instance["tags"]["items"] == ["db", "web"]
    keys = {tag["key"] for tag in gateway.cloudstack("listTags", resourcetype="UserVm")}
    assert {"env", "gstack-tag:web", "gstack-tag:db"} <= keys


def test_what_cloudstack_cannot_hold_is_read_back_exactly(insert: Any) -> None:
    said = {
        "description": "a machine",
        "hostname": "web.example.com",
        "serviceAccounts": [{"email": "default", "scopes": ["https://www.googleapis.com/auth/compute"]}],
        "metadata": {"items": [{"key": "b", "value": "2"}, {"key": "a", "value": ""}]},
        "scheduling": {"automaticRestart": False, "onHostMaintenance": "TERMINATE"},
    }
    instance = insert(**said)
    for member in ("description", "hostname", "serviceAccounts"):
        assert instance[member] == said[member]
    assert instance["metadata"]["items"] == said["metadata"]["items"]
    assert said["scheduling"].items() <= instance["scheduling"].items()


def test_metadata_reaches_the_guest(gateway: Any, insert: Any) -> None:
    insert(metadata={"items": [{"key": "user-data", "value": "#cloud-config\n{}\n"}]})
    (row,) = gateway.cloudstack("listVirtualMachines")
    read = gateway.cloudstack("getVirtualMachineUserData", virtualmachineid=row["id"])["virtualmachineuserdata"]
    assert base64.b64decode(read["userdata"]) == b"#cloud-config\n{}\n"


def test_no_user_data_stands_in_the_workflow_tables(gateway: Any, insert: Any) -> None:
    insert(metadata={"items": [{"key": "startup-script", "value": "echo hunter2-in-the-clear"}]})
    rows = []
    with gateway.app.app_context():
        connection = db.session.connection()
        for (table,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").all():
            if table != "overlay":
                rows += connection.exec_driver_sql(f'SELECT * FROM "{table}"').all()
    assert rows
    assert "hunter2-in-the-clear" not in str(rows)
    assert base64.b64encode(b"echo hunter2-in-the-clear").decode()[:20] not in str(rows)


def test_an_access_config_shows_the_machines_own_address(insert: Any) -> None:
    configs = [{"type": "ONE_TO_ONE_NAT", "name": "external-nat"}]
    nic = insert(networkInterfaces=[{"accessConfigs": configs}])["networkInterfaces"][0]
    assert nic["accessConfigs"][0]["name"] == "external-nat"
    assert nic["accessConfigs"][0]["natIP"] == nic["networkIP"]
    assert nic["network"].endswith("/global/networks/default")
    assert nic["subnetwork"].endswith("/regions/ch-gva/subnetworks/default")


def test_without_an_access_config_none_is_shown(insert: Any) -> None:
    assert "accessConfigs" not in insert()["networkInterfaces"][0]


@pytest.mark.parametrize(
    "nic",
    [
        {"networkIP": "60.147.40.7"},
        {"accessConfigs": [{"type": "ONE_TO_ONE_NAT", "natIP": "60.147.40.7"}]},
        {"subnetwork": "regions/ch-gva/subnetworks/default", "networkIP": "60.147.40.7"},
    ],
)
def test_a_wanted_address_is_honoured(insert: Any, nic: dict[str, Any]) -> None:
    assert insert(networkInterfaces=[nic])["networkInterfaces"][0]["networkIP"] == "60.147.40.7"


def test_deletion_protection_is_cloudstacks(gateway: Any, insert: Any) -> None:
    assert insert(deletionProtection=True)["deletionProtection"] is True
    assert gateway.cloudstack("listVirtualMachines")[0]["deleteprotection"] is True


def test_an_instance_joins_two_groups_of_gstacks(gateway: Any, insert: Any) -> None:
    insert()
    (row,) = gateway.cloudstack("listVirtualMachines")
    assert [group["name"].split(":")[:2] for group in row["securitygroup"]] == [
        ["gstack", "network"],
        ["gstack", "instance"],
    ]


def test_the_same_request_id_makes_one_instance(gateway: Any) -> None:
    request = "8c7d2f3a-5b1e-4c6d-9f8a-7b6c5d4e3f2a"
    first = gateway.run("POST", INSTANCES, body(), requestId=request)
    assert gateway.run("POST", INSTANCES, body(), requestId=request)["name"] == first["name"]
    assert gateway.names(INSTANCES) == ["web"]


def test_a_name_that_another_tenant_has_is_free_all_the_same(gateway: Any, insert: Any) -> None:
    gateway.as_user("other").deploy("web")
    instance = insert(labels={"a": "b"})
    (row,) = gateway.cloudstack("listVirtualMachines")
    assert row["name"].startswith("web-") and row["displayname"] == "web"
    assert (instance["name"], instance["disks"][0]["source"].rpartition("/")[2]) == ("web", "web")
    assert gateway.names(INSTANCES) == gateway.names("zones/{zone}/disks") == ["web"]


def test_losing_the_database_loses_no_name_label_tag_alias_or_boot_disk_name(gateway: Any, insert: Any) -> None:
    gateway.as_user("other").deploy("web")
    insert(machineType="n1-standard-1", labels={"env": "x"}, tags={"items": ["http"]}, disks=boot(diskName="root"))
    data = {"initializeParams": {"diskName": "data", "diskSizeGb": "3"}, "autoDelete": True}
    insert(name="db", disks=[*boot(), data])
    before = gateway.get(INSTANCES)["items"]
    disks = gateway.get("zones/{zone}/disks")["items"]
    gateway.forget_everything()
    for old, new in zip(before, gateway.get(INSTANCES)["items"], strict=True):
        for member in ("name", "id", "labels", "tags", "machineType", "disks", "status", "selfLink"):
            assert new.get(member) == old.get(member)
    assert gateway.get("zones/{zone}/disks")["items"] == disks


def test_terraforms_body_is_accepted(insert: Any) -> None:
    instance = insert(
        canIpForward=False,
        deletionProtection=False,
        params={},
        scheduling={"automaticRestart": True},
        serviceAccounts=[{"email": "default", "scopes": ["https://www.googleapis.com/auth/cloud-platform"]}],
        guestAccelerators=[],
        resourcePolicies=[],
        shieldedInstanceConfig={"enableSecureBoot": False},
        labels={"goog-terraform-provisioned": "true"},
    )
    assert instance["labels"] == {"goog-terraform-provisioned": "true"}


def test_nodes_empty_maps_and_libclouds_fingerprint_are_accepted(insert: Any) -> None:
    initial = {"diskSizeGb": None, "labels": {}, "resourceManagerTags": {}, "diskName": "web"}
    instance = insert(labels={}, metadata={"fingerprint": "na", "items": []}, disks=boot(**initial))
    assert "labels" not in instance
