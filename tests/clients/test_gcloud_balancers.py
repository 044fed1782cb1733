"""The installed gcloud with target pools, health checks and forwarding rules of an advanced zone, told as one story: an
instance with a reserved address answers behind a load balancer, and in the end CloudStack holds what it held before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
ZONE = "--zone=de-fra-1"
REGION = "--region=de-fra"
MACHINE = (ZONE, "--machine-type=micro", "--image-family=debian-12", "--image-project=debian-cloud", "--no-address")
HELD = ("listPublicIpAddresses", "listLoadBalancerRules", "listFirewallRules", "listSecurityGroups")


def ids(cloudstack: Cloud) -> set[str]:
    """What CloudStack holds, but for a network with its source NAT: it waits for its machines to be expunged."""
    rows = [row for command in HELD for row in cloudstack.list(command)]
    return {row["id"] for row in rows if not row.get("issourcenat")}


def led(cloudstack: Cloud, address: str) -> tuple[set[str], list[str]]:
    """The machines that an address leads to, and the ranges that its firewall lets in."""
    (public,) = cloudstack.list("listPublicIpAddresses", ipaddress=address)
    rules = cloudstack.list("listLoadBalancerRules", publicipid=public["id"])
    members = [row["name"] for rule in rules for row in cloudstack.list("listLoadBalancerRuleInstances", id=rule["id"])]
    opened = cloudstack.list("listFirewallRules", ipaddressid=public["id"])
    return set(members), [row["cidrlist"] for row in opened]


def test_an_instance_answers_behind_a_balancer(
    gcloud: Gcloud, done: Gcloud, described: Gcloud, cloudstack: Cloud, fresh: Fresh
) -> None:
    name, before = fresh("lb"), ids(cloudstack)
    two = f"{name}-2"

    done("networks", "create", name, "--subnet-mode=custom")
    done("networks", "subnets", "create", name, f"--network={name}", REGION, "--range=10.5.0.0/24")
    done("firewall-rules", "create", name, f"--network={name}", "--allow=tcp:80", "--source-ranges=9.0.0.0/8")
    done("addresses", "create", name, REGION)
    for one in (name, two):
        done("instances", "create", one, f"--subnet={name}", *MACHINE)

    done("http-health-checks", "create", name, "--port=8080", "--request-path=/healthy")
    done("http-health-checks", "update", name, "--check-interval=10s")
    check = described("http-health-checks", "describe", name)
    assert (check["port"], check["requestPath"], check["checkIntervalSec"]) == (8080, "/healthy", 10)
    done("target-pools", "create", name, REGION, "--session-affinity=CLIENT_IP", f"--http-health-check={name}")
    done("target-pools", "add-instances", name, REGION, f"--instances={name}", f"--instances-zone={ZONE[7:]}")
    rule = ("--ports=80", f"--target-pool={name}", f"--address={name}", f"--target-pool-region={REGION[9:]}")
    created = done("forwarding-rules", "create", name, REGION, *rule)
    assert "health checks" in created.err
    address = described("forwarding-rules", "describe", name, REGION)["IPAddress"]
    assert address == described("addresses", "describe", name, REGION)["address"]
    assert led(cloudstack, address) == ({name}, ["9.0.0.0/8"])

    done("target-pools", "add-instances", name, REGION, f"--instances={two}", f"--instances-zone={ZONE[7:]}")
    assert led(cloudstack, address) == ({name, two}, ["9.0.0.0/8"])
    health = described("target-pools", "get-health", name, REGION)
    assert {one["healthState"] for pool in health for one in pool["healthStatus"]} == {"HEALTHY"}
    done("target-pools", "remove-instances", name, REGION, f"--instances={name}", f"--instances-zone={ZONE[7:]}")
    assert led(cloudstack, address)[0] == {two}
    done("forwarding-rules", "update", name, REGION, "--update-labels=a=b")
    listed = described("forwarding-rules", "list", f"--filter=name={name}")
    assert [(one["labels"], one["portRange"]) for one in listed] == [({"a": "b"}, "80-80")]
    assert [one["name"] for one in described("target-pools", "list", f"--filter=name={name}")] == [name]
    backup = gcloud("compute", "target-pools", "set-backup", name, REGION, "--no-backup-pool")
    assert backup.status == 1 and "second pool" in backup.err
    busy = gcloud("compute", "target-pools", "delete", name, REGION)
    assert busy.status == 1 and "already being used" in busy.err

    for words in (
        ("forwarding-rules", "delete", name, REGION),
        ("target-pools", "remove-health-checks", name, REGION, f"--http-health-check={name}"),
        ("target-pools", "delete", name, REGION),
        ("http-health-checks", "delete", name),
        ("instances", "delete", name, two, ZONE),
        ("addresses", "delete", name, REGION),
        ("firewall-rules", "delete", name),
        ("networks", "subnets", "delete", name, REGION),
        ("networks", "delete", name),
    ):
        done(*words)
    assert ids(cloudstack) == before


def test_health_checks_of_every_type_live_everywhere(done: Gcloud, described: Gcloud, fresh: Fresh) -> None:
    name = fresh("hc")
    for kind, place in (("tcp", "--global"), ("http", REGION), ("grpc", "--global")):
        one = f"{name}-{kind}"
        for words in (
            ("create", kind, one, place, "--port=90"),
            ("update", kind, one, place, "--port=91"),
        ):
            done("health-checks", *words)
        check = described("health-checks", "describe", one, place)
        assert (check["type"], check[f"{kind}HealthCheck"]["port"]) == (kind.upper(), 91)
    listed = described("health-checks", "list", f"--filter=name~{name}")
    assert {one["name"] for one in listed} == {f"{name}-{kind}" for kind in ("tcp", "http", "grpc")}
    for kind, place in (("tcp", "--global"), ("http", REGION), ("grpc", "--global")):
        done("health-checks", "delete", f"{name}-{kind}", place)
