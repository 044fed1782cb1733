"""google-cloud-compute with the verbs of instances and of their templates that no other test of it tells of; what they
did is looked at in CloudStack.

Apart from test_google_cloud_compute.py, which is about how that client waits and asks.
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
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
UBUNTU = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts"
ACCOUNT = "robot@example.iam.gserviceaccount.com"


class Clients:
    """The clients of the collections, and where everything is."""

    def __init__(self, client: Callable[[str], Any], environment: dict[str, str]) -> None:
        self.instances = client("InstancesClient")
        self.of_regions = client("RegionInstancesClient")
        self.templates = client("InstanceTemplatesClient")
        self.region_templates = client("RegionInstanceTemplatesClient")
        self.disks = client("DisksClient")
        self.projects = client("ProjectsClient")
        self.project = {"project": environment["GSTACK_PROJECT"]}
        self.at = {**self.project, "zone": environment["GSTACK_ZONE"]}
        self.region = {**self.project, "region": "ch-gva"}


@pytest.fixture
def clients(client: Callable[[str], Any], client_environment: dict[str, str]) -> Clients:
    return Clients(client, client_environment)


def _of(image: str, **more: Any) -> compute_v1.AttachedDisk:
    start = compute_v1.AttachedDiskInitializeParams(source_image=image, **more)
    return compute_v1.AttachedDisk(auto_delete=True, initialize_params=start)


def _instance(name: str, *more: compute_v1.AttachedDisk) -> compute_v1.Instance:
    boot = _of(DEBIAN)
    boot.boot = True
    nic = compute_v1.NetworkInterface(network="global/networks/default")
    machine_type = "zones/ch-gva-2/machineTypes/micro"
    return compute_v1.Instance(
        name=name, machine_type=machine_type, disks=[boot, *more], network_interfaces=[nic], labels={"env": "x"}
    )


@pytest.fixture
def web(clients: Clients, fresh: Fresh) -> Iterator[str]:
    """A running instance with a data disk of another image, which is its name and ``-data``."""
    name = fresh("web")
    instance = _instance(name, _of(UBUNTU, disk_name=f"{name}-data"))
    clients.instances.insert(instance_resource=instance, **clients.at).result()
    yield name
    clients.instances.delete(instance=name, **clients.at).result()


def _row(cloudstack: Cloud, name: str) -> dict[str, Any]:
    return next(dict(row) for row in cloudstack.list("listVirtualMachines", name=name) if row["name"] == name)


def test_every_verb_that_changes_a_running_instance(clients: Clients, cloudstack: Cloud, web: str) -> None:
    instances, at = clients.instances, {**clients.at, "instance": web}
    machine = _row(cloudstack, web)["id"]
    rows = {row["type"]: row for row in cloudstack.list("listVolumes", virtualmachineid=machine)}
    assert [rows[kind]["templatename"].split()[1] for kind in ("ROOT", "DATADISK")] == ["Debian", "Ubuntu"]
    protected = compute_v1.SetDeletionProtectionInstanceRequest(**clients.at, resource=web, deletion_protection=True)
    instances.set_deletion_protection(protected).result()
    assert _row(cloudstack, web)["deleteprotection"] is True
    with pytest.raises(exceptions.BadRequest, match="protected"):
        instances.delete(**at)
    protected.deletion_protection = False
    instances.set_deletion_protection(protected).result()
    instances.set_disk_auto_delete(**at, auto_delete=False, device_name="persistent-disk-1").result()
    (volume,) = cloudstack.list("listVolumes", id=rows["DATADISK"]["id"])
    assert [disk.auto_delete for disk in instances.get(**at).disks] == [True, False]
    assert not [tag for tag in volume["tags"] if tag["key"] == "gstack:auto-delete"]
    scheduling = compute_v1.Scheduling(automatic_restart=False)
    instances.set_scheduling(**at, scheduling_resource=scheduling).result()
    assert instances.get(**at).scheduling.automatic_restart is False
    output = instances.get_serial_port_output(**at)
    assert (output.contents, output.next_) == ("", 0)
    with pytest.raises(exceptions.NotFound, match="Guest Attribute"):
        instances.get_guest_attributes(compute_v1.GetGuestAttributesInstanceRequest(**at))
    assert list(instances.list_referrers(**at)) == []
    assert instances.get_iam_policy(**clients.at, resource=web).version == 1
    asked = {"permissions": ["compute.instances.stop", "compute.instances.fly"]}
    held = instances.test_iam_permissions(**clients.at, resource=web, test_permissions_request_resource=asked)
    assert list(held.permissions) == ["compute.instances.stop"]
    firewalls = instances.get_effective_firewalls(**at, network_interface="nic0")
    assert firewalls.firewalls is not None
    instances.set_disk_auto_delete(**at, auto_delete=True, device_name="persistent-disk-1").result()


def test_every_verb_that_changes_a_stopped_instance(
    clients: Clients, cloudstack: Cloud, fresh: Fresh, web: str
) -> None:
    instances, at, new = clients.instances, {**clients.at, "instance": web}, fresh("new")
    running = compute_v1.InstancesSetMachineTypeRequest(machine_type="zones/ch-gva-2/machineTypes/small")
    with pytest.raises(exceptions.GoogleAPICallError):
        instances.set_machine_type(**at, instances_set_machine_type_request_resource=running).result()
    instances.stop(**at).result()
    for name in ("small", "e2-small", "custom-2-1024"):
        asked = compute_v1.InstancesSetMachineTypeRequest(machine_type=f"zones/ch-gva-2/machineTypes/{name}")
        instances.set_machine_type(**at, instances_set_machine_type_request_resource=asked).result()
        assert instances.get(**at).machine_type.endswith(f"/{name}")
    row = _row(cloudstack, web)
    assert (row["cpunumber"], row["memory"]) == (2, 1024)
    account = compute_v1.InstancesSetServiceAccountRequest(email=ACCOUNT, scopes=["compute-rw"])
    instances.set_service_account(**at, instances_set_service_account_request_resource=account).result()
    assert instances.get(**at).service_accounts[0].email == ACCOUNT
    for before, after in ((web, new), (new, web)):
        named = compute_v1.InstancesSetNameRequest(current_name=before, name=after)
        where = {**clients.at, "instance": before}
        instances.set_name(**where, instances_set_name_request_resource=named).result()
        assert _row(cloudstack, after)["id"] == row["id"]
    instances.start(**at).result()
    assert _row(cloudstack, web)["state"] == "Running"


def test_a_template_of_an_instance_and_instances_of_a_region(
    clients: Clients, cloudstack: Cloud, fresh: Fresh, web: str
) -> None:
    name, source = fresh("like"), f"projects/{clients.project['project']}/zones/ch-gva-2/instances/{web}"
    template = compute_v1.InstanceTemplate(name=name, source_instance=source)
    clients.templates.insert(instance_template_resource=template, **clients.project).result()
    said = clients.templates.get(instance_template=name, **clients.project)
    assert (said.source_instance.endswith(source), len(said.properties.disks)) == (True, 2)
    assert name in [one.name for one in clients.templates.list(**clients.project)]
    assert "global" in dict(clients.templates.aggregated_list(**clients.project))
    asked = {"permissions": ["compute.instanceTemplates.get"]}
    held = clients.templates.test_iam_permissions(
        resource=name, test_permissions_request_resource=asked, **clients.project
    )
    assert list(held.permissions) == asked["permissions"]
    assert clients.templates.get_iam_policy(resource=name, **clients.project).version == 1

    clients.region_templates.insert(instance_template_resource=template, **clients.region).result()
    assert clients.region_templates.get(instance_template=name, **clients.region).name == name
    assert name in [one.name for one in clients.region_templates.list(**clients.region)]
    many = compute_v1.BulkInsertInstanceResource(
        count=1, name_pattern=f"{name}-#", source_instance_template=f"regions/ch-gva/instanceTemplates/{name}"
    )
    clients.of_regions.bulk_insert(bulk_insert_instance_resource_resource=many, **clients.region).result()
    rows = cloudstack.list("listVolumes", virtualmachineid=_row(cloudstack, f"{name}-1")["id"])
    assert sorted(row["templatename"].split()[1] for row in rows) == ["Debian", "Ubuntu"]
    clients.instances.delete(instance=f"{name}-1", **clients.at).result()
    clients.region_templates.delete(instance_template=name, **clients.region).result()
    clients.templates.delete(instance_template=name, **clients.project).result()


def test_what_the_project_tells_reaches_its_instances(clients: Clients, cloudstack: Cloud, web: str) -> None:
    projects, where = clients.projects, clients.project
    seen = projects.get(**where).common_instance_metadata
    told = compute_v1.Metadata(fingerprint=seen.fingerprint, items=[compute_v1.Items(key="ssh-keys", value="a:b c")])
    projects.set_common_instance_metadata(**where, metadata_resource=told).result()
    machine = _row(cloudstack, web)["id"]
    assert cloudstack.call("getVirtualMachineUserData", virtualmachineid=machine)["virtualmachineuserdata"]["userdata"]
    told.fingerprint, told.items = projects.get(**where).common_instance_metadata.fingerprint, []
    projects.set_common_instance_metadata(**where, metadata_resource=told).result()
    tier = compute_v1.ProjectsSetDefaultNetworkTierRequest(network_tier="PREMIUM")
    projects.set_default_network_tier(**where, projects_set_default_network_tier_request_resource=tier).result()
    assert projects.get_xpn_host(**where).name == ""
    assert list(projects.get_xpn_resources(**where)) == []
    listing = compute_v1.ProjectsListXpnHostsRequest(organization="x")
    assert list(projects.list_xpn_hosts(**where, projects_list_xpn_hosts_request_resource=listing)) == []
