"""The installed gcloud with a network of the VPC model in an advanced zone, from its first command to its last; in the
end CloudStack holds what it held before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
REGION, ZONE = "--region=de-fra", "--zone=de-fra-1"
MACHINE = (ZONE, "--machine-type=micro", "--image-family=debian-12", "--image-project=debian-cloud")
HELD = (
    "listVPCs",
    "listNetworks",
    "listPublicIpAddresses",
    "listNetworkACLLists",
    "listNetworkACLs",
    "listStaticRoutes",
    "listSecurityGroups",
)


def ids(cloudstack: Cloud) -> set[str]:
    return {row["id"] for command in HELD for row in cloudstack.list(command)}


@pytest.mark.long
def test_a_vpc_lives_with_tiers_routes_a_router_and_instances(
    gcloud: Gcloud, described: Gcloud, done: Gcloud, cloudstack: Cloud, fresh: Fresh
) -> None:
    name, before = fresh("vpc"), ids(cloudstack)
    inner = f"{name}-inner"

    def refused(*words: str) -> str:
        ran = gcloud("compute", *words)
        assert ran.status == 1, ran.out
        return str(ran.err)

    # gcloud looks up tags at Google unless they are named as Google numbers them.
    choice = "--resource-manager-tags=tagKeys/gstack-network-model=tagValues/vpc"
    made = gcloud("beta", "compute", "networks", "create", name, "--subnet-mode=custom", choice)
    assert made.status == 0, made.err
    done("networks", "update", name, "--bgp-routing-mode=global")
    for tier, cidr in ((name, "10.5.0.0/24"), (inner, "10.6.0.0/24")):
        done("networks", "subnets", "create", tier, f"--network={name}", REGION, f"--range={cidr}")
    done("networks", "subnets", "update", name, REGION, "--no-enable-private-ip-google-access")
    usable = described("networks", "subnets", "list-usable")
    assert {name, inner} <= {one["subnetwork"].rpartition("/")[2] for one in usable}
    assert "range" in refused("networks", "subnets", "expand-ip-range", name, REGION, "--prefix-length=20")
    assert "connect networks" in refused(
        "networks", "peerings", "create", "p", f"--network={name}", "--peer-network=default"
    )

    done("firewall-rules", "create", f"{name}-ssh", f"--network={name}", "--allow=tcp:22", "--priority=500")
    denied = ("--action=deny", "--rules=all", "--source-ranges=9.0.0.0/8", "--priority=100")
    done("firewall-rules", "create", f"{name}-no", f"--network={name}", *denied)
    done("firewall-rules", "update", f"{name}-ssh", "--priority=600")
    targeted = ("--allow=tcp:80", "--target-tags=web")
    assert "targetTags" in refused("firewall-rules", "create", f"{name}-web", f"--network={name}", *targeted)

    done("addresses", "create", name, REGION)
    done("addresses", "create", inner, REGION, f"--subnet={inner}", "--addresses=10.6.0.9")
    address = described("addresses", "describe", name, REGION)["address"]
    done("instances", "create", name, f"--subnet={name}", f"--address={address}", *MACHINE)
    done("instances", "create", inner, f"--subnet={inner}", "--private-network-ip=10.6.0.9", "--no-address", *MACHINE)
    aliases = ("--network-interface=nic0", "--aliases=10.6.0.50/32")
    done("instances", "network-interfaces", "update", inner, ZONE, *aliases)
    shown = described("instances", "describe", inner, ZONE)["networkInterfaces"][0]
    assert shown["aliasIpRanges"] == [{"ipCidrRange": "10.6.0.50/32"}]
    assert described("addresses", "describe", inner, REGION)["status"] == "IN_USE"

    done(
        "routes",
        "create",
        name,
        f"--network={name}",
        "--destination-range=172.16.0.0/16",
        "--next-hop-address=10.5.0.9",
    )
    assert name in [one["name"] for one in described("routes", "list")]
    done("routers", "create", name, f"--network={name}", REGION)
    nat = ("--auto-allocate-nat-external-ips", "--nat-all-subnet-ip-ranges")
    done("routers", "nats", "create", "nat", f"--router={name}", REGION, *nat)
    status = described("routers", "get-status", name, REGION)["result"]
    (vpc,) = [row for row in cloudstack.list("listVPCs") if row["name"] == name]
    (source,) = cloudstack.list("listPublicIpAddresses", vpcid=vpc["id"], issourcenat=True)
    assert status["natStatus"][0]["autoAllocatedNatIps"] == [source["ipaddress"]]
    mapped = described("routers", "get-nat-mapping-info", name, REGION)
    assert [one["instanceName"] for one in mapped] == [inner]
    info = described("routers", "get-nat-ip-info", name, REGION)["result"]
    assert info[0]["natIpInfoMappings"] == [{"natIp": source["ipaddress"], "mode": "AUTO", "usage": "IN_USE"}]

    done("instances", "delete", name, inner, ZONE)
    for command in (
        ("routers", "nats", "delete", "nat", f"--router={name}", REGION),
        ("routers", "delete", name, REGION),
        ("routes", "delete", name),
        ("addresses", "delete", name, inner, REGION),
        ("networks", "subnets", "delete", name, REGION),
        ("networks", "subnets", "delete", inner, REGION),
        ("firewall-rules", "delete", f"{name}-ssh", f"{name}-no"),
        ("networks", "delete", name),
    ):
        done(*command)
    assert described("networks", "list", f"--filter=name={name}") == []
    # What waits for CloudStack to expunge the instances goes with them; here that is as if it had.
    tiers = [row for row in cloudstack.list("listNetworks") if row.get("vpcid") and row["id"] not in before]
    gone = [row for row in tiers if any("deleted" in tag["key"] for tag in row["tags"])]
    left, kept, lists = ({row[member] for row in gone} for member in ("id", "vpcid", "aclid"))
    rest = ids(cloudstack) - before - left - kept
    addresses = {row["id"] for row in cloudstack.list("listPublicIpAddresses") if row.get("vpcid") in kept}
    items = {row["id"] for row in cloudstack.list("listNetworkACLs") if row["aclid"] in lists}
    assert rest - addresses - lists - items == set()
