"""The installed gcloud with instance groups and backend services of an advanced zone, told as one story.

An instance with a static external address answers behind a load balancer, and in the end CloudStack holds nothing that
it did not hold before. Apart from the other stories because here users may expunge, so that all goes at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.cloud import compute_v1

from gstack.demo import EMBEDDED_ZONE, Demo, prepared
from gstack.demo import Cloud as Behind
from gstack.simulator import Simulator
from gstack.simulator.server import serve
from tests.clients.holdings import held

Gcloud = Callable[..., Any]
ZONE, REGION = "--zone=de-fra-1", "--region=de-fra"
MACHINE = (ZONE, "--machine-type=micro", "--image-family=debian-12", "--image-project=debian-cloud")
CLIENT = "9.9.9.9"


@pytest.fixture(scope="module")
def world() -> Simulator:
    simulator = Simulator(job_seconds=0.1, extras=True)
    simulator.settings["allow.user.expunge.recover.vm"] = True
    return simulator


@pytest.fixture(scope="module")
def demo(world: Simulator) -> Iterator[Demo]:
    server = serve(world)
    url = f"http://localhost:{server.port}/client/api"
    with prepared(cloud=Behind(url, *world.keys("tenant"), zone=EMBEDDED_ZONE)) as running:
        yield running
    server.stop()


def arriving(world: Simulator, address: str) -> set[str]:
    """The names of the machines that a packet to tcp:80 may reach."""
    verdict = world.reaches(CLIENT, address, port=80)
    names = {row["id"]: row["name"] for row in world.do("tenant", "listVirtualMachines").get("virtualmachine", [])}
    return {names[key] for key in verdict.machines} if verdict else set()


def test_an_instance_with_a_static_address_answers_behind_a_service(
    gcloud: Gcloud, done: Gcloud, described: Gcloud, demo: Demo, world: Simulator
) -> None:
    before = held(world)

    done("networks", "create", "net", "--subnet-mode=custom")
    done("networks", "subnets", "create", "sub", "--network=net", REGION, "--range=10.5.0.0/24")
    done("firewall-rules", "create", "web", "--network=net", "--allow=tcp:80", "--source-ranges=9.0.0.0/8")
    for name in ("static", "front"):
        done("addresses", "create", name, REGION)
    done("instances", "create", "one", "--subnet=sub", "--address=static", *MACHINE)
    done("instances", "create", "two", "--subnet=sub", "--no-address", *MACHINE)

    group, members = ("instance-groups", "unmanaged"), ("--instances=one,two",)
    done(*group, "create", "ig", ZONE)
    done(*group, "add-instances", "ig", ZONE, *members)
    done(*group, "set-named-ports", "ig", ZONE, "--named-ports=http:80")
    assert described(*group, "describe", "ig", ZONE)["size"] == 2
    listed = described(*group, "list-instances", "ig", ZONE)
    assert {one["instance"].rpartition("/")[2]: one["status"] for one in listed} == dict.fromkeys(
        ("one", "two"), "RUNNING"
    )
    assert [one["name"] for one in described(*group, "list")] == ["ig"]
    assert [one["name"] for one in described("instance-groups", "list")] == ["ig"]
    ports = described(*group, "get-named-ports", "ig", ZONE)
    assert ports == [{"name": "http", "port": 80}]

    done("health-checks", "create", "tcp", "hc", REGION, "--port=80")
    scheme = (
        "--load-balancing-scheme=EXTERNAL",
        "--protocol=TCP",
        "--health-checks=hc",
        "--health-checks-region=de-fra",
    )
    done("backend-services", "create", "be", REGION, *scheme)
    done("backend-services", "add-backend", "be", REGION, "--instance-group=ig", "--instance-group-zone=de-fra-1")
    rule = ("--ports=80", "--backend-service=be", "--backend-service-region=de-fra", "--address=front")
    made = done("forwarding-rules", "create", "fr", REGION, "--load-balancing-scheme=EXTERNAL", *rule)
    assert "health checks" in made.err
    address = described("forwarding-rules", "describe", "fr", REGION)["IPAddress"]
    assert address == described("addresses", "describe", "front", REGION)["address"]
    assert arriving(world, address) == {"one", "two"}
    static = described("addresses", "describe", "static", REGION)["address"]
    assert arriving(world, static) == {"one"}
    (health,) = described("backend-services", "get-health", "be", REGION)
    states = {one["healthState"] for one in health["status"]["healthStatus"]}
    assert states == {"HEALTHY"}
    assert [one["name"] for one in described("backend-services", "list")] == ["be"]

    done(*group, "remove-instances", "ig", ZONE, "--instances=two")
    assert arriving(world, address) == {"one"}
    done("backend-services", "update", "be", REGION, "--session-affinity=CLIENT_IP")
    assert described("backend-services", "describe", "be", REGION)["sessionAffinity"] == "CLIENT_IP"
    busy = gcloud("compute", *group, "delete", "ig", ZONE)
    assert busy.status == 1 and "already being used" in busy.err
    done("backend-services", "remove-backend", "be", REGION, "--instance-group=ig", "--instance-group-zone=de-fra-1")
    assert arriving(world, address) == set()
    wrong = gcloud("compute", "backend-services", "create", "no", REGION, *scheme[:1], "--protocol=UDP", *scheme[2:])
    assert wrong.status == 1 and "protocol" in wrong.err

    for words in (
        ("forwarding-rules", "delete", "fr", REGION),
        ("backend-services", "delete", "be", REGION),
        ("health-checks", "delete", "hc", REGION),
        (*group, "delete", "ig", ZONE),
        ("instances", "delete", "one", "two", ZONE),
        ("addresses", "delete", "static", "front", REGION),
        ("firewall-rules", "delete", "web"),
        ("networks", "subnets", "delete", "sub", REGION),
        ("networks", "delete", "net"),
    ):
        done(*words)
    world.settle()
    assert held(world) == before


def test_google_cloud_compute_makes_a_service_and_takes_it_away(demo: Demo, client: Callable[[str], Any]) -> None:
    groups, services = client("InstanceGroupsClient"), client("RegionBackendServicesClient")
    rules = client("ForwardingRulesClient")
    at = {"project": demo.environment["GSTACK_PROJECT"]}
    there, here = {**at, "region": "de-fra"}, {**at, "zone": "de-fra-1"}
    groups.insert(**here, instance_group_resource=compute_v1.InstanceGroup(name="ig")).result(timeout=60)
    group = groups.get(**here, instance_group="ig")
    backend = compute_v1.Backend(group=group.self_link, balancing_mode="CONNECTION")
    body = compute_v1.BackendService(name="be", load_balancing_scheme="EXTERNAL", protocol="TCP", backends=[backend])
    services.insert(**there, backend_service_resource=body).result(timeout=60)
    service = services.get(**there, backend_service="be")
    service.session_affinity = "CLIENT_IP"
    services.update(**there, backend_service="be", backend_service_resource=service).result(timeout=60)
    asked = compute_v1.ResourceGroupReference(group=group.self_link)
    assert (
        list(services.get_health(**there, backend_service="be", resource_group_reference_resource=asked).health_status)
        == []
    )
    everywhere = client("BackendServicesClient").aggregated_list(**at)
    assert [one.session_affinity for _, part in everywhere for one in part.backend_services] == ["CLIENT_IP"]
    assert list(rules.list(**there)) == []
    asked = compute_v1.InstanceGroupsListInstancesRequest(instance_state="ALL")
    assert (
        list(groups.list_instances(**here, instance_group="ig", instance_groups_list_instances_request_resource=asked))
        == []
    )
    services.delete(**there, backend_service="be").result(timeout=60)
    groups.delete(**here, instance_group="ig").result(timeout=60)
    assert list(services.list(**there)) == [] and list(groups.list(**here)) == []
