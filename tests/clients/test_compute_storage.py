"""google-cloud-compute with disks, snapshots, images and schedules; what it did is looked at in CloudStack.

Apart from test_google_cloud_compute.py, which is about how that client waits and asks. Every verb of the four
collections is used at least once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import compute_v1

from gstack.cloudstack.client import Cloud

pytestmark = pytest.mark.usefixtures("client_environment")
Fresh = Callable[[str], str]
FAMILY = "projects/debian-cloud/global/images/family/debian-12"


class Clients:
    """The clients of the collections, and where everything is."""

    def __init__(self, client: Callable[[str], Any], environment: dict[str, str]) -> None:
        self.disks = client("DisksClient")
        self.snapshots = client("SnapshotsClient")
        self.images = client("ImagesClient")
        self.families = client("ImageFamilyViewsClient")
        self.policies = client("ResourcePoliciesClient")
        self.instances = client("InstancesClient")
        self.at = {"project": environment["GSTACK_PROJECT"], "zone": environment["GSTACK_ZONE"]}
        self.project = {"project": environment["GSTACK_PROJECT"]}
        self.region = {**self.project, "region": "ch-gva"}


@pytest.fixture
def clients(client: Callable[[str], Any], client_environment: dict[str, str]) -> Clients:
    return Clients(client, client_environment)


@pytest.fixture
def web(clients: Clients, fresh: Fresh) -> Iterator[str]:
    """A running instance; its boot disk has its name."""
    name = fresh("web")
    start = compute_v1.AttachedDiskInitializeParams(source_image=FAMILY)
    instance = compute_v1.Instance(
        name=name,
        machine_type=f"zones/{clients.at['zone']}/machineTypes/micro",
        disks=[compute_v1.AttachedDisk(boot=True, auto_delete=True, initialize_params=start)],
        network_interfaces=[compute_v1.NetworkInterface(network="global/networks/default")],
    )
    clients.instances.insert(instance_resource=instance, **clients.at).result()
    yield name
    clients.instances.delete(instance=name, **clients.at).result()


def test_every_verb_of_disks(clients: Clients, cloudstack: Cloud, fresh: Fresh, web: str) -> None:
    disks, at, name = clients.disks, clients.at, fresh("data")
    disks.insert(disk_resource=compute_v1.Disk(name=name, size_gb=10, labels={"a": "b"}), **at).result()
    shown = disks.get(disk=name, **at)
    assert name in [disk.name for disk in disks.list(**at)]
    assert f"zones/{at['zone']}" in dict(disks.aggregated_list(**clients.project))
    disks.resize(disk=name, disks_resize_request_resource={"size_gb": 11}, **at).result()
    larger = compute_v1.Disk(name=name, size_gb=12)
    disks.update(compute_v1.UpdateDiskRequest(disk=name, paths="sizeGb", disk_resource=larger, **at)).result()
    row = cloudstack.first("listVolumes", name=name)
    assert row is not None and row["size"] == 12 * 2**30
    wanted = {"labels": {"a": "c"}, "label_fingerprint": shown.label_fingerprint}
    disks.set_labels(resource=name, zone_set_labels_request_resource=wanted, **at).result()
    again = {"labels": {"a": "d"}, "label_fingerprint": disks.get(disk=name, **at).label_fingerprint}
    bulk = compute_v1.BulkSetLabelsDiskRequest(
        resource=name, bulk_zone_set_labels_request_resource={"requests": [again]}, **at
    )
    disks.bulk_set_labels(bulk).result()
    tags = {tag["key"]: tag["value"] for tag in cloudstack.list("listTags", resourceid=row["id"])}
    assert tags["a"] == "d"
    asked = {"permissions": ["compute.disks.delete", "compute.disks.fly"]}
    held = disks.test_iam_permissions(resource=name, test_permissions_request_resource=asked, **at)
    assert list(held.permissions) == ["compute.disks.delete"]
    assert disks.get_iam_policy(resource=name, **at).version == 1
    copy = compute_v1.Disk(name=f"{name}-copy", source_disk=f"zones/{at['zone']}/disks/{web}")
    disks.insert(disk_resource=copy, **at).result()
    assert cloudstack.first("listVolumes", name=f"{name}-copy") is not None
    for doomed in (name, f"{name}-copy"):
        disks.delete(disk=doomed, **at).result()
        assert cloudstack.first("listVolumes", name=doomed) is None


def test_every_verb_of_snapshots_and_images(clients: Clients, cloudstack: Cloud, fresh: Fresh, web: str) -> None:
    snapshots, images, name, project = clients.snapshots, clients.images, fresh("golden"), clients.project
    snapshot = compute_v1.Snapshot(name=name)
    clients.disks.create_snapshot(disk=web, snapshot_resource=snapshot, **clients.at).result()
    second = compute_v1.Snapshot(name=f"{name}-2", source_disk=f"zones/{clients.at['zone']}/disks/{web}")
    snapshots.insert(snapshot_resource=second, **project).result()
    assert {name, f"{name}-2"} <= {one.name for one in snapshots.list(**project)}
    wanted = {"labels": {"a": "b"}, "label_fingerprint": snapshots.get(snapshot=name, **project).label_fingerprint}
    snapshots.set_labels(resource=name, global_set_labels_request_resource=wanted, **project).result()
    row = cloudstack.first("listSnapshots", name=name)
    assert row is not None and {"a": "b"}.items() <= {tag["key"]: tag["value"] for tag in row["tags"]}.items()
    assert snapshots.get_iam_policy(resource=name, **project).version == 1
    asked = {"permissions": ["compute.snapshots.delete", "compute.snapshots.fly"]}
    held = snapshots.test_iam_permissions(resource=name, test_permissions_request_resource=asked, **project)
    assert list(held.permissions) == ["compute.snapshots.delete"]

    image = compute_v1.Image(name=name, source_snapshot=f"global/snapshots/{name}", family=name)
    images.insert(image_resource=image, **project).result()
    assert images.get_from_family(family=name, **project).name == name
    assert clients.families.get(family=name, **clients.at).image.name == name
    assert name in [one.name for one in images.list(**project)]
    shown = images.get(image=name, **project)
    wanted = {"labels": {"a": "b"}, "label_fingerprint": shown.label_fingerprint}
    images.set_labels(resource=name, global_set_labels_request_resource=wanted, **project).result()
    images.patch(image=name, image_resource=compute_v1.Image(description="of mine"), **project).result()
    template = cloudstack.first("listTemplates", templatefilter="self", name=name)
    assert template is not None and template["displaytext"] == "of mine"
    images.deprecate(image=name, deprecation_status_resource={"state": "DEPRECATED"}, **project).result()
    with pytest.raises(exceptions.NotFound):
        images.get_from_family(family=name, **project)
    asked = {"permissions": ["compute.images.delete"]}
    held = images.test_iam_permissions(resource=name, test_permissions_request_resource=asked, **project)
    assert list(held.permissions) == asked["permissions"]
    assert images.get_iam_policy(resource=name, **project).version == 1
    images.delete(image=name, **project).result()
    for doomed in (name, f"{name}-2"):
        snapshots.delete(snapshot=doomed, **project).result()
    assert cloudstack.first("listSnapshots", name=name) is None
    assert cloudstack.first("listTemplates", templatefilter="self", name=name) is None


def test_every_verb_of_schedules(clients: Clients, cloudstack: Cloud, fresh: Fresh, web: str) -> None:
    policies, name, region = clients.policies, fresh("weekly"), clients.region
    day = compute_v1.ResourcePolicyWeeklyCycleDayOfWeek(day="SUNDAY", start_time="23:00")
    cycle = compute_v1.ResourcePolicyWeeklyCycle(day_of_weeks=[day])
    schedule = compute_v1.ResourcePolicySnapshotSchedulePolicy(
        schedule=compute_v1.ResourcePolicySnapshotSchedulePolicySchedule(weekly_schedule=cycle),
        retention_policy=compute_v1.ResourcePolicySnapshotSchedulePolicyRetentionPolicy(max_retention_days=14),
    )
    policy = compute_v1.ResourcePolicy(name=name, snapshot_schedule_policy=schedule)
    policies.insert(resource_policy_resource=policy, **region).result()
    link = policies.get(resource_policy=name, **region).self_link
    assert name in [one.name for one in policies.list(**region)]
    assert "regions/ch-gva" in dict(policies.aggregated_list(**clients.project))

    copied = compute_v1.Disk(name=name, source_disk=f"zones/{clients.at['zone']}/disks/{web}")
    clients.disks.insert(disk_resource=copied, **clients.at).result()
    body = {"resource_policies": [link]}
    added = compute_v1.AddResourcePoliciesDiskRequest(
        disk=name, disks_add_resource_policies_request_resource=body, **clients.at
    )
    clients.disks.add_resource_policies(added).result()
    row = cloudstack.first("listVolumes", name=name)
    assert row is not None
    assert [(one["schedule"], one["maxsnaps"]) for one in _policies(cloudstack, row)] == [("00:23:1", 2)]
    policy.snapshot_schedule_policy.retention_policy.max_retention_days = 21
    policies.patch(resource_policy=name, resource_policy_resource=policy, **region).result()
    assert [one["maxsnaps"] for one in _policies(cloudstack, row)] == [3]
    removed = compute_v1.RemoveResourcePoliciesDiskRequest(
        disk=name, disks_remove_resource_policies_request_resource=body, **clients.at
    )
    clients.disks.remove_resource_policies(removed).result()
    assert _policies(cloudstack, row) == []
    assert policies.get_iam_policy(resource=name, **region).version == 1
    asked = {"permissions": ["compute.resourcePolicies.delete", "compute.resourcePolicies.fly"]}
    held = policies.test_iam_permissions(resource=name, test_permissions_request_resource=asked, **region)
    assert list(held.permissions) == ["compute.resourcePolicies.delete"]
    clients.disks.delete(disk=name, **clients.at).result()
    policies.delete(resource_policy=name, **region).result()
    with pytest.raises(exceptions.NotFound):
        policies.get(resource_policy=name, **region)


def _policies(cloudstack: Cloud, row: dict[str, Any]) -> list[dict[str, Any]]:
    return cloudstack.list("listSnapshotPolicies", volumeid=row["id"])
