"""instances: the verbs that change the interfaces of a running instance: more and fewer of them, their external
addresses, static NAT in CloudStack, and alias ranges, further addresses of a nic.

Apart from instances.py, which makes and shows instances. Visible differences: where security groups guard, an
instance's own address is its external one, and the verbs of access configs are refused; an alias range is one address;
an interface stays in its network, and keeps its address. Upstream calls: two, three with a natIP.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import GceError, invalid
from gstack.operations import engine, nics
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.translate import interfaces, machines, networks, reasons
from gstack.translate.deployments import ACCESS_CONFIG
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
        "externalIpv6": reasons.IPV6,
        "externalIpv6PrefixLength": reasons.IPV6,
        "publicPtrDomainName": reasons.REVERSE_DNS,
        "securityPolicy": reasons.CLOUD_ARMOR,
        "setPublicPtr": reasons.REVERSE_DNS,
    },
)
ADDED = Policy(
    honoured=(
        "network",
        "subnetwork",
        "networkIP",
        "aliasIpRanges[].ipCidrRange",
        "accessConfigs[].natIP",
    ),
    remembered=("accessConfigs[].name",),
    only={
        "accessConfigs[].type": ("ONE_TO_ONE_NAT",),
        "accessConfigs[].networkTier": ("PREMIUM",),
        "stackType": ("IPV4_ONLY", "UNSPECIFIED_STACK_TYPE"),
        "nicType": ("VIRTIO_NET", "UNSPECIFIED_NIC_TYPE"),
    },
    refused={
        "aliasIpRanges[].subnetworkRangeName": reasons.ONE_RANGE,
        "ipv6AccessConfigs": reasons.IPV6,
        "ipv6Address": reasons.IPV6,
        "vlan": "CloudStack gives an interface its VLAN.",
    },
)
INTERFACE = Policy(
    honoured=("fingerprint", "aliasIpRanges[].ipCidrRange", "network", "subnetwork", "networkIP"),
    only={"stackType": ("IPV4_ONLY", "UNSPECIFIED_STACK_TYPE"), "nicType": ("VIRTIO_NET", "UNSPECIFIED_NIC_TYPE")},
    refused={
        "accessConfigs": "Access configs have verbs of their own.",
        "aliasIpRanges[].subnetworkRangeName": reasons.ONE_RANGE,
        "ipv6AccessConfigs": reasons.IPV6,
        "ipv6Address": reasons.IPV6,
    },
)


@method(
    "compute.instances.addAccessConfig",
    needs=(*READS, "associateIpAddress", "enableStaticNat", "createTags", "createFirewallRule"),
    body=BODY,
)
def add_access_config(call: Call) -> dict[str, Any]:
    """Give an interface an external address."""
    place, row, nic, piece = _translated(call)
    if nic.get("publicip"):
        raise invalid("resource", nic["publicip"], "At most one access config currently supported.")
    found = interfaces.Interface(piece.network, piece)
    access = interfaces.access(call.caller, place, found, call.body.get("natIP"), "resource.natIP")
    return _start(call, place, row, {"access": access, "name": call.body.get("name") or ACCESS_CONFIG, **_nic(call)})


@method("compute.instances.deleteAccessConfig", needs=(*READS, "disableStaticNat", "disassociateIpAddress"))
def delete_access_config(call: Call) -> dict[str, Any]:
    """Take an interface's external address away; an ephemeral one is released."""
    place, row, nic, piece = _translated(call)
    if not nic.get("publicip"):
        raise invalid("accessConfig", call.params["accessConfig"], "The instance has no such access config.")
    return _start(call, place, row, {"network": piece.id, **_nic(call)})


@method("compute.instances.updateAccessConfig", needs=(*READS, "enableStaticNat"), body=BODY)
def update_access_config(call: Call) -> dict[str, Any]:
    """Give an access config another name: its address is fixed."""
    place, row, nic, _ = _translated(call)
    if not nic.get("publicip"):
        raise invalid("networkInterface", call.params["networkInterface"], "It has no access config.")
    wanted = call.body.get("natIP")
    if wanted and wanted != nic["publicip"]:
        why = "The address of an access config is fixed: delete it and add another."
        raise invalid("resource.natIP", wanted, why)
    return _start(call, place, row, {"name": call.body.get("name") or ACCESS_CONFIG, **_nic(call)})


@method(
    "compute.instances.updateNetworkInterface",
    needs=("listVirtualMachines", "listNetworks", "addIpToNic", "removeIpFromNic"),
    body=INTERFACE,
)
def update_network_interface(call: Call) -> dict[str, Any]:
    """Put the body's alias ranges in the place of an interface's; nothing else of it can change."""
    place, row, nic, piece = _found(call)
    there = [one["ipaddress"] for one in nic.get("secondaryip") or ()]
    nics.check_fingerprint(call.body.get("fingerprint"), nic)
    fixed = {
        "network": piece.network if piece else "",
        "subnetwork": piece.name if piece else "",
        "networkIP": nic.get("ipaddress"),
    }
    for member, value in fixed.items():
        given = call.body.get(member)
        if given and given.rpartition("/")[2] != value:
            raise invalid(f"resource.{member}", given, "It cannot be changed.")
    wanted = there
    if "aliasIpRanges" in call.body:
        network = piece.row if piece else {}
        wanted = list(interfaces.alias_addresses(call.body["aliasIpRanges"], network, "resource", nic.get("ipaddress")))
    plan = {
        "nic": nic["id"],
        "fingerprint": call.body["fingerprint"],
        "add": [address for address in wanted if address not in there],
        "remove": [address for address in there if address not in wanted],
    }
    return _start(call, place, row, plan)


@method(
    "compute.instances.addNetworkInterface",
    needs=("listVirtualMachines", "listNetworks", "addNicToVirtualMachine", "removeNicFromVirtualMachine"),
    body=ADDED,
)
def add_network_interface(call: Call) -> dict[str, Any]:
    """Give an instance one more interface, in another network."""
    place, row = _machine(call)
    if not networks.isolating(place):
        raise GceError("unsupported", f"Instances in zone {place.name} have one network interface.")
    known = networks.of_caller(call.caller, refresh=True)
    there = [piece.network if (piece := known.of(nic.get("networkid"))) else "" for nic in row.get("nic") or ()]
    project = (call.params["project"], call.caller.project.id)
    made = interfaces.another(call.caller, place, project, call.body, there)
    configs = [config.get("name") or ACCESS_CONFIG for config in call.body.get("accessConfigs") or []]
    return _start(call, place, row, {"interface": made.plan, "nic": f"nic{len(there)}", "configs": configs})


@method(
    "compute.instances.deleteNetworkInterface",
    needs=("listVirtualMachines", "listPublicIpAddresses", "removeNicFromVirtualMachine", "disableStaticNat"),
)
def delete_network_interface(call: Call) -> dict[str, Any]:
    """Take the last interface of several away, and its external address: CloudStack numbers those behind anew."""
    place, row = _machine(call)
    wanted, nics = call.params["networkInterfaceName"], row.get("nic") or []
    last = f"nic{len(nics) - 1}"
    if wanted != last or len(nics) < 2:
        why = (
            f"Of several interfaces the last can be deleted, which is {last}."
            if len(nics) > 1
            else "It is the only one."
        )
        raise invalid("networkInterfaceName", wanted, why)
    plan = {"nic": wanted, "nicid": nics[-1]["id"], "network": nics[-1]["networkid"]}
    return _start(call, place, row, plan)


def _translated(call: Call) -> tuple[Place, Row, Row, Subnetwork]:
    """As :func:`_found`, for an interface whose external address is static NAT."""
    place, row, nic, piece = _found(call)
    if piece is None or not piece.translated:
        why = "Only in isolated networks and VPCs is an external address something that an instance can have or not."
        raise GceError("unsupported", why, location="networkInterface")
    return place, row, nic, piece


def _found(call: Call) -> tuple[Place, Row, Row, Subnetwork | None]:
    """The zone, the machine, and the nic of the URL with the subnetwork it is in."""
    place, row = _machine(call)
    nic = machines.interface(row, call.params["networkInterface"])
    return place, row, nic, networks.find_piece(call.caller, nic.get("networkid"))


def _machine(call: Call) -> tuple[Place, Row]:
    place, _, row = machines.located(call.caller, call.params["zone"], call.params["instance"])
    return place, row


def _nic(call: Call) -> dict[str, str]:
    return {"nic": call.params["networkInterface"]}


def _start(call: Call, place: Place, row: Row, plan: dict[str, Any]) -> dict[str, Any]:
    name = label(machines.wanted_name(row)) if str(call.params["instance"]).isdigit() else call.params["instance"]
    return engine.start(
        call,
        f"op.instances.{call.method.verb}",
        type=call.method.verb,
        target=machines.path(call.project, place, name),
        target_id=numeric_id(row["id"]),
        plan={"machine": row["id"], **plan},
    )
