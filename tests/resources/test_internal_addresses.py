"""Internal addresses, which are reserved in the store and worn by instances; and ephemeral ones that are kept."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.store import overlay
from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
PIECES, ADDRESSES, INSTANCES = "regions/de-fra/subnetworks", "regions/de-fra/addresses", "zones/de-fra-1/instances"
INTERNAL = {"addressType": "INTERNAL", "purpose": "GCE_ENDPOINT", "subnetwork": f"{PIECES}/sub"}


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, with a network in the zone with isolated networks."""
    gateway.zone = "de-fra-1"
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    gateway.run("POST", PIECES, {"name": "sub", "network": "global/networks/net", "ipCidrRange": "10.1.0.0/29"})
    return gateway


def deploy(gateway: Gateway, name: str = "web", **interface: Any) -> dict[str, Any]:
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    nic = {"subnetwork": f"{PIECES}/sub", **interface}
    body = {"name": name, "machineType": "tiny", "disks": [disk], "networkInterfaces": [nic]}
    gateway.run("POST", INSTANCES, body)
    return dict(gateway.get(f"{INSTANCES}/{name}")["networkInterfaces"][0])


def test_an_internal_address_is_reserved_and_shown(fra: Gateway) -> None:
    body = {"name": "inner", "address": "10.1.0.5", "labels": {"a": "b"}, "description": "d", **INTERNAL}
    made = fra.run("POST", ADDRESSES, body)
    address = fra.get(f"{ADDRESSES}/inner")
    assert made["targetId"] == address["id"]
    for member in ("address", "addressType", "purpose", "labels", "description"):
        assert address[member] == body[member]
    assert address["subnetwork"].endswith(f"/{PIECES}/sub")
    assert address["status"] == "RESERVED"
    assert "networkTier" not in address
    assert fra.get(ADDRESSES)["items"] == [address]
    assert fra.get("aggregated/addresses")["items"]["regions/de-fra"] == {"addresses": [address]}
    stamp = {"labels": {"c": "d"}, "labelFingerprint": address["labelFingerprint"]}
    fra.run("POST", f"{ADDRESSES}/inner/setLabels", stamp)
    assert fra.get(f"{ADDRESSES}/inner")["labels"] == {"c": "d"}
    fra.refuse("POST", f"{ADDRESSES}/inner/setLabels", stamp, status=412)


def test_of_two_who_saw_the_same_labels_one_sets_them(fra: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    fra.run("POST", ADDRESSES, {"name": "inner", **INTERNAL})
    seen = {"labelFingerprint": fra.get(f"{ADDRESSES}/inner")["labelFingerprint"]}
    change = overlay.change

    def meanwhile(*args: Any) -> bool:
        monkeypatch.undo()
        fra.run("POST", f"{ADDRESSES}/inner/setLabels", {"labels": {"a": "b"}, **seen})
        return change(*args)

    monkeypatch.setattr(overlay, "change", meanwhile)
    fra.refuse("POST", f"{ADDRESSES}/inner/setLabels", {"labels": {"c": "d"}, **seen}, status=412)
    assert fra.get(f"{ADDRESSES}/inner")["labels"] == {"a": "b"}


def test_an_instance_wears_it_by_name_or_by_value(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "inner", "address": "10.1.0.5", **INTERNAL})
    nic = deploy(fra, networkIP=f"projects/tenant/{ADDRESSES}/inner")
    assert nic["networkIP"] == "10.1.0.5"
    address = fra.get(f"{ADDRESSES}/inner")
    assert (address["status"], address["users"]) == ("IN_USE", [fra.get(f"{INSTANCES}/web")["selfLink"]])
    assert "already being used" in fra.refuse("DELETE", f"{ADDRESSES}/inner")
    fra.run("DELETE", f"{INSTANCES}/web")
    fra.run("DELETE", f"{ADDRESSES}/inner")
    assert fra.names(ADDRESSES) == []


def test_instances_that_ask_for_none_get_what_is_not_reserved(fra: Gateway) -> None:
    for number in (3, 4, 5):
        fra.run("POST", ADDRESSES, {"name": f"a{number}", "address": f"10.1.0.{number}", **INTERNAL})
    assert deploy(fra)["networkIP"] == "10.1.0.6"
    disk = {"boot": True, "initializeParams": {"sourceImage": DEBIAN}}
    nic = {"subnetwork": f"{PIECES}/sub"}
    body = {"name": "more", "machineType": "tiny", "disks": [disk], "networkInterfaces": [nic]}
    assert "no free address" in fra.refuse("POST", INSTANCES, body, status=503)


def test_one_is_chosen_where_none_is_said(fra: Gateway) -> None:
    seen = set()
    for number in range(4):
        fra.run("POST", ADDRESSES, {"name": f"a{number}", **INTERNAL})
        seen.add(fra.get(f"{ADDRESSES}/a{number}")["address"])
    assert seen == {f"10.1.0.{number}" for number in (3, 4, 5, 6)}


def test_a_subnetwork_stays_as_long_as_one_of_its_addresses_is_reserved(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "inner", **INTERNAL})
    assert "addresses/inner" in fra.refuse("DELETE", f"{PIECES}/sub")
    fra.run("DELETE", f"{ADDRESSES}/inner")
    fra.run("DELETE", f"{PIECES}/sub")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("address", "10.9.0.1"),
        ("address", "10.1.0.1"),
        ("address", "x"),
        ("subnetwork", f"{PIECES}/none"),
        ("purpose", "VPC_PEERING"),
        ("prefixLength", 24),
        ("network", "global/networks/net"),
    ],
)
def test_what_cannot_be_reserved_is_refused_by_name(fra: Gateway, member: str, value: Any) -> None:
    message = fra.refuse("POST", ADDRESSES, {"name": "inner", **INTERNAL, member: value})
    assert f"resource.{member}" in message


def test_addresses_of_shared_networks_cannot_be_reserved(gateway: Gateway) -> None:
    body = {"name": "inner", "addressType": "INTERNAL", "subnetwork": "regions/ch-gva/subnetworks/default"}
    assert "resource.subnetwork" in gateway.refuse("POST", "regions/ch-gva/addresses", body)


def test_an_address_is_reserved_once_and_its_name_used_once(fra: Gateway) -> None:
    fra.run("POST", ADDRESSES, {"name": "inner", "address": "10.1.0.5", **INTERNAL})
    fra.refuse("POST", ADDRESSES, {"name": "inner"}, status=409)
    assert "reserved" in fra.refuse("POST", ADDRESSES, {"name": "more", "address": "10.1.0.5", **INTERNAL})


def test_an_ephemeral_address_is_kept_by_giving_it_a_name(fra: Gateway) -> None:
    nic = deploy(fra, accessConfigs=[{"name": "nat"}])
    outside = nic["accessConfigs"][0]["natIP"]
    fra.run("POST", ADDRESSES, {"name": "front", "address": outside, "labels": {"a": "b"}, "description": "d"})
    address = fra.get(f"{ADDRESSES}/front")
    assert (address["address"], address["status"], address["labels"]) == (outside, "IN_USE", {"a": "b"})
    fra.run("DELETE", f"{INSTANCES}/web")
    assert fra.get(f"{ADDRESSES}/front")["status"] == "RESERVED"
    fra.run("DELETE", f"{ADDRESSES}/front")
    assert "resource.address" in fra.refuse("POST", ADDRESSES, {"name": "x", "address": "203.0.113.9"})
