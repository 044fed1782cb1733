"""projects, zones, regions, machine types, disk types, images: what the cloud offers."""

from __future__ import annotations

from dataclasses import replace

import pytest


@pytest.mark.parametrize(
    "path",
    [
        "zones",
        "zones/{zone}",
        "zones/{zone}/machineTypes",
        "zones/{zone}/machineTypes/micro",
        "aggregated/machineTypes",
        "zones/{zone}/diskTypes",
        "zones/{zone}/diskTypes/pd-standard",
        "aggregated/diskTypes",
        "/compute/v1/projects/debian-cloud/global/images",
        "/compute/v1/projects/debian-cloud/global/images/family/debian-12",
    ],
)
def test_a_catalogue_is_read_from_cloudstack_once(gateway, path) -> None:
    gateway.get(path)
    gateway.get(path)
    assert gateway.upstream == []


@pytest.mark.parametrize("path", ["", "regions", "regions/ch-gva"])
def test_what_shows_quotas_asks_cloudstack_once(gateway, path) -> None:
    gateway.get("zones")
    gateway.get(path)
    gateway.get(path)
    assert gateway.upstream == ["listAccounts"]


def test_a_zone_belongs_to_the_region_that_clients_cut_out_of_its_name(gateway) -> None:
    zone = gateway.get("zones/{zone}")
    assert (zone["name"], zone["status"]) == ("ch-gva-2", "UP")
    assert zone["region"] == f"https://{gateway.host}/compute/v1/projects/tenant/regions/ch-gva"
    assert zone["selfLink"] in gateway.get("regions/ch-gva")["zones"]


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("zones/nowhere-1", "zones/nowhere-1"),
        ("regions/nowhere", "regions/nowhere"),
        ("zones/nowhere-1/machineTypes", "zones/nowhere-1"),
        ("zones/{zone}/machineTypes/none", "zones/ch-gva-2/machineTypes/none"),
        ("zones/nowhere-1/diskTypes/pd-ssd", "zones/nowhere-1"),
        ("zones/{zone}/diskTypes/none", "zones/ch-gva-2/diskTypes/none"),
        ("global/images/none", "global/images/none"),
        ("global/images/family/none", "global/images/family/none"),
    ],
)
def test_what_does_not_exist_is_a_404_in_gces_words(gateway, path, what) -> None:
    assert gateway.refuse("GET", path, status=404) == f"The resource 'projects/tenant/{what}' was not found"


def test_machine_types_are_the_fixed_offerings(gateway) -> None:
    names = gateway.names("zones/{zone}/machineTypes")
    assert {"micro", "tiny", "small", "medium", "large", "extra-large", "huge"} <= set(names)
    assert not {"custom-unconstrained", "custom-constrained"} & set(names)
    micro = gateway.get("zones/{zone}/machineTypes/micro")
    assert (micro["guestCpus"], micro["memoryMb"], micro["zone"]) == (1, 512, "ch-gva-2")


@pytest.mark.parametrize(
    ("name", "cpus", "memory"), [("n1-standard-1", 2, 4096), ("custom-2-3072", 2, 3072), ("e2-custom-4-8192", 4, 8192)]
)
def test_googles_names_and_custom_sizes_are_answered_under_the_name_asked_for(gateway, name, cpus, memory) -> None:
    found = gateway.get(f"zones/{{zone}}/machineTypes/{name}")
    assert (found["name"], found["guestCpus"], found["memoryMb"]) == (name, cpus, memory)


def test_aggregated_machine_types_are_those_of_every_zone(gateway) -> None:
    items = gateway.get("aggregated/machineTypes")["items"]
    zones = {f"zones/{name}" for name in gateway.names("zones")}
    assert set(items) == zones
    listed = [row["name"] for row in items["zones/ch-gva-2"]["machineTypes"]]
    assert listed == gateway.names("zones/{zone}/machineTypes")


def test_a_disk_type_of_fixed_size_says_so(gateway) -> None:
    fixed, free = (gateway.get(f"zones/{{zone}}/diskTypes/{name}") for name in ("small", "pd-ssd"))
    assert (fixed["validDiskSize"], fixed["defaultDiskSizeGb"]) == ("5GB-5GB", "5")
    assert free["validDiskSize"] == "1GB-1024GB"


@pytest.mark.parametrize("project", ["debian-cloud", "windows-cloud", "cos-cloud", "rhel-sap-cloud"])
def test_every_public_image_project_answers_possibly_with_nothing(gateway, project) -> None:
    names = gateway.names(f"/compute/v1/projects/{project}/global/images")
    assert names == (["linux-debian-12-64-bit"] if project == "debian-cloud" else [])


def test_a_public_image_project_offers_nothing_but_images(gateway) -> None:
    message = gateway.refuse("GET", "/compute/v1/projects/debian-cloud/zones", status=404)
    assert message == gateway.refuse("GET", "/compute/v1/projects/no-such-project/zones", status=404).replace(
        "no-such-project", "debian-cloud"
    )


def test_an_image_is_found_by_name_number_and_family(gateway) -> None:
    base = "/compute/v1/projects/debian-cloud/global/images"
    image = gateway.get(f"{base}/family/debian-12")
    assert (image["family"], image["status"], image["diskSizeGb"]) == ("debian-12", "READY", "10")
    assert gateway.get(f"{base}/{image['name']}") == gateway.get(f"{base}/{image['id']}") == image


def test_two_templates_of_one_name_are_two_images(gateway) -> None:
    names = gateway.names("/compute/v1/projects/almalinux-cloud/global/images")
    assert len(names) == len(set(names)) == 2


def test_a_private_template_is_seen_by_its_owner_alone(gateway) -> None:
    snapshot_source = gateway.deploy("source")
    gateway.cloudstack("stopVirtualMachine", id=snapshot_source["id"])
    gateway.simulator.settle()
    root = gateway.cloudstack("listVolumes", virtualmachineid=snapshot_source["id"])[0]
    ostype = gateway.cloudstack("listOsTypes")[0]["id"]
    gateway.cloudstack("createTemplate", name="mine", displaytext="mine", ostypeid=ostype, volumeid=root["id"])
    gateway.simulator.settle()
    assert "mine" in gateway.names("global/images")
    other = gateway.as_user("other")
    assert "mine" not in other.names("global/images")
    assert other.refuse("GET", "global/images/mine", status=404)


def test_a_project_shows_its_quotas_and_empty_metadata(gateway) -> None:
    project = gateway.get("")
    assert project["name"] == "tenant"
    assert project["commonInstanceMetadata"]["kind"] == "compute#metadata"
    assert {quota["metric"] for quota in project["quotas"]} >= {"SNAPSHOTS", "NETWORKS"}


@pytest.mark.parametrize("alias", ["tenant", "tenant%40example.invalid"])
def test_a_project_may_be_called_by_its_aliases_but_links_carry_its_id(gateway, alias) -> None:
    answer = gateway.call("GET", f"/compute/v1/projects/{alias}/zones", status=None)
    if gateway.status == 200:
        assert answer["selfLink"].endswith("/projects/tenant/zones")
    else:  # GCE's own pattern of a project id refuses an address in the path
        assert gateway.status in (400, 404)


def test_a_cloudstack_project_is_a_gce_project(gateway) -> None:
    assert gateway.get("/compute/v1/projects/web-shop")["name"] == "web-shop"


def test_a_project_out_of_reach_looks_like_one_that_does_not_exist(gateway) -> None:
    theirs = gateway.refuse("GET", "/compute/v1/projects/other", status=404)
    nobodys = gateway.refuse("GET", "/compute/v1/projects/nobodys", status=404)
    assert theirs.replace("other", "nobodys") == nobodys


def test_a_family_is_shown_as_it_is_in_one_zone(gateway) -> None:
    public = "/compute/v1/projects/debian-cloud"
    view = gateway.get(f"{public}/zones/{gateway.zone}/imageFamilyViews/debian-12")
    assert view["image"] == gateway.get(f"{public}/global/images/family/debian-12")
    message = gateway.refuse("GET", "zones/{zone}/imageFamilyViews/none", status=404)
    assert message == "The resource 'projects/tenant/zones/ch-gva-2/imageFamilyViews/none' was not found"


def test_there_are_no_licences_anywhere(gateway) -> None:
    for project in ("tenant", "debian-cloud"):
        assert "items" not in gateway.get(f"/compute/v1/projects/{project}/global/licenses")
        gateway.refuse("GET", f"/compute/v1/projects/{project}/global/licenses/any", status=404)


def test_there_are_no_machine_images_and_making_one_says_why(gateway) -> None:
    assert "items" not in gateway.get("global/machineImages")
    gateway.refuse("GET", "global/machineImages/any", status=404)
    assert "make images or snapshots" in gateway.refuse("POST", "global/machineImages", {"name": "any"}, status=501)


def test_there_are_no_hosts_of_shared_networks(gateway) -> None:
    answer = gateway.call("POST", "listXpnHosts", {"organization": "1"})
    assert answer["kind"] == "compute#xpnHostList" and "items" not in answer


@pytest.mark.parametrize("path", ["regions/ch-gva/disks", "regions/ch-gva/diskTypes"])
def test_disks_of_regions_are_refused_by_design(gateway, path) -> None:
    assert "CloudStack keeps a volume in one zone" in gateway.refuse("GET", path, status=501)


def gpu_offering(gateway, name: str, count: int, **more: str) -> None:
    """An offering with GPUs, as CloudStack 4.22 shows one."""
    world = gateway.simulator.world
    like = next(record for record in world.service_offering if record.name == "Tiny")
    gpu = {"gpucardid": "c1", "gpucardname": "Tesla T4", "vgpuprofileid": "p1", "vgpuprofilename": "passthrough"}
    row = {**like.row, "id": world.uuid(), "name": name, "gpucount": count, **gpu, **more}
    world.service_offering.add(
        replace(like, id=row["id"], number=world.service_offering.take_number(), name=name, row=row)
    )


def test_without_gpus_there_are_no_accelerator_types(gateway) -> None:
    assert gateway.names("zones/{zone}/acceleratorTypes") == []
    gateway.refuse("GET", "zones/{zone}/acceleratorTypes/tesla-t4", status=404)


def test_gpus_of_offerings_are_accelerator_types_and_parts_of_machine_types(gateway) -> None:
    gpu_offering(gateway, "one-gpu", 1)
    gpu_offering(gateway, "four-gpus", 4)
    gpu_offering(gateway, "a-piece", 1, vgpuprofileid="p2", vgpuprofilename="T4-4Q")
    found = gateway.get("zones/{zone}/acceleratorTypes")["items"]
    assert [(one["name"], one["maximumCardsPerInstance"]) for one in found] == [("tesla-t4", 4), ("tesla-t4-t4-4q", 1)]
    assert gateway.get("zones/{zone}/acceleratorTypes/tesla-t4") == found[0]
    everywhere = gateway.get("aggregated/acceleratorTypes")["items"]
    assert found[0] in everywhere["zones/ch-gva-2"]["acceleratorTypes"]
    shown = gateway.get("zones/{zone}/machineTypes/four-gpus")["accelerators"]
    assert shown == [{"guestAcceleratorType": "tesla-t4", "guestAcceleratorCount": 4}]
    assert "accelerators" not in gateway.get("zones/{zone}/machineTypes/tiny")
