"""google-cloud-compute with nothing but ``api_endpoint`` set: no patched transport, no token, no waiting loop.

Apart from the other Python clients because it signs its own tokens and polls Google for operations, unless they
are done when they are answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import compute_v1

from gstack.cloudstack.client import Cloud

pytestmark = pytest.mark.usefixtures("client_environment")
Fresh = Callable[[str], str]
FAMILY = "projects/debian-cloud/global/images/family/debian-12"


@pytest.fixture
def project(client_environment: dict[str, str]) -> str:
    return client_environment["GSTACK_PROJECT"]


@pytest.fixture
def place(client_environment: dict[str, str]) -> dict[str, str]:
    """What every zonal method takes."""
    return {"project": client_environment["GSTACK_PROJECT"], "zone": client_environment["GSTACK_ZONE"]}


def _instance(name: str, machine_type: str = "micro", zone: str = "ch-gva-2") -> compute_v1.Instance:
    start = compute_v1.AttachedDiskInitializeParams(source_image=FAMILY)
    return compute_v1.Instance(
        name=name,
        machine_type=f"zones/{zone}/machineTypes/{machine_type}",
        disks=[compute_v1.AttachedDisk(boot=True, auto_delete=True, initialize_params=start)],
        network_interfaces=[compute_v1.NetworkInterface(network="global/networks/default")],
    )


def test_zones_and_machine_types_are_listed(client: Callable[[str], Any], project: str, place: dict[str, str]) -> None:
    assert "ch-gva-2" in [zone.name for zone in client("ZonesClient").list(project=project)]
    types = {entry.name: entry for entry in client("MachineTypesClient").list(**place)}
    assert (types["micro"].guest_cpus, types["micro"].memory_mb) == (1, 512)


def test_every_page_of_a_list_is_read(client: Callable[[str], Any], place: dict[str, str]) -> None:
    request = compute_v1.ListMachineTypesRequest(**place, max_results=3)
    paged = [entry.name for entry in client("MachineTypesClient").list(request)]
    assert paged == [entry.name for entry in client("MachineTypesClient").list(**place)]
    assert len(paged) > 3


def test_machine_types_of_all_zones_come_by_scope(client: Callable[[str], Any], project: str) -> None:
    scopes = dict(client("MachineTypesClient").aggregated_list(project=project))
    assert "micro" in [entry.name for entry in scopes["zones/ch-gva-2"].machine_types]


def test_images_are_found_by_project_and_family(client: Callable[[str], Any]) -> None:
    images = client("ImagesClient")
    newest = images.get_from_family(project="debian-cloud", family="debian-12")
    assert newest.name in [image.name for image in images.list(project="debian-cloud")]
    assert newest.disk_size_gb == 10


def test_a_firewall_is_inserted_and_deleted(
    client: Callable[[str], Any], project: str, cloudstack: Cloud, fresh: Fresh
) -> None:
    firewalls, name = client("FirewallsClient"), fresh("web")
    allowed = compute_v1.Allowed(I_p_protocol="tcp", ports=["80", "443"])
    body = compute_v1.Firewall(name=name, allowed=[allowed], source_ranges=["10.0.0.0/8"])
    firewalls.insert(project=project, firewall_resource=body).result(timeout=60)
    assert firewalls.get(project=project, firewall=name).source_ranges == ["10.0.0.0/8"]
    assert cloudstack.first("listSecurityGroups", securitygroupname=name) is not None
    firewalls.delete(project=project, firewall=name).result(timeout=60)
    with pytest.raises(exceptions.NotFound, match=name):
        firewalls.get(project=project, firewall=name)


def test_an_instance_lives_from_insert_to_delete_through_result_alone(
    client: Callable[[str], Any], place: dict[str, str], cloudstack: Cloud, fresh: Fresh
) -> None:
    instances, name = client("InstancesClient"), fresh("life")
    instances.insert(**place, instance_resource=_instance(name)).result(timeout=60)
    made = instances.get(**place, instance=name)
    assert (made.name, made.status) == (name, "RUNNING")
    assert name in [entry.name for entry in instances.list(**place)]
    scopes = dict(instances.aggregated_list(project=place["project"]))
    assert name in [entry.name for entry in scopes[f"zones/{place['zone']}"].instances]

    instances.stop(**place, instance=name).result(timeout=60)
    assert instances.get(**place, instance=name).status == "TERMINATED"
    instances.start(**place, instance=name).result(timeout=60)
    instances.reset(**place, instance=name).result(timeout=60)
    assert instances.get(**place, instance=name).status == "RUNNING"

    instances.delete(**place, instance=name).result(timeout=60)
    with pytest.raises(exceptions.NotFound):
        instances.get(**place, instance=name)
    assert cloudstack.list("listVirtualMachines", name=name) == []


def test_a_machine_and_its_disks_change_through_result_alone(
    client: Callable[[str], Any], place: dict[str, str], cloudstack: Cloud, fresh: Fresh
) -> None:
    instances, disks, snapshots = (client(f"{name}Client") for name in ("Instances", "Disks", "Snapshots"))
    name, data, snap = fresh("day"), fresh("data"), fresh("snap")
    instances.insert(**place, instance_resource=_instance(name)).result(timeout=60)
    made = instances.get(**place, instance=name)
    labels = {"label_fingerprint": made.label_fingerprint, "labels": {"stage": "live"}}
    instances.set_labels(**place, instance=name, instances_set_labels_request_resource=labels).result(timeout=60)
    tags = {"fingerprint": made.tags.fingerprint, "items": ["web"]}
    instances.set_tags(**place, instance=name, tags_resource=tags).result(timeout=60)
    metadata = {"fingerprint": made.metadata.fingerprint, "items": [{"key": "stage", "value": "live"}]}
    instances.set_metadata(**place, instance=name, metadata_resource=metadata).result(timeout=60)
    made = instances.get(**place, instance=name)
    assert (dict(made.labels), list(made.tags.items)) == ({"stage": "live"}, ["web"])
    assert [(item.key, item.value) for item in made.metadata.items] == [("stage", "live")]

    disks.insert(**place, disk_resource={"name": data, "size_gb": 10}).result(timeout=60)
    attached = {"source": f"zones/{place['zone']}/disks/{data}", "device_name": "data"}
    instances.attach_disk(**place, instance=name, attached_disk_resource=attached).result(timeout=60)
    machine = cloudstack.list("listVirtualMachines", name=name)[0]["id"]
    assert data in [row["name"] for row in cloudstack.list("listVolumes", virtualmachineid=machine)]
    disks.create_snapshot(**place, disk=data, snapshot_resource={"name": snap}).result(timeout=60)
    assert [row["state"] for row in cloudstack.list("listSnapshots", name=snap)] == ["BackedUp"]
    instances.detach_disk(**place, instance=name, device_name="data").result(timeout=60)
    assert data not in [row["name"] for row in cloudstack.list("listVolumes", virtualmachineid=machine)]

    instances.delete(**place, instance=name).result(timeout=60)
    disks.delete(**place, disk=data).result(timeout=60)
    snapshots.delete(project=place["project"], snapshot=snap).result(timeout=60)
    assert cloudstack.list("listSnapshots", name=snap) == []


def test_a_taken_name_is_a_conflict(client: Callable[[str], Any], place: dict[str, str], fresh: Fresh) -> None:
    instances, name = client("InstancesClient"), fresh("twice")
    instances.insert(**place, instance_resource=_instance(name)).result(timeout=60)
    with pytest.raises(exceptions.Conflict, match="already exists"):
        instances.insert(**place, instance_resource=_instance(name))
    instances.delete(**place, instance=name).result(timeout=60)


def test_a_repeated_request_id_gives_the_same_operation(
    client: Callable[[str], Any], place: dict[str, str], fresh: Fresh, cloudstack: Cloud
) -> None:
    instances, name = client("InstancesClient"), fresh("once")
    request = compute_v1.InsertInstanceRequest(**place, instance_resource=_instance(name), request_id=str(uuid.uuid4()))
    first, second = instances.insert_unary(request), instances.insert_unary(request)
    assert first.name == second.name
    assert len(cloudstack.list("listVirtualMachines", name=name)) == 1
    instances.delete(**place, instance=name).result(timeout=60)


def test_a_long_operation_is_waited_for_through_a_client_of_its_own(
    client: Callable[[str], Any], place: dict[str, str], fresh: Fresh
) -> None:
    instances, name = client("InstancesClient"), fresh("waited")
    operation = instances.insert_unary(**place, instance_resource=_instance(name))
    done = client("ZoneOperationsClient").wait(**place, operation=operation.name)
    assert done.status == compute_v1.Operation.Status.DONE
    assert not done.error.errors
    instances.delete(**place, instance=name).result(timeout=60)


def test_an_operation_that_fails_raises(client: Callable[[str], Any], place: dict[str, str], fresh: Fresh) -> None:
    instances, name = client("InstancesClient"), fresh("giant")
    with pytest.raises(exceptions.GoogleAPICallError) as caught:
        instances.insert(**place, instance_resource=_instance(name, "titan-does-not-fit")).result(timeout=60)
    assert not isinstance(caught.value, exceptions.NotFound)
    with pytest.raises(exceptions.NotFound):
        instances.get(**place, instance=name)


def test_what_does_not_exist_is_not_found(client: Callable[[str], Any], project: str) -> None:
    with pytest.raises(exceptions.NotFound, match=f"'projects/{project}/zones/mars-a' was not found"):
        client("ZonesClient").get(project=project, zone="mars-a")


def test_a_bad_field_is_a_bad_request_that_names_it(client: Callable[[str], Any], place: dict[str, str]) -> None:
    with pytest.raises(exceptions.BadRequest, match="name"):
        client("InstancesClient").insert(**place, instance_resource=_instance("Not A Name"))


def test_instances_of_a_template_many_at_once_and_updated(
    client: Callable[[str], Any], place: dict[str, str], project: str, cloudstack: Cloud, fresh: Fresh
) -> None:
    templates, instances, name = client("InstanceTemplatesClient"), client("InstancesClient"), fresh("tpl")
    said = _instance("unused")
    properties = compute_v1.InstanceProperties(
        machine_type="micro", disks=said.disks, network_interfaces=said.network_interfaces, labels={"a": "b"}
    )
    resource = compute_v1.InstanceTemplate(name=name, properties=properties)
    templates.insert(project=project, instance_template_resource=resource).result(timeout=60)
    template = templates.get(project=project, instance_template=name)
    assert (template.properties.machine_type, template.properties.labels) == ("micro", {"a": "b"})

    request = compute_v1.InsertInstanceRequest(
        **place, instance_resource=compute_v1.Instance(name=name), source_instance_template=template.self_link
    )
    instances.insert(request).result(timeout=60)
    many = compute_v1.BulkInsertInstanceResource(
        count=2, name_pattern=f"{name}-#", source_instance_template=template.self_link
    )
    instances.bulk_insert(**place, bulk_insert_instance_resource_resource=many).result(timeout=60)
    names = [name, f"{name}-1", f"{name}-2"]
    states = [row["state"] for one in names for row in cloudstack.list("listVirtualMachines", name=one)]
    assert states == ["Running"] * 3

    whole = instances.get(**place, instance=name)
    whole.labels = {"c": "d"}
    instances.update(**place, instance=name, instance_resource=whole).result(timeout=60)
    (row,) = cloudstack.list("listVirtualMachines", name=name)
    assert {tag["key"] for tag in row["tags"]} == {"c"}
    for one in names:
        instances.delete(**place, instance=one).result(timeout=60)
    templates.delete(project=project, instance_template=name).result(timeout=60)


def test_an_instance_boots_from_a_disk_that_is_there(
    client: Callable[[str], Any], place: dict[str, str], cloudstack: Cloud, fresh: Fresh
) -> None:
    instances, old, name = client("InstancesClient"), fresh("old"), fresh("boots")
    first = _instance(old)
    first.disks[0].auto_delete = False
    instances.insert(**place, instance_resource=first).result(timeout=60)
    instances.delete(**place, instance=old).result(timeout=60)
    second = _instance(name)
    second.disks = [compute_v1.AttachedDisk(boot=True, auto_delete=True, source=f"zones/{place['zone']}/disks/{old}")]
    instances.insert(**place, instance_resource=second).result(timeout=60)
    (row,) = cloudstack.list("listVirtualMachines", name=name)
    (root,) = cloudstack.list("listVolumes", virtualmachineid=row["id"])
    assert (row["state"], root["type"]) == ("Running", "ROOT")
    assert instances.get(**place, instance=name).disks[0].source.endswith(f"/disks/{old}")
    instances.delete(**place, instance=name).result(timeout=60)
    with pytest.raises(exceptions.NotFound):
        client("DisksClient").get(**place, disk=old)
