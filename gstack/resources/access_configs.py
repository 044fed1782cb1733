"""instances: the verbs that give a running instance an external address and take it away, static NAT in CloudStack.

Apart from instances.py, which makes and shows instances. Visible differences: where security groups guard, an
instance's own address is its external one, and both verbs are refused. Upstream calls: two, three with a natIP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import GceError, invalid, not_found
from gstack.operations import engine
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.translate import interfaces, machines, networks, places
from gstack.translate.names import label
from gstack.translate.networks import Subnetwork
from gstack.translate.places import Place

Row = Mapping[str, Any]

READS = ("listVirtualMachines", "listNetworks", "listPublicIpAddresses")
BODY = Policy(
    honoured=("natIP",),
    remembered=("name",),
    only={"type": ("ONE_TO_ONE_NAT",), "networkTier": ("PREMIUM",)},
    refused={
        "externalIpv6": "Only IPv4 is supported.",
        "externalIpv6PrefixLength": "Only IPv4 is supported.",
        "publicPtrDomainName": "CloudStack keeps no reverse DNS.",
        "securityPolicy": "There are no security policies.",
        "setPublicPtr": "CloudStack keeps no reverse DNS.",
    },
)
NAME = "External NAT"


@method(
    "compute.instances.addAccessConfig",
    needs=(*READS, "associateIpAddress", "enableStaticNat", "createTags", "createFirewallRule"),
    body=BODY,
)
def add(call: Call) -> dict[str, Any]:
    """Give an instance an external address."""
    place, row, piece = _found(call)
    nic = row["nic"][0]
    if nic.get("publicip"):
        raise invalid("resource", nic["publicip"], "At most one access config currently supported.")
    found = interfaces.Interface(piece.network, piece)
    access = interfaces.access(call.caller, place, found, call.body.get("natIP"), "resource.natIP")
    return _start(call, "addAccessConfig", place, row, {"access": access, "name": call.body.get("name") or NAME})


@method("compute.instances.deleteAccessConfig", needs=(*READS, "disableStaticNat", "disassociateIpAddress"))
def delete(call: Call) -> dict[str, Any]:
    """Take an instance's external address away; an ephemeral one is released."""
    place, row, _ = _found(call)
    if not row["nic"][0].get("publicip"):
        raise invalid("accessConfig", call.params["accessConfig"], "The instance has no such access config.")
    return _start(call, "deleteAccessConfig", place, row, {})


def _found(call: Call) -> tuple[Place, Row, Subnetwork]:
    """The zone, the machine and the isolated network of its first interface."""
    place = places.require_zone(call.caller, call.params["zone"])
    found = machines.find(call.caller.cloud, place.id, call.params["instance"])
    if found is None:
        raise not_found(f"projects/{call.project}/zones/{place.name}/instances/{call.params['instance']}")
    row, wanted = found[1], call.params["networkInterface"]
    if wanted != "nic0" or not row.get("nic"):
        raise invalid("networkInterface", wanted, "The instance has the network interface nic0 only.")
    networkid = row["nic"][0].get("networkid")
    known = networks.of_caller(call.caller)
    piece = known.of(networkid) or networks.of_caller(call.caller, refresh=True).of(networkid)
    if piece is None or not piece.translated:
        why = "Only in isolated networks and VPCs is an external address something that an instance can have or not."
        raise GceError("unsupported", why, location="networkInterface")
    return place, row, piece


def _start(call: Call, verb: str, place: Place, row: Row, plan: dict[str, Any]) -> dict[str, Any]:
    name = label(machines.wanted_name(row)) if str(call.params["instance"]).isdigit() else call.params["instance"]
    return engine.start(
        call,
        f"op.instances.{verb}",
        type=verb,
        target=f"projects/{call.project}/zones/{place.name}/instances/{name}",
        target_id=numeric_id(row["id"]),
        plan={"machine": row["id"], **plan},
    )
