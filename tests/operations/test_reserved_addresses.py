"""External addresses that lie in no network until they are used: reserved, used, set aside, given back; when CloudStack
fails, loses answers, or gives one address to two."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from gstack.simulator.model import Tag
from tests.conftest import Gateway

DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
PIECES, INSTANCES, ADDRESSES = "regions/de-fra/subnetworks", "zones/de-fra-1/instances", "regions/de-fra/addresses"
VPC = {"resourceManagerTags": {"gstack-network-model": "vpc"}}


@pytest.fixture
def fra(gateway: Gateway) -> Gateway:
    """The gateway, with an empty network."""
    gateway.zone = "de-fra-1"
    gateway.run("POST", "global/networks", {"name": "net", "autoCreateSubnetworks": False})
    return gateway


def piece(gateway: Gateway, name: str = "sub", network: str = "net", cidr: str = "10.1.0.0/24") -> None:
    body = {"name": name, "network": f"global/networks/{network}", "ipCidrRange": cidr}
    gateway.run("POST", PIECES, body)


def reserve(gateway: Gateway, name: str = "front") -> dict[str, Any]:
    gateway.run("POST", ADDRESSES, {"name": name, "labels": {"a": "b"}, "description": "d"})
    return gateway.get(f"{ADDRESSES}/{name}")


def instance(address: str, subnetwork: str = "sub") -> dict[str, Any]:
    return {
        "name": "web",
        "machineType": "tiny",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}],
        "networkInterfaces": [{"subnetwork": f"{PIECES}/{subnetwork}", "accessConfigs": [{"natIP": address}]}],
    }


def use(gateway: Gateway, address: str, subnetwork: str = "sub") -> None:
    """An instance that has the address and is gone again, without a trace."""
    gateway.run("POST", INSTANCES, instance(address, subnetwork))
    gateway.run("DELETE", f"{INSTANCES}/web")
    for machine in gateway.simulator.do("admin", "listVirtualMachines", listall="true").get("virtualmachine", []):
        gateway.simulator.do("admin", "expungeVirtualMachine", id=machine["id"])
        gateway.simulator.settle()


def place(gateway: Gateway, address: dict[str, Any]) -> None:
    """Put the address in the network, or VPC, that is there, as other tools do."""
    (row,) = gateway.cloudstack("listNetworks", type="Isolated")
    home = {"vpcid": row["vpcid"]} if row.get("vpcid") else {"networkid": row["id"]}
    if not gateway.cloudstack("listPublicIpAddresses", issourcenat="true"):
        gateway.cloudstack("associateIpAddress", **home)  # which becomes the source NAT
    gateway.simulator.settle()
    gateway.cloudstack("associateIpAddress", ipaddress=address["address"], **home)
    gateway.simulator.settle()


def lying(gateway: Gateway) -> list[dict[str, Any]]:
    """The addresses that lie in no network."""
    return gateway.cloudstack("listPublicIpAddresses", state="Reserved")


def free(gateway: Gateway) -> list[dict[str, Any]]:
    return gateway.cloudstack("listPublicIpAddresses", state="Free")


def test_reserving_an_address_makes_no_network(fra: Gateway) -> None:
    address = reserve(fra)
    (row,) = lying(fra)
    assert (row["ipaddress"], row.get("associatednetworkid")) == (address["address"], None)
    assert fra.cloudstack("listNetworks", type="Isolated") == []


def test_a_released_address_leaves_no_tag_to_its_next_owner(fra: Gateway) -> None:
    reserve(fra)
    fra.run("DELETE", f"{ADDRESSES}/front")
    assert lying(fra) == []
    assert [row["ipaddress"] for row in free(fra) if row["tags"]] == []


@pytest.mark.parametrize("command", ["reserveIpAddress", "createTags"])
def test_an_address_is_reserved_once_though_the_answer_is_lost(fra: Gateway, command: str) -> None:
    fault = fra.simulator.faults.add("lose", command)
    reserve(fra)
    assert fault.hits
    assert len(lying(fra)) == 1


@pytest.mark.parametrize("command", ["deleteTags", "disassociateIpAddress"])
def test_an_address_is_released_though_the_answer_is_lost(fra: Gateway, command: str) -> None:
    reserve(fra)
    fault = fra.simulator.faults.add("lose", command)
    fra.run("DELETE", f"{ADDRESSES}/front")
    assert fault.hits
    assert (lying(fra), fra.names(ADDRESSES)) == ([], [])


@pytest.mark.parametrize("command", ["reserveIpAddress", "createTags"])
def test_an_address_that_cannot_be_reserved_is_given_back(fra: Gateway, command: str) -> None:
    fra.simulator.faults.add("status", command, code=530, text="no luck")
    assert "no luck" in fra.fail("POST", ADDRESSES, {"name": "front", "labels": {"a": "b"}})["message"]
    assert (lying(fra), fra.names(ADDRESSES)) == ([], [])
    assert [row for row in free(fra) if row["tags"]] == []


def test_an_address_whose_release_fails_is_as_it_was(fra: Gateway) -> None:
    address = reserve(fra)
    fra.simulator.faults.add("status", "disassociateIpAddress", code=530, text="no luck")
    assert "no luck" in fra.fail("DELETE", f"{ADDRESSES}/front")["message"]
    assert fra.get(f"{ADDRESSES}/front") == address


def test_two_that_choose_one_address_get_two(fra: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gstack.operations.reserving.hashlib.blake2b", _alike)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda number: reserve(fra, f"front-{number}")["address"], range(3)))
    assert len(set(found)) == len(lying(fra)) == 3


def leave_tags(gateway: Gateway, account: str, *besides: str) -> None:
    """What a former owner has left on all free addresses but ``besides``. By hand: there are 500, and an account may
    have 20."""
    world = gateway.simulator.world
    owner = next(one.id for one in world.account if one.name == account)
    for one in world.public_ip:
        if one.address not in besides:
            pairs = (("gstack:address", "theirs"), ("A", "c"))
            world.tags[one.id] = [Tag(key, value, "PublicIpAddress", one.id, owner) for key, value in pairs]


def test_an_address_with_a_former_owners_tags_is_the_last_to_be_chosen(fra: Gateway) -> None:
    clean = "192.168.2.77"
    leave_tags(fra, "tenant", clean)
    assert reserve(fra)["address"] == clean
    # And where there is no other, the account's own go.
    assert reserve(fra, "back")["labels"] == {"a": "b"}
    assert sorted(fra.names(ADDRESSES)) == ["back", "front"]


def test_an_address_whose_old_tags_cannot_be_deleted_is_given_back(fra: Gateway) -> None:
    leave_tags(fra, "other")
    assert "nobody else delete" in fra.fail("POST", ADDRESSES, {"name": "front"})["message"]
    assert (lying(fra), fra.names(ADDRESSES)) == ([], [])


@pytest.mark.parametrize("account", ["tenant", "other"])
def test_an_instances_own_address_has_no_tags_of_a_former_owners(fra: Gateway, account: str) -> None:
    piece(fra)
    leave_tags(fra, account)
    machine = instance("")
    machine["networkInterfaces"][0]["accessConfigs"] = [{"name": "nat"}]
    fra.run("POST", INSTANCES, machine)
    (row,) = fra.cloudstack("listPublicIpAddresses", isstaticnat="true")
    assert {tag["key"] for tag in row["tags"]} == {"gstack:ephemeral", "gstack:network"}
    fra.simulator.faults.add("fail-job", "deleteTags", times=None)
    fra.run("POST", INSTANCES, {**machine, "name": "other"})  # by an address that lost its tags as it was given back
    assert len(fra.cloudstack("listPublicIpAddresses", issourcenat="false")) == 2


class _Digest:
    """All operations choose alike, and another address at each try."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    def digest(self) -> bytes:
        return self.text.rpartition(b"/")[2]


def _alike(text: bytes, digest_size: int) -> _Digest:
    return _Digest(text)


@pytest.mark.parametrize("model", [{}, {"params": VPC}], ids=["isolated", "vpc"])
def test_a_network_goes_and_the_address_that_lay_in_it_stays(fra: Gateway, model: dict[str, Any]) -> None:
    fra.run("POST", "global/networks", {"name": "other", "autoCreateSubnetworks": False, **model})
    piece(fra, network="other")
    address = reserve(fra)
    use(fra, address["address"])
    assert fra.get(f"{ADDRESSES}/front") == address
    place(fra, address)
    assert lying(fra) == []
    fra.run("DELETE", f"{PIECES}/sub")
    assert fra.get(f"{ADDRESSES}/front") == address
    assert [row["ipaddress"] for row in lying(fra)] == [address["address"]]
    for command in ("listVPCs", "listPublicIpAddresses"):
        assert fra.cloudstack(command) == []


@pytest.mark.parametrize("command", ["disassociateIpAddress", "reserveIpAddress", "createTags", "deleteNetwork"])
def test_an_address_is_set_aside_whole_though_an_answer_is_lost(fra: Gateway, command: str) -> None:
    piece(fra)
    address = reserve(fra)
    place(fra, address)
    fault = fra.simulator.faults.add("lose", command)
    fra.run("DELETE", f"{PIECES}/sub")
    assert fault.hits
    assert fra.get(f"{ADDRESSES}/front") == address


@pytest.mark.parametrize("command", ["disassociateIpAddress", "reserveIpAddress", "createTags"])
def test_a_network_whose_deletion_fails_costs_nobody_an_address(fra: Gateway, command: str) -> None:
    piece(fra)
    address = reserve(fra)
    place(fra, address)
    fra.simulator.faults.add("status", command, code=530, text="no luck")
    assert "no luck" in fra.fail("DELETE", f"{PIECES}/sub")["message"]
    assert fra.get(f"{ADDRESSES}/front") == address
    assert fra.names(PIECES) == ["sub"]


@pytest.mark.parametrize("command", ["disassociateIpAddress", "reserveIpAddress", "createTags"])
@pytest.mark.parametrize("kind", ["lose", "status"])
def test_an_instance_goes_and_its_address_stays(fra: Gateway, kind: str, command: str) -> None:
    piece(fra)
    address = reserve(fra)
    fra.run("POST", INSTANCES, instance(address["address"]))
    more = {"code": 530, "text": "no luck"} if kind == "status" else {}
    fault = fra.simulator.faults.add(kind, command, **more)
    done = fra.run("DELETE", f"{INSTANCES}/web")
    assert fault.hits
    assert bool(done.get("warnings")) is (kind == "status")
    found = fra.get(f"{ADDRESSES}/front")
    assert (found["address"], found["labels"]) == (address["address"], {"a": "b"})


@pytest.mark.parametrize("command", ["associateIpAddress", "enableStaticNat"])
def test_an_instance_that_fails_leaves_the_address_to_its_owner(fra: Gateway, command: str) -> None:
    piece(fra)
    address = reserve(fra)
    fra.simulator.faults.add("status", command, code=530, text="no luck")
    assert "no luck" in fra.fail("POST", INSTANCES, instance(address["address"]))["message"]
    assert fra.get(f"{ADDRESSES}/front") == address


def test_an_address_is_used_in_one_network_after_the_other(fra: Gateway) -> None:
    piece(fra)
    fra.run("POST", "global/networks", {"name": "other", "autoCreateSubnetworks": False})
    piece(fra, "sub-2", "other", "10.2.0.0/24")
    address = reserve(fra)
    for name in ("sub", "sub-2", "sub"):
        use(fra, address["address"], name)
        assert fra.get(f"{ADDRESSES}/front") == address


def test_an_address_never_becomes_the_source_nat_of_a_network(fra: Gateway) -> None:
    """An instance whose network has never come to life has none yet."""
    piece(fra)
    address = reserve(fra)
    zone, network = fra.cloudstack("listZones", name="de-fra-1")[0], fra.cloudstack("listNetworks", type="Isolated")[0]
    offering = fra.cloudstack("listServiceOfferings")[0]["id"]
    template = fra.cloudstack("listTemplates", templatefilter="executable", zoneid=zone["id"])[0]["id"]
    asked = {"zoneid": zone["id"], "networkids": network["id"], "serviceofferingid": offering, "templateid": template}
    fra.simulator.do(fra.user, "deployVirtualMachine", name="web", startvm="false", **asked)
    fra.simulator.settle()
    config = {"name": "nat", "natIP": address["address"]}
    fra.run("POST", f"{INSTANCES}/web/addAccessConfig", config, networkInterface="nic0")
    assert fra.get(f"{ADDRESSES}/front")["status"] == "IN_USE"
    assert len(fra.cloudstack("listPublicIpAddresses", issourcenat="true")) == 1


def test_an_address_that_somebody_takes_while_it_moves_is_said_to_be_lost(fra: Gateway) -> None:
    piece(fra)
    address = reserve(fra)
    place(fra, address)
    for _ in range(2):
        fra.simulator.faults.add(
            "status", "reserveIpAddress", code=431, text="Unable to reserve a IP in Allocated state."
        )
    message = fra.fail("DELETE", f"{PIECES}/sub")["message"]
    assert address["address"] in message
    assert "Could not be undone" in message
    assert fra.names(PIECES) == ["sub"]
