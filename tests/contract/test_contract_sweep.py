"""That this suite leaves nothing behind: what it made is found again by name alone, as after a crash."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("account", ["subject", "stranger"])
def test_networks_addresses_and_vpcs_are_found_by_name_and_removed(request, monkeypatch, account):
    cloud = request.getfixturevalue(account)
    monkeypatch.setattr(cloud, "prefix", f"{cloud.prefix}x")  # what other tests share stays
    network, vpc = cloud.network(), cloud.vpc()
    cloud.tier(vpc)
    found = [cloud.address(networkid=network["id"])["id"], cloud.address(vpcid=vpc["id"])["id"]]
    forgotten, cloud.made[:] = list(cloud.made), []
    try:
        assert cloud.sweep() == []
    finally:
        cloud.made[:] = forgotten
    assert not {network["name"], vpc["name"]} & {
        row["name"] for command in ("listNetworks", "listVPCs") for row in cloud.list(command)
    }
    assert not set(found) & {row["id"] for row in cloud.list("listPublicIpAddresses")}
