"""Who may do what with addresses, firewalls, routes and subnetworks: what the role of the caller carries."""

from __future__ import annotations

import pytest

from tests.conftest import Gateway

PIECE = "regions/ch-gva/subnetworks/default"


@pytest.mark.parametrize("collection", ["addresses", "firewalls", "routes", "subnetworks"])
def test_permissions_are_those_of_the_role(gateway: Gateway, collection: str) -> None:
    gateway.run("POST", "global/firewalls", {"name": "fw", "allowed": [{"IPProtocol": "icmp"}]})
    if collection == "addresses":
        gateway.run("POST", "regions/de-fra/addresses", {"name": "front"})
    place = {
        "addresses": "regions/de-fra/addresses/front",
        "firewalls": "global/firewalls/fw",
        "routes": f"global/routes/{gateway.names('global/routes')[0]}",
        "subnetworks": PIECE,
    }[collection]
    asked = {"permissions": [f"compute.{collection}.delete", f"compute.{collection}.fly", "compute.disks.get"]}
    answer = gateway.call("POST", f"{place}/testIamPermissions", asked)
    assert answer["permissions"] == [f"compute.{collection}.delete"]
    gateway.refuse("POST", f"{place}x/testIamPermissions", asked, status=404)


def test_a_subnetwork_has_no_policy_and_takes_none(gateway: Gateway) -> None:
    assert gateway.get(f"{PIECE}/getIamPolicy") == {"version": 1, "etag": "ACAB"}
    assert "roles" in gateway.refuse("POST", f"{PIECE}/setIamPolicy", {"policy": {}}, status=501)
