"""The installed gcloud with networks, addresses and firewalls of a zone with isolated networks, told as one story; what
it did is looked at in CloudStack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gstack.cloudstack.client import Cloud

Gcloud = Callable[..., Any]
Fresh = Callable[[str], str]
REGION, ZONE = "--region=de-fra", "--zone=de-fra-1"
MACHINE = (ZONE, "--machine-type=micro", "--image-family=debian-12", "--image-project=debian-cloud")


def test_a_network_lives_with_an_address_a_firewall_and_instances(
    gcloud: Gcloud, cloudstack: Cloud, fresh: Fresh
) -> None:
    name = fresh("net")
    for command in (
        ("networks", "create", name, "--subnet-mode=custom"),
        ("networks", "subnets", "create", name, f"--network={name}", REGION, "--range=10.5.0.0/24"),
        ("addresses", "create", name, REGION),
        ("firewall-rules", "create", name, f"--network={name}", "--allow=tcp:22"),
    ):
        made = gcloud("compute", *command)
        assert made.status == 0, made.err
    address = gcloud("compute", "addresses", "describe", name, REGION, as_json=True).json["address"]

    created = gcloud("compute", "instances", "create", name, f"--subnet={name}", f"--address={address}", *MACHINE)
    assert created.status == 0, created.err
    row = next(row for row in cloudstack.list("listPublicIpAddresses") if row["ipaddress"] == address)
    assert row["virtualmachinename"] == name
    (rule,) = cloudstack.list("listFirewallRules", ipaddressid=row["id"])
    assert (rule["protocol"], int(rule["startport"]), rule["cidrlist"]) == ("tcp", 22, "0.0.0.0/0")

    inner = gcloud("compute", "instances", "create", f"{name}-2", f"--subnet={name}", "--no-address", *MACHINE)
    assert inner.status == 0, inner.err
    assert "reach one another" in inner.err
    busy = gcloud("compute", "networks", "subnets", "delete", name, REGION)
    assert busy.status == 1 and "is already being used by the instance" in busy.err

    for command in (
        ("instances", "delete", name, f"{name}-2", ZONE),
        ("firewall-rules", "delete", name),
        ("networks", "subnets", "delete", name, REGION),
    ):
        gone = gcloud("compute", *command)
        assert gone.status == 0, gone.err
    outlived = gcloud("compute", "addresses", "describe", name, REGION, as_json=True).json
    assert (outlived["address"], outlived["status"]) == (address, "RESERVED")
    for command in (("addresses", "delete", name, REGION), ("networks", "delete", name)):
        gone = gcloud("compute", *command)
        assert gone.status == 0, gone.err
    for state in ("Allocated", "Reserved"):
        assert address not in {row["ipaddress"] for row in cloudstack.list("listPublicIpAddresses", state=state)}
    assert gcloud("compute", "networks", "list", f"--filter=name={name}", as_json=True).json == []
