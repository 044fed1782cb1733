"""google-cloud-compute, unchanged, with two networks of a zone with isolated networks and an instance in both."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.cloud import compute_v1

from gstack.cloudstack.client import Cloud

Fresh = Callable[[str], str]
REGION, ZONE = "de-fra", "de-fra-1"


def test_an_instance_in_two_networks_is_changed_while_it_runs(
    client: Callable[[str], Any], client_environment: dict[str, str], cloudstack: Cloud, fresh: Fresh
) -> None:
    networks, pieces, instances = client("NetworksClient"), client("SubnetworksClient"), client("InstancesClient")
    project, names = client_environment["GSTACK_PROJECT"], [fresh("one"), fresh("two")]
    place: dict[str, Any] = {"project": project, "zone": ZONE, "instance": names[0]}

    for number, name in enumerate(names, 21):
        made = compute_v1.Network(name=name, auto_create_subnetworks=False)
        networks.insert(project=project, network_resource=made).result(timeout=60)
        mode = compute_v1.NetworkRoutingConfig(routing_mode="GLOBAL")
        change = compute_v1.Network(routing_config=mode)
        networks.patch(project=project, network=name, network_resource=change).result(timeout=60)
        body = compute_v1.Subnetwork(name=name, network=f"global/networks/{name}", ip_cidr_range=f"10.{number}.0.0/24")
        pieces.insert(project=project, region=REGION, subnetwork_resource=body).result(timeout=60)
    assert networks.get(project=project, network=names[0]).routing_config.routing_mode == "GLOBAL"

    image = "projects/debian-cloud/global/images/family/debian-12"
    disk = compute_v1.AttachedDisk(boot=True, auto_delete=True)
    disk.initialize_params = compute_v1.AttachedDiskInitializeParams(source_image=image)
    nics = [compute_v1.NetworkInterface(subnetwork=f"regions/{REGION}/subnetworks/{name}") for name in names]
    machine = compute_v1.Instance(
        name=names[0], machine_type=f"zones/{ZONE}/machineTypes/tiny", disks=[disk], network_interfaces=nics[:1]
    )
    instances.insert(project=project, zone=ZONE, instance_resource=machine).result(timeout=60)
    instances.add_network_interface(**place, network_interface_resource=nics[1]).result(timeout=60)

    config = compute_v1.AccessConfig(name="nat", type_="ONE_TO_ONE_NAT")
    where = {**place, "network_interface": "nic1"}
    instances.add_access_config(**where, access_config_resource=config).result(timeout=60)
    renamed = compute_v1.AccessConfig(name="other")
    instances.update_access_config(**where, access_config_resource=renamed).result(timeout=60)
    first, second = instances.get(**place).network_interfaces
    assert second.access_configs[0].name == "other"
    change_of_first = compute_v1.NetworkInterface(
        fingerprint=first.fingerprint, alias_ip_ranges=[compute_v1.AliasIpRange(ip_cidr_range="10.21.0.77/32")]
    )
    query = {**place, "network_interface": "nic0"}
    instances.update_network_interface(**query, network_interface_resource=change_of_first).result(timeout=60)
    assert instances.get(**place).network_interfaces[0].alias_ip_ranges[0].ip_cidr_range == "10.21.0.77/32"
    instances.delete_access_config(**where, access_config="other").result(timeout=60)
    instances.delete_network_interface(**place, network_interface_name="nic1").result(timeout=60)
    assert len(instances.get(**place).network_interfaces) == 1

    instances.delete(**place).result(timeout=60)
    for name in names:
        pieces.delete(project=project, region=REGION, subnetwork=name).result(timeout=60)
        networks.delete(project=project, network=name).result(timeout=60)
    assert {network.name for network in networks.list(project=project)}.isdisjoint(names)
    assert [row for row in cloudstack.list("listPublicIpAddresses") if row.get("virtualmachinename") == names[0]] == []
