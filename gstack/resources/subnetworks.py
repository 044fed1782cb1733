"""subnetworks: CloudStack's networks, each a piece of a GCE network in one zone.

Shared networks with security groups are pieces of ``default``; isolated ones and tiers of VPCs are what their marks
say; see translate/networks.py. Visible differences: a subnetwork lives in one zone, the first of its region where
isolated networks can be made; there is one for each network and zone, since two isolated networks have no route between
them, unless the network is of the VPC model; its range has /22 to /29 and never grows.
Upstream calls: one, so that what was deleted elsewhere is not shown.
"""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import Any

from gstack.errors import GceError, already_exists, in_use, invalid, not_found, required
from gstack.operations import engine
from gstack.operations.networks import SUBNETWORKS, UNMAKING
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.listing import listing, named
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import networks, permissions, places, reasons, reservations, scopes
from gstack.translate.names import checked_name
from gstack.translate.networks import MODEL_TAG, Network, Subnetwork
from gstack.translate.places import Place
from gstack.translate.times import rfc3339

_LOGS = "CloudStack keeps no flow logs."
_NO_SERVICES = "There are no Google services to be reached."
BODY = Policy(
    honoured=("name", "network", "region", "ipCidrRange"),
    remembered=("description", "fingerprint"),
    only={
        "purpose": ("PRIVATE", "PRIVATE_RFC_1918"),
        "stackType": ("IPV4_ONLY",),
        "privateIpv6GoogleAccess": ("DISABLE_GOOGLE_ACCESS",),
    },
    refused={
        "allowSubnetCidrRoutesOverlap": "There are no routes but those of the subnetworks.",
        "enableFlowLogs": _LOGS,
        "externalIpv6Prefix": reasons.IPV6,
        "internalIpv6Prefix": reasons.IPV6,
        "ipCollection": reasons.OWN_ADDRESSES,
        "ipv6AccessType": reasons.IPV6,
        "logConfig": _LOGS,
        "params": reasons.RESOURCE_MANAGER_TAGS,
        "privateIpGoogleAccess": _NO_SERVICES,
        "reservedInternalRange": "Say ipCidrRange instead.",
        "resolveSubnetMask": "Guests get the mask of the subnetwork.",
        "role": "There are no proxies.",
        "secondaryIpRanges": reasons.ONE_RANGE,
    },
)
NEEDS = ("listNetworks",)
MAKING = (*NEEDS, "createNetwork", "deleteNetwork", "createTags", "listNetworkOfferings", "createEgressFirewallRule")

# What a subnetwork keeps for life.
FIXED = ("name", "network", "region", "ipCidrRange", "description")

refused("compute.subnetworks.setIamPolicy", permissions.NO_OWN_POLICY)
refused("compute.subnetworks.expandIpCidrRange", "CloudStack cannot change the range of a network.")


@method("compute.subnetworks.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One subnetwork, by name or number."""
    return view(call, _found(call))


@method("compute.subnetworks.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """The subnetworks of one region."""
    region = places.require_region(call.caller, call.params["region"])
    rows = networks.of_caller(call.caller, refresh=True).subnetworks(region)
    return listing(call, rows, named(partial(view, call)))


@method("compute.subnetworks.aggregatedList", needs=NEEDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The subnetworks of all regions."""
    known = networks.of_caller(call.caller, refresh=True)
    rows = scopes.grouped(known.subnetworks(), lambda piece: f"regions/{piece.region}")
    return scopes.aggregated_in(call, ("regions",), rows, "subnetworks", named(partial(view, call)))


@method("compute.subnetworks.listUsable", needs=NEEDS)
def list_usable(call: Call) -> dict[str, Any]:
    """The subnetworks in which instances can be made."""
    rows = [piece for piece in networks.of_caller(call.caller, refresh=True).subnetworks() if piece.usable]
    return listing(call, rows, named(partial(usable, call)))


@method("compute.subnetworks.insert", needs=MAKING, body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make an isolated network."""
    region = call.params["region"]
    name = checked_name(call.body.get("name"))
    given = call.body.get("region")
    if given and call.caller.refer(given, collection="regions", field="resource.region").name != region:
        raise invalid("resource.region", given, f"It must be the region of the URL, {region}.")
    known = networks.of_caller(call.caller, refresh=True)
    wanted = call.caller.refer(_required(call, "network"), collection="networks", field="resource.network")
    network = known.get(wanted.name) if wanted.project == call.project else None
    if network is None:
        raise invalid("resource.network", call.body["network"], "The referenced network resource cannot be found.")
    path = f"projects/{call.project}/regions/{region}/subnetworks/{name}"
    if any(piece.name == name for piece in known.subnetworks(region)):
        raise already_exists(path)
    place = _place(call, region, network)
    cidr = _range(call, network)
    _check_tier(call, network, place, cidr)
    plan = networks.plan(call.caller, network, name, place, cidr, call.body.get("description") or "")
    return engine.start(call, "op.subnetworks.insert", type="insert", target=path, plan=plan, claim=path)


@method("compute.subnetworks.patch", needs=(*NEEDS, "updateNetwork"), body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Nothing of a subnetwork can change, so what is sent must be as it is."""
    piece = _found(call)
    shown = view(call, piece)
    for member in FIXED:
        if member in call.body and not _same(call.body[member], shown.get(member, ""), member):
            raise invalid(f"resource.{member}", call.body[member], "It cannot be changed.")
    seen = call.body.get("fingerprint")
    if seen != shown["fingerprint"]:
        message = "Supplied fingerprint does not match current subnetwork fingerprint."
        raise GceError("conditionNotMet", message, location="resource.fingerprint")
    return _unchanged(call, piece)


@method(
    "compute.subnetworks.setPrivateIpGoogleAccess",
    needs=(*NEEDS, "updateNetwork"),
    body=Policy(refused={"privateIpGoogleAccess": _NO_SERVICES}),
)
def set_private_ip_google_access(call: Call) -> dict[str, Any]:
    """Switch the way to Google's services off, as it is."""
    return _unchanged(call, _found(call))


@method("compute.subnetworks.delete", needs=(*NEEDS, *UNMAKING))
def delete(call: Call) -> dict[str, Any]:
    """Delete an isolated network in which there is no instance and no reserved address."""
    piece = _found(call)
    path = f"projects/{call.project}/{piece.path}"
    if not piece.owned:
        raise GceError("unsupported", f"The subnetwork '{path}' belongs to CloudStack's operator or to other tools.")
    for one in reservations.stored(call.caller):
        if one["networkid"] == piece.id:
            raise in_use(path, f"'projects/{call.project}/regions/{piece.region}/addresses/{one['name']}'")
    return engine.start(
        call, "op.subnetworks.delete", type="delete", target=path, target_id=piece.number, plan={"id": piece.id}
    )


@method("compute.subnetworks.testIamPermissions", needs=NEEDS, body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a subnetwork."""
    _found(call, call.params["resource"])
    return permissions.held(call)


@method("compute.subnetworks.getIamPolicy", needs=NEEDS)
def get_iam_policy(call: Call) -> dict[str, Any]:
    """The policy of a subnetwork, which has none."""
    _found(call, call.params["resource"])
    return permissions.policy()


def usable(call: Call, piece: Subnetwork) -> dict[str, Any]:
    """A subnetwork as listUsable shows it."""
    return render(
        "usable_subnetwork",
        subnetwork=call.links.absolute(f"projects/{call.project}/{piece.path}"),
        network=call.links.absolute(f"projects/{call.project}/global/networks/{piece.network}"),
        ip_cidr_range=piece.row.get("cidr"),
    )


def view(call: Call, piece: Subnetwork) -> dict[str, Any]:
    """A subnetwork."""
    row = piece.row
    ipv6 = row.get("ip6cidr")
    return render(
        "subnetwork",
        id=str(piece.number),
        creation_timestamp=rfc3339(row.get("created")),
        name=piece.name,
        description=_description(piece),
        network=call.links.absolute(f"projects/{call.project}/global/networks/{piece.network}"),
        region=call.links.region(call.project, piece.region),
        ip_cidr_range=row.get("cidr"),
        gateway_address=row.get("gateway"),
        fingerprint=fingerprint([piece.id, row.get("cidr"), ipv6]),
        stack_type="IPV4_IPV6" if ipv6 else "IPV4_ONLY",
        ipv6_access_type="EXTERNAL" if ipv6 else None,
        ipv6_cidr_range=ipv6,
        self_link=call.links.absolute(f"projects/{call.project}/{piece.path}"),
    )


def _description(piece: Subnetwork) -> str | None:
    if not piece.owned:
        return piece.row.get("displaytext")
    return overlay.read(SUBNETWORKS, piece.id).get("description")


def _unchanged(call: Call, piece: Subnetwork) -> dict[str, Any]:
    """The operation of a change after which all is as it was."""
    path = f"projects/{call.project}/{piece.path}"
    return engine.done(call, type=call.method.verb, target=path, target_id=piece.number)


def _same(given: str, shown: str, member: str) -> bool:
    """Whether a member says what is there; links may be written in part."""
    linked = member in ("network", "region")
    return given == shown or (linked and shown.endswith("/" + given.rpartition("projects/")[2].lstrip("/")))


def _found(call: Call, name: str | None = None) -> Subnetwork:
    region, wanted = call.params["region"], name or call.params["subnetwork"]
    for piece in networks.of_caller(call.caller, refresh=True).subnetworks(region):
        if wanted in (piece.name, str(piece.number)):
            return piece
    raise not_found(f"projects/{call.project}/regions/{region}/subnetworks/{wanted}")


def _required(call: Call, member: str) -> str:
    value = call.body.get(member)
    if not value:
        raise required(f"resource.{member}")
    return str(value)


def _place(call: Call, region: str, network: Network) -> Place:
    """The zone of a new subnetwork: the first of the region where isolated networks can be made."""
    zones = places.of_caller(call.caller).region(places.require_region(call.caller, region))
    able = [place for place in zones if networks.isolating(place)]
    if not able:
        why = f"No zone of region {region} lets users make networks: all instances there share the network 'default'."
        raise invalid("resource.region", region, why)
    if network.subnetworks and not network.owned and network.name != networks.DEFAULT:
        raise invalid(
            "resource.network", network.name, "The network belongs to CloudStack's operator or to other tools."
        )
    if network.model(call.caller.settings["NETWORK_MODEL"]) == networks.VPC:
        return able[0]
    free = [place for place in able if network.in_zone(place.id) is None]
    if not free:
        there = network.in_zone(able[0].id)
        why = (
            f"It has the subnetwork '{there.name if there else ''}' in zone {able[0].name} already. Two isolated "
            "networks of CloudStack have no route between them; that takes a network of the VPC model "
            f"({MODEL_TAG}=vpc, or the operator's setting NETWORK_MODEL)."
        )
        raise invalid("resource.network", network.name, why)
    return free[0]


def _range(call: Call, network: Network) -> ipaddress.IPv4Network:
    """The range that the body asks for, which CloudStack can give and no other piece of the network has."""
    text, where = _required(call, "ipCidrRange"), "resource.ipCidrRange"
    try:
        cidr = ipaddress.IPv4Network(text)
    except ValueError:
        raise invalid(where, text, "Must be an IPv4 range in CIDR notation, such as 10.0.0.0/24.") from None
    if not networks.WIDEST <= cidr.prefixlen <= networks.NARROWEST:
        why = f"CloudStack's isolated networks have /{networks.WIDEST} to /{networks.NARROWEST}."
        raise invalid(where, text, why)
    if not any(cidr.subnet_of(one) for one in networks.PRIVATE):
        raise invalid(where, text, "CloudStack takes private ranges only (RFC 1918 and RFC 6598).")
    other = next((piece for piece in network.subnetworks if piece.range and piece.range.overlaps(cidr)), None)
    if other is not None:
        raise invalid(where, text, f"It overlaps with subnetwork '{other.name}', {other.range}.")
    return cidr


def _check_tier(call: Call, network: Network, place: Place, cidr: ipaddress.IPv4Network) -> None:
    """Raise GceError for a range outside of that of the VPC that the subnetwork will be a tier of."""
    plan = networks.plan(call.caller, network, "", place, cidr)
    if plan["model"] != networks.VPC:
        return
    row = next((piece.row for piece in network.subnetworks if piece.place.id == place.id and piece.vpc), None)
    whole = plan["vpc_range"]
    if row is not None:
        whole = (call.caller.cloud.first("listVPCs", id=row["vpcid"]) or {}).get("cidr") or whole
    if not cidr.subnet_of(ipaddress.IPv4Network(whole, strict=False)):
        raise invalid("resource.ipCidrRange", str(cidr), f"The VPC of the network in zone {place.name} has {whole}.")
