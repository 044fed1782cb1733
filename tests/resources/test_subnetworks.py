"""subnetworks: one for each shared network of CloudStack."""

from __future__ import annotations

import base64

from tests.conftest import Gateway

PATH = "regions/ch-gva/subnetworks"


def test_a_subnetwork_has_the_addresses_of_its_zone(gateway: Gateway) -> None:
    piece = gateway.get(f"{PATH}/default")
    row = gateway.cloudstack("listNetworks", zoneid=gateway.zone_id)[0]
    assert (piece["ipCidrRange"], piece["gatewayAddress"]) == (row["cidr"], row["gateway"])
    assert (piece["purpose"], piece["stackType"], piece["privateIpGoogleAccess"]) == ("PRIVATE", "IPV4_ONLY", False)
    assert piece["network"].endswith("/projects/tenant/global/networks/default")
    assert base64.urlsafe_b64decode(piece["fingerprint"])


def test_the_links_of_the_network_lead_to_the_subnetworks(gateway: Gateway) -> None:
    for link in gateway.get("global/networks/default")["subnetworks"]:
        assert gateway.get(link.removeprefix("https://gateway.test"))["selfLink"] == link


def test_a_subnetwork_is_found_by_its_number(gateway: Gateway) -> None:
    piece = gateway.get(f"{PATH}/default")
    assert gateway.get(f"{PATH}/{piece['id']}") == piece
    assert piece["id"] != gateway.get("global/networks/default")["id"]


def test_lists_agree(gateway: Gateway) -> None:
    piece = gateway.get(f"{PATH}/default")
    assert gateway.get(PATH)["items"] == [piece]
    assert gateway.get("aggregated/subnetworks")["items"]["regions/ch-gva"] == {"subnetworks": [piece]}
    assert gateway.upstream == ["listNetworks"]


def test_what_does_not_exist_is_not_found(gateway: Gateway) -> None:
    for path in (f"{PATH}/mine", "regions/nowhere/subnetworks", "regions/nowhere/subnetworks/default"):
        assert gateway.refuse("GET", path, status=404).endswith("was not found")
