"""What root sees below the zones, and what follows from it."""

from __future__ import annotations

import pytest
from sim_cloud import UBUNTU, Cloud

from gstack.simulator import Simulator

FRANKFURT = "90e2e73b-dc68-48f9-a796-9ec7bcdfec92"
ISOLATED = "847d56dd-6687-427d-9994-b36e929032da"
VPC_OFFERING = "1ec0c1ce-f265-40df-8aad-7cecd81b6673"
ISO = "5167ed3a-32f2-4639-a18b-a0dd3bc96ab7"


def first(cloud: Cloud, command: str, key: str, **params: object) -> dict:
    return cloud.do(command, "admin", **params)[key][0]


@pytest.mark.parametrize(("command", "key"), [("listHosts", "host"), ("listClusters", "cluster"), ("listPods", "pod")])
def test_an_object_below_a_zone_is_found_by_id_and_by_zone(cloud: Cloud, command: str, key: str) -> None:
    row = first(cloud, command, key, zoneid=FRANKFURT)
    assert row["zonename"] == "de-fra-1"
    assert cloud.do(command, "admin", id=row["id"])[key] == [row]
    assert cloud.do(command, "admin", keyword="no such one") == {}


def test_a_cluster_has_its_own_hosts_and_pools(cloud: Cloud) -> None:
    clusters = cloud.do("listClusters", "admin", zoneid=FRANKFURT)["cluster"]
    for command, key in (("listHosts", "host"), ("listStoragePools", "storagepool")):
        parts = [cloud.do(command, "admin", clusterid=cluster["id"]) for cluster in clusters]
        assert sum(part["count"] for part in parts) == cloud.do(command, "admin", zoneid=FRANKFURT)["count"]
        assert {row["clusterid"] for row in parts[0][key]} == {clusters[0]["id"]}


def test_a_running_machine_counts_on_its_host_and_in_its_zone(cloud: Cloud) -> None:
    before = first(cloud, "listCapacity", "capacity", type=0, zoneid=FRANKFURT)
    network = cloud.do("createNetwork", zoneid=FRANKFURT, networkofferingid=ISOLATED, name="n")["network"]["id"]
    key = cloud.deploy("web", zoneid=FRANKFURT, templateid=UBUNTU, networkids=network)
    host = cloud.do("listVirtualMachines", "admin", id=key)["virtualmachine"][0]["hostid"]
    assert first(cloud, "listHosts", "host", id=host)["memoryallocated"] == 512 * 1024**2
    after = first(cloud, "listCapacity", "capacity", type=0, zoneid=FRANKFURT)
    router = 512 * 1024**2  # of the network, which came to life
    assert after["capacityallocated"] == after["capacityused"]
    assert after["capacityused"] - before["capacityused"] == router + 512 * 1024**2
    assert "capacityallocated" not in before


def test_a_zone_is_not_available_where_the_caller_has_a_router(cloud: Cloud) -> None:
    assert cloud.do("listZones", available="false") == {}
    cloud.run("createVPC", zoneid=FRANKFURT, vpcofferingid=VPC_OFFERING, name="v", cidr="10.9.0.0/16")
    assert [zone["name"] for zone in cloud.do("listZones", available="false")["zone"]] == ["de-fra-1"]
    assert cloud.do("listZones", "other", available="false") == {}
    assert cloud.do("listRouters", "admin") == {}
    assert [row["vpcname"] for row in cloud.do("listRouters", "admin", listall="true")["router"]] == ["v"]


def test_a_vpc_has_one_vpn_gateway_which_goes_with_it(cloud: Cloud) -> None:
    vpc = cloud.run("createVPC", zoneid=FRANKFURT, vpcofferingid=VPC_OFFERING, name="v", cidr="10.9.0.0/16")
    key = vpc["jobresult"]["vpc"]["id"]
    gateway = cloud.run("createVpnGateway", vpcid=key)["jobresult"]["vpngateway"]
    assert cloud.do("listVpnGateways", vpcid=key)["vpngateway"] == [gateway]
    assert cloud.do("createVpnGateway", vpcid=key)["errorcode"] == 431
    assert cloud.do("createVpnGateway", "other", vpcid=key)["errorcode"] == 531
    cloud.run("deleteVPC", id=key)
    assert cloud.do("listVpnGateways") == {}


def test_a_vpn_gateway_can_be_deleted_alone(cloud: Cloud) -> None:
    vpc = cloud.run("createVPC", zoneid=FRANKFURT, vpcofferingid=VPC_OFFERING, name="v", cidr="10.9.0.0/16")
    gateway = cloud.run("createVpnGateway", vpcid=vpc["jobresult"]["vpc"]["id"])["jobresult"]["vpngateway"]
    assert cloud.run("deleteVpnGateway", id=gateway["id"])["jobresult"] == {"success": True}
    assert cloud.do("listVpnGateways") == {}


def test_an_alert_is_listed_before_older_ones(cloud: Cloud) -> None:
    for name in ("old", "new"):
        cloud.run("generateAlert", "admin", type=9, name=name, description="x")
    assert [row["name"] for row in cloud.do("listAlerts", "admin")["alert"]] == ["new", "old"]


def test_a_setting_is_listed_as_it_stands_and_the_page_size_is_honoured(cloud: Cloud) -> None:
    cloud.do("updateConfiguration", "admin", name="default.page.size", value="2")
    told = first(cloud, "listConfigurations", "configuration", name="default.page.size")
    assert (told["value"], told["defaultvalue"]) == ("2", "500")
    assert len(cloud.do("listZones")["zone"]) == 2
    assert "max allowed page size value: 2" in cloud.do("listZones", page=1, pagesize=3)["errortext"]


def test_an_iso_is_no_template_and_boots_no_machine(cloud: Cloud) -> None:
    assert cloud.do("listIsos", isofilter="executable")["iso"][0]["id"] == ISO
    assert cloud.do("listIsos", isofilter="self") == {}
    assert cloud.do("listTemplates", templatefilter="executable", id=ISO) == {}


def test_a_volume_s_measurements_are_its_row_with_sums_in_front(cloud: Cloud) -> None:
    key = cloud.deploy("web")
    volume = cloud.do("listVolumesMetrics", virtualmachineid=key)["volume"][0]
    assert (volume["sizegb"], volume["diskiopstotal"]) == ("10.00 GiB", 0)
    machine = cloud.do("listVirtualMachinesMetrics", id=key)["virtualmachine"][0]
    assert (machine["cputotal"], machine["memorytotal"]) == ("1.0 Ghz", "0.50 GiB")
    assert cloud.do("listVolumesUsageHistory", id=volume["id"])["volume"][0]["stats"] == []


def test_only_the_asked_zones_have_infrastructure() -> None:
    cloud = Simulator(zones=("ch-gva-2",))
    told = cloud.do("admin", "listInfrastructure")["infrastructure"]
    assert (told["zones"], told["pods"], told["hosts"], told["systemvms"]) == (1, 1, 4, 2)


def test_the_plain_cloud_is_the_recorded_one_and_extras_are_asked_for() -> None:
    def told(cloud: Simulator) -> tuple[int, int]:
        templates = cloud.do("tenant", "listTemplates", templatefilter="featured", showunique="true")["count"]
        return templates, cloud.do("tenant", "listProjects").get("count", 0)

    assert told(Simulator()) == (4, 0)
    assert told(Simulator(extras=True)) == (6, 1)
