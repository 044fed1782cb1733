"""addresses: CloudStack's public addresses, those that were reserved by name and those of other tools; internal ones.

The name and the labels of an external address are tags of it. An instance's ephemeral address is not listed, as in GCE,
nor is the source NAT of a network; reserving one by its ``address`` makes it outlive its instance. An internal address
is reserved in gstack's store, where its instances are told what to wear. Visible differences: only external addresses
of zones with isolated networks can be reserved (in the others an instance's own address is its external one); other
tools do not know that an internal address is reserved. Upstream calls: two, as CloudStack lists addresses in networks
and in none apart; three where internal ones are reserved.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from gstack.errors import GceError, already_exists, in_use, invalid, not_found
from gstack.operations import engine, labels
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numbered, numeric_id
from gstack.protocol.listing import listing, named
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import (
    addresses,
    interfaces,
    kept,
    networks,
    permissions,
    places,
    reasons,
    reservations,
    scopes,
    tags,
    zone_reads,
)
from gstack.translate.names import checked_name
from gstack.translate.networks import Subnetwork
from gstack.translate.reservations import KIND, Address
from gstack.translate.times import rfc3339

BODY = Policy(
    honoured=("name", "labels", "address", "subnetwork"),
    remembered=("description", "labelFingerprint"),
    only={
        "addressType": ("EXTERNAL", "INTERNAL", "UNSPECIFIED_TYPE"),
        "ipVersion": ("IPV4", "UNSPECIFIED_VERSION"),
        "networkTier": ("PREMIUM",),
        "purpose": ("GCE_ENDPOINT",),
    },
    refused={
        "ipCollection": reasons.OWN_ADDRESSES,
        "ipv6EndpointType": reasons.IPV6,
        "network": "Internal addresses belong to a subnetwork.",
        "prefixLength": "Ranges of addresses cannot be reserved.",
    },
)
INTERNAL = "INTERNAL"
LABELS = Policy(honoured=("labels", "labelFingerprint"))
NEEDS = ("listPublicIpAddresses",)

refused("compute.addresses.move", reasons.MOVED_ADDRESS)


@method("compute.addresses.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One address, by name or number."""
    return view(call, _found(call))


@method("compute.addresses.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """The addresses of one region."""
    region = places.require_region(call.caller, call.params["region"])
    return listing(call, reservations.of_region(call.caller, region), named(partial(view, call)))


@method("compute.addresses.aggregatedList", needs=NEEDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The addresses of all regions."""
    known = places.of_caller(call.caller)
    read = zone_reads.of_all_zones(call, *addresses.READS)
    rows = read.scopes(
        addresses.visible(row for rows in read.rows for row in rows),
        lambda row: known.of(row.get("zoneid")),
        lambda place: f"regions/{place.region}",
    )
    found: dict[str, list[Address] | GceError] = {
        scope: some if isinstance(some, GceError) else reservations.external(some, known)
        for scope, some in rows.items()
    }
    for one in reservations.internal(call.caller):
        there = found.setdefault(f"regions/{one.region}", [])
        if not isinstance(there, GceError):
            there.append(one)
    return scopes.aggregated_in(call, ("global", "regions"), found, "addresses", named(partial(view, call)))


@method("compute.addresses.insert", needs=(*NEEDS, "reserveIpAddress", "createTags", "listNetworks"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Reserve an address."""
    region = places.require_region(call.caller, call.params["region"])
    name = checked_name(call.body.get("name"))
    path = _path(call, name)
    known = reservations.of_region(call.caller, region)
    if any(one.name == name for one in known):
        raise already_exists(path)
    if call.body.get("addressType") == INTERNAL:
        return _insert_internal(call, name, region, known)
    for member in ("subnetwork", "purpose"):
        if call.body.get(member):
            raise invalid(f"resource.{member}", call.body[member], "It is for addresses of type INTERNAL.")
    if call.body.get("address"):
        return _keep(call, name, region)
    return _reserve(call, name, region)


def _reserve(call: Call, name: str, region: str) -> dict[str, Any]:
    """A new external address."""
    able = [place for place in places.of_caller(call.caller).region(region) if networks.isolating(place)]
    if not able:
        why = f"In region {region} an instance's own address is its external one; there are none to be reserved."
        raise invalid("resource.region", region, why)
    plan = {
        "zoneid": addresses.place(networks.of_caller(call.caller), able).id,
        "tags": _tags(call, name),
        "description": call.body.get("description") or "",
    }
    path = _path(call, name)
    return engine.start(call, "op.addresses.insert", type="insert", target=path, plan=plan, claim=path)


def _keep(call: Call, name: str, region: str) -> dict[str, Any]:
    """The ephemeral address of an instance, which will outlive it."""
    wanted, where = call.body["address"], "resource.address"
    zones = {place.id for place in places.of_caller(call.caller).region(region)}
    rows = call.caller.cloud.list("listPublicIpAddresses", ipaddress=wanted)
    row = next((row for row in rows if row.get("zoneid") in zones), None)
    if row is None or addresses.EPHEMERAL not in networks.marks(row):
        raise invalid(where, wanted, "It must be the ephemeral address of an instance; CloudStack chooses new ones.")
    path = _path(call, name)
    plan = {"id": row["id"], "tags": _tags(call, name), "description": call.body.get("description") or ""}
    return engine.start(
        call, "op.addresses.keep", type="insert", target=path, target_id=numeric_id(row["id"]), plan=plan, claim=path
    )


def _tags(call: Call, name: str) -> list[dict[str, str]]:
    return tags.new_tags(call.body.get("labels") or {}, {addresses.NAME: name}, "resource.labels")


def _insert_internal(call: Call, name: str, region: str, known: list[Address]) -> dict[str, Any]:
    """An address of a subnetwork, kept for whoever asks for it."""
    piece = _subnetwork(call, region)
    mine = [one.address for one in known if one.internal and one.row["networkid"] == piece.id]
    tags.check_labels(call.body.get("labels") or {}, "resource.labels")
    key = kept.store_key(call.caller.project, KIND, f"{region}/{name}")
    content: dict[str, Any] = {
        **kept.born(call.caller.project, KIND, f"{region}/{name}"),
        "name": name,
        "region": region,
        "network": piece.network,
        "subnetwork": piece.name,
        "networkid": piece.id,
        "address": _inside(call, piece, mine),
        "labels": call.body.get("labels") or {},
        "description": call.body.get("description"),
    }
    if not overlay.add(KIND, key, call.project, content):
        raise already_exists(_path(call, name))  # by another request, since the look above
    return engine.done(call, type="insert", target=_path(call, name), target_id=content["number"])


def _inside(call: Call, piece: Subnetwork, reserved: list[str]) -> str:
    """The address of a subnetwork that the body asks for, or a free one."""
    where = "resource.address"
    wanted = interfaces.own_address(call.body.get("address"), piece.row, where)
    if wanted is None:
        return reservations.free(call.caller.cloud, piece, reserved)
    if wanted in reserved:
        message = f"IP address '{wanted}' is reserved already."
        raise GceError("resourceInUseByAnotherResource", message, location=where)
    return wanted


def _subnetwork(call: Call, region: str) -> Subnetwork:
    """The subnetwork of an internal address; that of network default where none is named."""
    link, where = call.body.get("subnetwork"), "resource.subnetwork"
    known = networks.of_caller(call.caller, refresh=True).subnetworks(region)
    wanted = networks.DEFAULT
    if link:
        reference = call.caller.refer(link, collection="subnetworks", field=where, region=region)
        wanted = reference.name if reference.project == call.project and reference.region == region else ""
    piece = next((piece for piece in known if piece.name == wanted), None) or numbered(wanted, known)
    if piece is None:
        raise invalid(where, link or wanted, "The referenced subnetwork resource cannot be found.")
    if not (piece.owned and piece.translated):
        why = "Others give out addresses of it as well. Only those of gstack's own networks can be reserved."
        raise invalid(where, link or wanted, why)
    return piece


@method("compute.addresses.delete", needs=(*NEEDS, "disassociateIpAddress", "deleteTags"))
def delete(call: Call) -> dict[str, Any]:
    """Release an address that nothing uses."""
    one = _found(call)
    path = _path(call, one.name)
    if one.used:
        user = f"projects/{call.project}/{one.user}" if one.user else "rules in CloudStack"
        raise in_use(path, f"'{user}'")
    if one.internal:
        overlay.drop(KIND, kept.store_key(call.caller.project, KIND, one.id))
        return engine.done(call, type="delete", target=path, target_id=one.number)
    plan = {"id": one.row["id"], "vpc": one.row.get("vpcid")}
    return engine.start(call, "op.addresses.delete", type="delete", target=path, target_id=one.number, plan=plan)


@method("compute.addresses.setLabels", needs=(*NEEDS, "createTags", "deleteTags", "listTags"), body=LABELS)
def set_labels(call: Call) -> dict[str, Any]:
    """Put the body's labels in the place of an address's."""
    # Google's path calls it differently here than in the other methods.
    one = _found(call, call.params["resource"])
    path, wanted = _path(call, one.name), call.body.get("labels") or {}
    if not one.internal:
        return labels.start(call, "PublicIpAddress", one.row, path)
    tags.check_labels(wanted)

    def changed(row: dict[str, Any]) -> dict[str, Any]:
        labels.check_seen(row.get("labels") or {}, call.body.get("labelFingerprint", ""))
        return {**row, "labels": wanted}

    if not overlay.change(KIND, kept.store_key(call.caller.project, KIND, one.id), changed):
        raise not_found(path)
    return engine.done(call, type="setLabels", target=path, target_id=one.number)


@method("compute.addresses.testIamPermissions", needs=NEEDS, body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on an address."""
    _found(call, call.params["resource"])
    return permissions.held(call)


def view(call: Call, one: Address) -> dict[str, Any]:
    """An address."""
    region = f"projects/{call.project}/regions/{one.region}"
    below = call.links.absolute(f"{region}/subnetworks/{one.row['subnetwork']}") if one.internal else None
    return render(
        "address",
        id=str(one.number),
        creation_timestamp=rfc3339(one.created),
        name=one.name,
        description=one.description or "",
        address=one.address,
        status="IN_USE" if one.used else "RESERVED",
        region=call.links.region(call.project, one.region),
        users=[call.links.absolute(f"projects/{call.project}/{one.user}")] if one.user else [],
        network_tier=None if one.internal else "PREMIUM",
        address_type=INTERNAL if one.internal else "EXTERNAL",
        purpose="GCE_ENDPOINT" if one.internal else None,
        subnetwork=below,
        labels=one.labels or None,
        label_fingerprint=fingerprint(one.labels),
        self_link=call.links.absolute(f"{region}/addresses/{one.name}"),
    )


def _found(call: Call, name: str | None = None) -> Address:
    wanted = name or call.params["address"]
    found = reservations.find(call.caller, call.params["region"], wanted)
    if found is None:
        raise not_found(_path(call, wanted))
    return found


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/regions/{call.params['region']}/addresses/{name}"
