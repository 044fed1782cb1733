"""Templates registered by URL, fetched, and snapshots in several zones."""

from __future__ import annotations

import pytest
from sim_cloud import MICRO, ZONE, Cloud

FRANKFURT = "90e2e73b-dc68-48f9-a796-9ec7bcdfec92"
LINUX = "47135478-e584-11f1-ba46-02fc00000001"
SSD_10 = "a9c4edda-f663-44c1-941f-f8bb76f27c59"
ASKED = {
    "name": "tpl",
    "url": "http://images.example/disk.vhd.bz2",
    "format": "VHD",
    "hypervisor": "Simulator",
    "ostypeid": LINUX,
    "zoneid": ZONE,
}


def register(cloud: Cloud, **more: object) -> dict:
    wanted = {key: value for key, value in {**ASKED, **more}.items() if value is not None}
    return cloud.do("registerTemplate", **wanted)


def listed(cloud: Cloud, who: str = "tenant", templatefilter: str = "self") -> list[dict]:
    return list(cloud.do("listTemplates", who, templatefilter=templatefilter, name="tpl").get("template", []))


def test_a_registered_template_is_there_at_once_and_ready_after_its_download(cloud: Cloud) -> None:
    made = register(cloud)
    assert (made["count"], made["template"][0]["isready"]) == (1, False)
    [row] = listed(cloud)
    assert (row["id"], row["isready"], "size" in row) == (made["template"][0]["id"], False, False)
    assert listed(cloud, templatefilter="executable") == []
    cloud.clock.now += 1
    [row] = listed(cloud, templatefilter="executable")
    assert (row["isready"], row["status"], row["size"] > 0) == (True, "Download Complete", True)
    assert row["downloaddetails"][0]["downloadState"] == "DOWNLOADED"
    assert listed(cloud, "other", "executable") == []


def test_a_download_that_fails_leaves_a_template_that_no_machine_boots_from(cloud: Cloud) -> None:
    cloud.simulator.faults.add("no-download", code=403)
    key = register(cloud)["template"][0]["id"]
    cloud.clock.now += 60
    [row] = listed(cloud)
    assert (row["isready"], row["status"]) == (False, "HTTP Server returned 403 (expected 200 OK) ")
    answer = cloud.do("deployVirtualMachine", zoneid=ZONE, templateid=key, serviceofferingid=MICRO, name="vm")
    job = cloud.wait(answer)
    assert (job["jobresultcode"], "not been completely downloaded" in job["jobresult"]["errortext"]) == (530, True)


def test_a_template_of_two_zones_has_two_rows(cloud: Cloud) -> None:
    made = register(cloud, zoneid=None, zoneids=f"{ZONE},{FRANKFURT}")
    assert [row["zoneid"] for row in made["template"]] == [ZONE, FRANKFURT]
    assert len({row["id"] for row in listed(cloud)}) == 1


@pytest.mark.parametrize(
    ("wrong", "code", "words"),
    [
        ({"zoneid": None}, 431, "Either zoneid or zoneids is required. Both cannot be null."),
        ({"zoneids": f"{FRANKFURT},-1", "zoneid": None}, 431, "cannot combine all zones"),
        ({"zoneids": FRANKFURT}, 431, "Both zoneid and zoneids cannot be specified at the same time"),
        ({"zoneid": None, "zoneids": "-1"}, 431, "Please select specific zone(s)."),
        ({"ostypeid": None}, 431, "Please provide a guest OS type"),
        ({"url": "file:///disk.vhd"}, 431, "File:// type urls are currently unsupported"),
        ({"url": "ftp://images.example/disk.vhd"}, 431, "Unsupported scheme for url: ftp://images.example/disk.vhd"),
        ({"url": "http://images.example/disk 1.vhd"}, 431, "Invalid URL: http://images.example/disk 1.vhd"),
        ({"url": "http://images.invalid/disk.vhd"}, 431, "Unable to resolve images.invalid."),
        ({"url": "http://localhost/disk.vhd"}, 431, "Illegal host specified in URL."),
        ({"url": "http://169.254.169.254/disk.vhd"}, 431, "Illegal host specified in URL."),
        ({"url": "http://[2001:db8::1]/disk.vhd"}, 431, "IPv6 addresses are not supported (2001:0db8:"),
        ({"url": "http://[2001:db8::1/disk.vhd"}, 431, "Invalid URL: "),
        ({"url": "http://images.example/disk.txt"}, 431, "Please specify a valid vhd"),
        (
            {"url": "http://images.example/disk.qcow2"},
            431,
            "Please specify a valid URL. URL:/disk.qcow2 is an invalid for the format vhd",
        ),
        ({"format": "FLOPPY"}, 431, "Image format: FLOPPY is incorrect. Supported formats are [QCOW2, RAW, VHD, ISO,"),
        ({"format": "VDI"}, 530, "Internal error"),
        ({"hypervisor": "Nope"}, 431, "Hypervisor Type: Nope is invalid. Supported Hypervisor types are: XenServer,"),
        ({"templatetag": "fast"}, 531, "Root Admin"),
    ],
)
def test_a_template_that_cannot_be_had_is_refused(cloud: Cloud, wrong: dict, code: int, words: str) -> None:
    answer = register(cloud, **wrong)
    assert (answer["errorcode"], words in answer["errortext"]) == (code, True)
    assert listed(cloud) == []


def test_a_template_for_other_hosts_is_registered_and_runs_nowhere(cloud: Cloud) -> None:
    [row] = register(cloud, hypervisor="kvm", checksum="{MD5}d41d8cd98f00b204e9800998ecf8427e")["template"]
    assert (row["hypervisor"], row["checksum"]) == ("KVM", "d41d8cd98f00b204e9800998ecf8427e")
    cloud.clock.now += 60
    answer = cloud.do("deployVirtualMachine", zoneid=ZONE, templateid=row["id"], serviceofferingid=MICRO, name="vm")
    assert cloud.wait(answer)["jobresultcode"] == 533


def test_a_template_is_given_out_if_it_was_registered_so_and_is_there(cloud: Cloud) -> None:
    key = register(cloud, isextractable="true")["template"][0]["id"]
    answer = cloud.do("extractTemplate", id=key, mode="HTTP_DOWNLOAD", zoneid=ZONE)
    cloud.clock.now += 0.5
    job = cloud.do("queryAsyncJobResult", jobid=answer["jobid"])
    assert (job["jobresultcode"], job["jobresult"]["errortext"]) == (431, "The TEMPLATE has not been downloaded ")
    cloud.clock.now += 1
    row = cloud.run("extractTemplate", id=key, mode="HTTP_DOWNLOAD", zoneid=ZONE)["jobresult"]["template"]
    assert (row["id"], row["state"], row["url"][:7]) == (key, "DOWNLOAD_URL_CREATED", "http://")
    kept = register(cloud, name="kept")["template"][0]["id"]
    cloud.clock.now += 1
    assert "not extractable" in cloud.run("extractTemplate", id=kept, mode="x")["jobresult"]["errortext"]


def snapshot(cloud: Cloud) -> tuple[str, str]:
    machine = cloud.deploy("vm")
    [root] = cloud.do("listVolumes", virtualmachineid=machine)["volume"]
    made = cloud.do("createSnapshot", volumeid=root["id"], name="snap")
    cloud.wait(made)
    return str(made["id"]), str(root["id"])


def test_a_copied_snapshot_is_listed_in_each_zone_and_seeds_disks_there(cloud: Cloud) -> None:
    key, _ = snapshot(cloud)
    assert cloud.run("copySnapshot", id=key, destzoneid=FRANKFURT)["jobresult"]["snapshot"]["id"] == key
    rows = cloud.do("listSnapshots", id=key)["snapshot"]
    assert [(row["id"], row["zoneid"]) for row in rows] == [(key, ZONE), (key, FRANKFURT)]
    assert cloud.do("listSnapshots", zoneid=FRANKFURT)["count"] == 1
    job = cloud.run("createVolume", name="far", snapshotid=key, zoneid=FRANKFURT)
    assert job["jobresult"]["volume"]["zoneid"] == FRANKFURT
    cloud.run("deleteSnapshot", id=key, zoneid=ZONE)
    assert [row["zoneid"] for row in cloud.do("listSnapshots")["snapshot"]] == [FRANKFURT]
    cloud.run("deleteSnapshot", id=key)
    assert cloud.do("listSnapshots") == {}


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({}, "Please specify valid destination zone(s)."),
        ({"destzoneid": ZONE}, "Please specify different source and destination zones."),
    ],
)
def test_a_copy_to_nowhere_fails(cloud: Cloud, params: dict, text: str) -> None:
    key, _ = snapshot(cloud)
    assert cloud.run("copySnapshot", id=key, **params)["jobresult"]["errortext"] == text
    assert cloud.do("listSnapshots")["count"] == 1


def test_another_account_copies_no_snapshot(cloud: Cloud) -> None:
    key, _ = snapshot(cloud)
    assert cloud.run("copySnapshot", "other", id=key, destzoneid=FRANKFURT)["jobstatus"] == 2


def test_a_machines_snapshot_gives_none_of_a_volume_away_here(cloud: Cloud) -> None:
    _, root = snapshot(cloud)
    machine = cloud.do("listVirtualMachines")["virtualmachine"][0]["id"]
    whole = cloud.do("createVMSnapshot", virtualmachineid=machine)
    cloud.wait(whole)
    job = cloud.run("createSnapshotFromVMSnapshot", vmsnapshotid=whole["id"], volumeid=root)
    assert job["jobresult"]["errortext"] == "Unsupported hypervisor type Simulator. This supports KVM only"
    assert cloud.do("listSnapshots")["count"] == 1
    loose = cloud.run("createVolume", zoneid=ZONE, name="d", diskofferingid=SSD_10)["jobresult"]["volume"]["id"]
    assert cloud.do("createSnapshotFromVMSnapshot", vmsnapshotid=whole["id"], volumeid=loose)["errorcode"] == 431
