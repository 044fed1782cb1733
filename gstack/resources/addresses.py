"""addresses: CloudStack's public addresses, those that were reserved by name and those of other tools.

The name and the labels are tags of the address. An instance's ephemeral address is not listed, as in GCE, nor is the
source NAT of a network. Visible differences: only external addresses of zones with isolated networks can be reserved
(in the others an instance's own address is its external one); until an instance uses it an address lies in some network
of its region, which cannot be deleted meanwhile. Upstream calls: one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import GceError, already_exists, invalid, not_found
from gstack.operations import engine, labels
from gstack.operations.networks import in_use
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import aggregated, listing
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import addresses, machines, networks, places, tags, zone_reads
from gstack.translate.names import is_label, label
from gstack.translate.times import rfc3339

Row = Mapping[str, Any]

_IPV6 = "Only IPv4 is supported."
_INTERNAL = "Internal addresses cannot be reserved. Say networkIP when an instance is made."
BODY = Policy(
    honoured=("name", "labels"),
    remembered=("description", "labelFingerprint"),
    only={
        "addressType": ("EXTERNAL", "UNSPECIFIED_TYPE"),
        "ipVersion": ("IPV4", "UNSPECIFIED_VERSION"),
        "networkTier": ("PREMIUM",),
    },
    refused={
        "address": "CloudStack chooses the address.",
        "ipCollection": "CloudStack has its own public addresses.",
        "ipv6EndpointType": _IPV6,
        "network": _INTERNAL,
        "prefixLength": "Ranges of addresses cannot be reserved.",
        "purpose": _INTERNAL,
        "subnetwork": _INTERNAL,
    },
)
LABELS = Policy(honoured=("labels", "labelFingerprint"))
NEEDS = ("listPublicIpAddresses",)
NAME_RULE = "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'"

refused("compute.addresses.move", "CloudStack cannot give an address to another account.")


@method("compute.addresses.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One address, by name or number."""
    name, row = _found(call)
    return view(call, call.params["region"], name, row)


@method("compute.addresses.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """The addresses of one region."""
    known, region = places.of_caller(call.caller), call.params["region"]
    if not known.region(region):
        raise not_found(f"projects/{call.project}/regions/{region}")
    rows = addresses.in_region(call.caller.cloud, known, region)
    names = addresses.names_of(rows)
    return listing(
        call,
        rows,
        lambda row: view(call, region, names[row["id"]], row),
        name=lambda row: names[row["id"]],
        created=lambda row: row.get("allocated"),
    )


@method("compute.addresses.aggregatedList", needs=NEEDS)
def aggregated_list(call: Call) -> dict[str, Any]:
    """The addresses of all regions."""
    known = places.of_caller(call.caller)
    read = zone_reads.of_all_zones(call, ("listPublicIpAddresses", {}))
    scopes = read.scopes(
        addresses.visible(read.rows[0]),
        lambda row: known.of(row.get("zoneid")),
        lambda place: f"regions/{place.region}",
    )
    shown = {scope: rows for scope, rows in scopes.items() if not isinstance(rows, Exception)}
    names = {key: name for rows in shown.values() for key, name in addresses.names_of(rows).items()}
    regions = {row["id"]: scope.removeprefix("regions/") for scope, rows in shown.items() for row in rows}
    return aggregated(
        call,
        scopes.items(),
        "addresses",
        lambda row: view(call, regions[row["id"]], names[row["id"]], row),
        name=lambda row: names[row["id"]],
        created=lambda row: row.get("allocated"),
        own_scopes=["global", *places.region_scopes(known)],
        all_scopes=places.all_scopes(known),
    )


@method("compute.addresses.insert", needs=(*NEEDS, "associateIpAddress", "createTags", "listNetworks"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Reserve an external address."""
    name, region = call.body.get("name"), call.params["region"]
    if not name:
        raise GceError("required", "Required field 'resource.name' not specified", location="resource.name")
    if not is_label(name):
        raise invalid("resource.name", name, NAME_RULE)
    known = places.of_caller(call.caller)
    zones = known.region(region)
    if not zones:
        raise not_found(f"projects/{call.project}/regions/{region}")
    able = [place for place in zones if networks.isolating(place)]
    if not able:
        why = f"In region {region} an instance's own address is its external one; there are none to be reserved."
        raise invalid("resource.region", region, why)
    path = _path(call, name)
    if addresses.find(call.caller.cloud, known, region, name) is not None:
        raise already_exists(path)
    given = networks.of_caller(call.caller, refresh=True)
    home, default = addresses.home(given, able), given.get(networks.DEFAULT)
    make = networks.auto_plan(call.caller, given, default, able[0]) if home is None and default is not None else None
    plan = {
        "zoneid": home.place.id if home else able[0].id,
        "network": home.id if home else None,
        "vpc": home.vpc if home else None,
        "make": make,
        "tags": tags.join(
            tags.plan_labels((), call.body.get("labels") or {}, "resource.labels"),
            tags.plan_own((), {addresses.NAME: name}),
        ).create,
        "description": call.body.get("description") or "",
    }
    return engine.start(call, "op.addresses.insert", type="insert", target=path, plan=plan, claim=path)


@method("compute.addresses.delete", needs=(*NEEDS, "disassociateIpAddress"))
def delete(call: Call) -> dict[str, Any]:
    """Release an address that nothing uses."""
    name, row = _found(call)
    path = _path(call, name)
    if addresses.used(row):
        raise in_use(path, f"'{_user(call, row) or 'rules in CloudStack'}'")
    target_id, plan = numeric_id(row["id"]), {"id": row["id"], "vpc": row.get("vpcid")}
    return engine.start(call, "op.addresses.delete", type="delete", target=path, target_id=target_id, plan=plan)


@method("compute.addresses.setLabels", needs=(*NEEDS, "createTags", "deleteTags", "listTags"), body=LABELS)
def set_labels(call: Call) -> dict[str, Any]:
    """Put the body's labels in the place of an address's."""
    # Google's path calls it differently here than in the other methods.
    name, row = _found(call, call.params["resource"])
    return labels.start(call, "PublicIpAddress", row, _path(call, name))


def view(call: Call, region: str, name: str, row: Row) -> dict[str, Any]:
    """An address."""
    own = tags.labels(row.get("tags") or ())
    user = _user(call, row)
    return render(
        "address",
        id=str(numeric_id(row["id"])),
        creation_timestamp=rfc3339(row.get("allocated")),
        name=name,
        description=overlay.read(addresses.KIND, row["id"]).get("description") or "",
        address=row["ipaddress"],
        status="IN_USE" if addresses.used(row) else "RESERVED",
        region=call.links.region(call.project, region),
        users=[call.links.absolute(user)] if user else [],
        labels=own or None,
        label_fingerprint=fingerprint(own),
        self_link=call.links.absolute(f"projects/{call.project}/regions/{region}/addresses/{name}"),
    )


def _user(call: Call, row: Row) -> str | None:
    """The link of the instance that has an address, from ``projects/`` on."""
    place = places.of_caller(call.caller).of(row.get("zoneid"))
    if not row.get("virtualmachineid") or place is None:
        return None
    machine = {
        "id": row["virtualmachineid"],
        "name": row.get("virtualmachinename") or "",
        "displayname": row.get("virtualmachinedisplayname") or "",
    }
    return f"projects/{call.project}/zones/{place.name}/instances/{label(machines.wanted_name(machine))}"


def _found(call: Call, name: str | None = None) -> tuple[str, Row]:
    region, wanted = call.params["region"], name or call.params["address"]
    found = addresses.find(call.caller.cloud, places.of_caller(call.caller), region, wanted)
    if found is None:
        raise not_found(_path(call, wanted))
    return found


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/regions/{call.params['region']}/addresses/{name}"
