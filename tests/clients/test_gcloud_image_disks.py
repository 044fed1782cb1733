"""The installed gcloud makes a disk of an image and boots a machine from it; what it did is looked at in CloudStack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
IMAGE = ("--image-family=debian-12", "--image-project=debian-cloud")


def test_a_machine_boots_from_a_disk_that_was_made_of_an_image(gcloud: Gcloud, cloudstack: Cloud, fresh: Fresh) -> None:
    name = fresh("imaged")
    made = gcloud("compute", "disks", "create", name, *IMAGE, "--size=25GB", "--labels=tier=gold")
    assert made.status == 0, made.err
    marked = [{"key": "gstack:name", "value": name}]
    row = cloudstack.first("listVolumes", tags=marked)
    assert row is not None and (row["size"], row["state"], row["type"]) == (25 * 2**30, "Allocated", "DATADISK")
    listed = gcloud("compute", "instances", "list", as_json=True).json
    assert not [one["name"] for one in listed if "gstack-disk" in one["name"]]

    booted = gcloud(
        "compute", "instances", "create", name, "--machine-type=micro", f"--disk=name={name},boot=yes,auto-delete=yes"
    )
    assert booted.status == 0, booted.err
    used = cloudstack.first("listVolumes", id=row["id"])
    assert used is not None and (used["state"], used["type"], used["vmname"]) == ("Ready", "ROOT", name)
    described = gcloud("compute", "disks", "describe", name, as_json=True).json
    assert "/projects/debian-cloud/global/images/" in described["sourceImage"]
    assert (described["sizeGb"], described["labels"]) == ("25", {"tier": "gold"})


def test_a_machine_has_a_further_disk_of_another_image(gcloud: Gcloud, cloudstack: Cloud, fresh: Fresh) -> None:
    name, data = fresh("vm"), fresh("data")
    more = (
        f"--create-disk=name={data},image-family=ubuntu-2404-lts,image-project=ubuntu-os-cloud,size=25,auto-delete=yes"
    )
    made = gcloud("compute", "instances", "create", name, "--machine-type=micro", *IMAGE, more)
    assert made.status == 0, made.err
    (machine,) = cloudstack.list("listVirtualMachines", name=name)
    rows = sorted(cloudstack.list("listVolumes", virtualmachineid=machine["id"]), key=lambda row: row["deviceid"])
    assert [(row["type"], row["state"]) for row in rows] == [("ROOT", "Ready"), ("DATADISK", "Ready")]
    assert [row["templatename"].split()[1] for row in rows] == ["Debian", "Ubuntu"]
    assert (rows[1]["size"], machine["state"]) == (25 * 2**30, "Running")
    assert gcloud("compute", "instances", "delete", name).status == 0
    assert cloudstack.list("listVolumes", tags=[{"key": "gstack:name", "value": data}]) == []
