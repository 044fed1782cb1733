"""forwardingRules: external ones, as load-balancer rules of CloudStack's on a public address.

The rule itself is a row of gstack's store; each of its ports is a load-balancer rule, as long as an instance of its
pool or backend service is there. They follow whatever changes: see operations/balancing.py. The firewalls of the
members become firewall rules on the address. Visible differences: TCP only (CloudStack's router refuses to balance UDP,
as recorded: "LB service provider cannot support this rule"); the client's address is not seen by the
instances, as CloudStack's router passes connections on; members are in one network that gstack made, of one zone; VPCs
and zones with security groups have no balancers that gstack could guard. What other tools balance is not shown.
Upstream calls: none for reads.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import GceError, invalid, not_found
from gstack.operations import balancing_changes, engine
from gstack.operations.kept import Collection
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import identity
from gstack.translate import addresses, balancing, kept, networks, places, reasons, reservations, tags
from gstack.translate.networks import ISOLATED, Subnetwork

_INTERNAL = "There are no internal balancers."
_PROXY = "There are no proxies: a rule leads to a target pool or a backend service."
BODY = Policy(
    honoured=("name", "IPAddress", "portRange", "ports", "target", "backendService", "labels"),
    remembered=("description",),
    only={
        "IPProtocol": ("TCP",),
        "ipVersion": ("IPV4", "UNSPECIFIED_VERSION"),
        "loadBalancingScheme": ("EXTERNAL",),
        "networkTier": ("PREMIUM",),
    },
    refused={
        "IPAddresses": "A rule has one address.",
        "allPorts": "CloudStack balances port by port: say which.",
        "allowGlobalAccess": _INTERNAL,
        "allowPscGlobalAccess": _INTERNAL,
        "externalManagedBackendBucketMigrationState": _PROXY,
        "externalManagedBackendBucketMigrationTestingPercentage": _PROXY,
        "ipCollection": reasons.OWN_ADDRESSES,
        "isMirroringCollector": _INTERNAL,
        "metadataFilters": _PROXY,
        "network": _INTERNAL,
        "noAutomateDnsZone": _INTERNAL,
        "serviceDirectoryRegistrations": "There is no service directory.",
        "serviceLabel": _INTERNAL,
        "sourceIpRanges": "Rules cannot steer by source; firewalls say who is let in.",
        "subnetwork": _INTERNAL,
    },
)
PATCH = Policy(honoured=("name", "fingerprint"), only={"networkTier": ("PREMIUM",)})
TARGET = Policy(honoured=("target",))
LABELS = Policy(honoured=("labels", "labelFingerprint"))
MAKES = (
    "listPublicIpAddresses",
    "listVirtualMachines",
    "listNetworks",
    "listLoadBalancerRules",
    "createLoadBalancerRule",
    "assignToLoadBalancerRule",
    "createTags",
)
IN_USE = "The IP address '{}' is already being used by '{}'."


@method("compute.forwardingRules.get")
def get(call: Call) -> dict[str, Any]:
    """One forwarding rule, by name or number."""
    return RULES.get(call)


@method("compute.forwardingRules.list")
def list_(call: Call) -> dict[str, Any]:
    """The forwarding rules of one region."""
    return RULES.list(call)


@method("compute.forwardingRules.aggregatedList")
def aggregated_list(call: Call) -> dict[str, Any]:
    """All forwarding rules."""
    return RULES.aggregated(call, "global", "regions")


@method("compute.forwardingRules.insert", needs=(*MAKES, "associateIpAddress"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Give what is balanced an address."""
    member, path = _target(call, call.body, "resource.")
    body = {
        "description": call.body.get("description"),
        member: path,
        "labels": call.body.get("labels") or {},
        "ipVersion": call.body.get("ipVersion"),
        **_ports(call.body),
    }
    tags.check_labels(body["labels"], "resource.labels")
    row = RULES.new(call, {name: value for name, value in body.items() if value is not None})
    region = str(call.params["region"])
    plan = {"row": row, **_place(call, row, region, f"resource.{member}")}
    target = RULES.path(call, row)
    return engine.start(call, "op.forwardingRules.insert", type="insert", target=target, plan=plan, claim=target)


@method("compute.forwardingRules.setTarget", needs=MAKES, body=TARGET)
def set_target(call: Call) -> dict[str, Any]:
    """Lead a rule to another target pool or backend service."""
    row, link = RULES.found(call), call.body.get("target")
    member = "backendService" if "/backendServices/" in f"/{link}" else "target"
    _, path = _target(call, {member: link}, "")
    led = {**row, "body": {member: path}}
    balancing.home(call.caller, balancing.members(call.caller.project, led), "target")
    put = {"target": None, "backendService": None, member: path}
    return balancing_changes.start(call, RULES.name, row, put=put, type="SetTarget")


@method("compute.forwardingRules.setLabels", needs=balancing.BALANCES, body=LABELS)
def set_labels(call: Call) -> dict[str, Any]:
    """Put the body's labels in the place of a rule's."""
    row, labels = RULES.found(call), call.body.get("labels") or {}
    tags.check_labels(labels)
    seen = ("labels", str(call.body.get("labelFingerprint", "")))
    return balancing_changes.start(call, RULES.name, row, put={"labels": labels}, seen=seen)


@method("compute.forwardingRules.patch", needs=balancing.BALANCES, body=PATCH)
def patch(call: Call) -> dict[str, Any]:
    """Change the network tier, of which there is one."""
    row = RULES.found(call)
    if call.body.get("name", row["name"]) != row["name"]:
        raise invalid("resource.name", call.body["name"], "It cannot be changed.")
    seen = (None, str(call.body["fingerprint"])) if call.body.get("fingerprint") else None
    return balancing_changes.start(call, RULES.name, row, seen=seen)


@method("compute.forwardingRules.delete", needs=("listPublicIpAddresses", "deleteLoadBalancerRule"))
def delete(call: Call) -> dict[str, Any]:
    """Take a rule away, and its address unless that was reserved."""
    row = RULES.found(call)
    plan = {"key": kept.key(call.caller.project, RULES.name, row), "number": row["number"]}
    target, number = RULES.path(call, row), row["number"]
    return engine.start(call, "op.forwardingRules.delete", type="delete", target=target, target_id=number, plan=plan)


def view(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """A forwarding rule."""
    body, said = row["body"], RULES.shown(call, row)
    del said["zone"]
    below = call.links.absolute(f"projects/{call.project}")
    links = {member: f"{below}/{body[member]}" for member in ("target", "backendService") if member in body}
    return render(
        "forwarding_rule",
        **said,
        ip_address=body["IPAddress"],
        port_range=body.get("portRange"),
        ports=body.get("ports") or [],
        target=links.get("target"),
        backend_service=links.get("backendService"),
        ip_version=body.get("ipVersion"),
        labels=body["labels"] or None,
        label_fingerprint=fingerprint(body["labels"]),
        fingerprint=fingerprint(body),
    )


RULES = Collection(balancing.RULES, "forwardingRule", view)


def _target(call: Call, body: dict[str, Any], prefix: str) -> tuple[str, str]:
    """What a rule leads to: the member that says it and the path below the project."""
    given = {member: body[member] for member in ("target", "backendService") if body.get(member)}
    if len(given) != 1:
        where = f"{prefix}target"
        raise GceError("required", f"Either '{where}' or 'backendService' must be specified", location=where)
    ((member, link),) = given.items()
    where, region = f"{prefix}{member}", str(call.params["region"])
    if member == "target" and "/targetPools/" not in f"/{link}" and "/" in link:
        raise invalid(where, link, _PROXY)
    collection = balancing.POOLS if member == "target" else balancing.SERVICES
    path = balancing.referenced(call.caller, link, collection, where, region=region)
    if not path.startswith(f"regions/{region}/"):
        raise invalid(where, link, f"It must be in region {region}.")
    return member, path


def _ports(body: dict[str, Any]) -> dict[str, Any]:
    """``ports`` or ``portRange`` as GCE shows them. Raises GceError."""
    listed, text = body.get("ports") or [], str(body.get("portRange") or "")
    if bool(listed) == bool(text):
        why = "Specify either 'resource.portRange' or 'resource.ports': CloudStack balances port by port"
        raise GceError("required", why, location="resource.portRange")
    where = "resource.ports" if listed else "resource.portRange"
    first, _, last = text.partition("-")
    numbers = [*listed] if listed else [first, last or first]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part) <= 65535 for part in numbers):
        raise invalid(where, text or ", ".join(listed), "Must be ports from 1 to 65535.")
    if listed and len(set(map(int, listed))) != len(listed):
        raise invalid(where, ", ".join(listed), "A port is named twice.")
    if not listed and int(numbers[0]) > int(numbers[1]):
        raise invalid(where, text, "The first port must not be greater than the last.")
    said: dict[str, Any] = {"ports": listed} if listed else {"portRange": f"{int(numbers[0])}-{int(numbers[1])}"}
    if len(balancing.ports(said)) > balancing.MOST_PORTS:
        why = f"CloudStack balances port by port: {balancing.MOST_PORTS} ports at most."
        raise invalid(where, text or ", ".join(listed), why)
    return said


def _place(call: Call, row: dict[str, Any], region: str, field: str) -> dict[str, Any]:
    """The address that the rule is to have, or where it is to get one: what the workflow needs."""
    able = [place for place in places.of_caller(call.caller).region(region) if networks.isolating(place)]
    if not able:
        why = f"In region {region} instances are in zones with security groups, where CloudStack has no balancers."
        raise invalid("resource.region", region, why)
    piece = balancing.home(call.caller, balancing.members(call.caller.project, row), field)
    if call.body.get("IPAddress"):
        return {"address": _reserved(call, row, region, piece), "network": None, "zoneid": None, "make": None}
    given = networks.of_caller(call.caller, refresh=True)
    if piece is None:
        isolated = [one for one in given.subnetworks(region) if one.kind == ISOLATED and one.owned]
        piece = min(isolated, key=lambda one: (str(one.row.get("created")), one.id), default=None)
    default = given.get(networks.DEFAULT)
    make = networks.auto_plan(call.caller, given, default, able[0]) if piece is None and default is not None else None
    if piece is None and (make is None or make["model"] == networks.VPC):
        raise invalid(field, row["name"], f"There is no isolated network in region {region} for its address.")
    zoneid = piece.place.id if piece else able[0].id
    return {"address": None, "network": piece.id if piece else None, "zoneid": zoneid, "make": make}


def _reserved(call: Call, row: dict[str, Any], region: str, piece: Subnetwork | None) -> str:
    """CloudStack's id of the reserved address that the body names."""
    text, where = str(call.body["IPAddress"]), "resource.IPAddress"
    wanted = text.rpartition("/")[2]
    known = [one for one in reservations.of_region(call.caller, region) if not one.internal]
    found = next((one for one in known if wanted in (one.name, one.address)), None)
    if found is None:
        if "/" in text:
            raise not_found(f"projects/{call.project}/regions/{region}/addresses/{wanted}")
        raise invalid(where, text, "It must be a reserved address of the region.")
    if piece is None and found.row.get("vpcid"):
        raise invalid(where, text, balancing.UNGUARDED)
    if piece is not None and found.row.get("zoneid") != piece.place.id:
        raise invalid(where, text, f"CloudStack has it in another zone than {piece.place.name}.")
    sharing = [one for one in kept.rows(call.caller.project, RULES.name) if one["body"]["IPAddress"] == found.address]
    # One that this very rule has was left to it by a store that is lost: no other rule can be of its name now. One that
    # is this gateway's has a rule that comes or goes; whether both have room is seen when this one is remembered.
    store = identity.known()
    own = store is not None and networks.marks(found.row).get(addresses.KEEPER) == store
    if found.used and not (own or sharing or found.user == kept.path(RULES.name, row)):
        raise GceError("resourceInUseByAnotherResource", IN_USE.format(text, found.user or "rules in CloudStack"))
    mine = set(balancing.ports(row["body"]))
    for one in sharing:
        if mine & set(balancing.ports(one["body"])):
            user = kept.path(RULES.name, one)
            raise GceError("resourceInUseByAnotherResource", IN_USE.format(text, user), location=where)
    return str(found.row["id"])
