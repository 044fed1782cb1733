"""What the objects of load balancing say of one another: references, and who uses whom.

Apart because health checks, pools, groups, backend services and forwarding rules must agree on it. The surprising
thing: all of them are rows of the store that name each other by their paths below the project, so who uses an object is
found by looking for its path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError, invalid, not_found
from gstack.store import overlay
from gstack.translate import kept, machines, networks, places
from gstack.translate.caller import Caller, Project
from gstack.translate.names import akin
from gstack.translate.networks import ISOLATED, TIER, Subnetwork

Row = dict[str, Any]

POOLS, RULES, SERVICES, GROUPS = "targetPools", "forwardingRules", "backendServices", "instanceGroups"
# GCE's ways to stick, as far as CloudStack has them: its router hashes the client's address. It balances TCP alone, and
# an address of its own is one destination, so these are one and the same.
STICKY = ("CLIENT_IP", "CLIENT_IP_PROTO")
AFFINITIES = ("NONE", *STICKY)
# In a VPC the router itself takes connections for a balancer, before any access list. A balancer's own list of sources
# could say it, but updateLoadBalancerRule writes several so that HAProxy cannot read them (4.22,
# LoadBalancingRulesManagerImpl): each change of a firewall would have to take the balancer away and make it again.
UNGUARDED = "It is in a VPC, where CloudStack's balancers ask no access list: the firewalls could not hold."
# What a role must be allowed for what is kept here alone, too: whoever may only read must not lead others' packets.
BALANCES = ("createLoadBalancerRule",)
MOST_PORTS = 20  # each port is a rule of CloudStack's


def referenced(
    caller: Caller, given: str, collection: str, field: str, *, region: str | None = None, zone: str | None = None
) -> str:
    """The path below the project of the object of the store that ``field`` names. Raises GceError invalid, notFound."""
    reference = caller.refer(given, collection=collection, field=field, region=region, zone=zone)
    if reference.project != caller.project.id:
        raise invalid(field, given, "It belongs to another project.")
    scope = "/".join(filter(None, (reference.scope, reference.scope_name)))
    row = kept.find(caller.project, collection, scope, reference.name)
    if row is None:
        raise not_found(f"projects/{caller.project.id}/{scope}/{collection}/{reference.name}")
    return kept.path(collection, row)


def users(project: Project, path: str) -> list[str]:
    """The paths of the objects that name the one at ``path``."""
    return [
        kept.path(kind, row)
        for kind in (POOLS, SERVICES, RULES)
        for row in kept.rows(project, kind)
        if path in _named(row["body"])
    ]


def hold(project: Project, body: Row) -> None:
    """Before ``body`` is written: let nobody take away what it names until that is done. Raises GceError notFound where
    somebody has. The other half is in :func:`check_unused`: whichever of the two comes second sees the first."""
    for path in sorted(set(_named(body))):
        if not _held(project, path):
            raise not_found(f"projects/{project.id}/{path}")


def check_unused(project: Project, path: str) -> None:
    """Before the object at ``path`` is forgotten, in the same transaction. Raises GceError
    resourceInUseByAnotherResource where another object names it."""
    _held(project, path)
    for user in users(project, path):
        kind = re.sub("(?=[A-Z])", "_", path.split("/")[-2].removesuffix("s")).lower()
        message = (
            f"The {kind} resource 'projects/{project.id}/{path}' is already being used by "
            f"'projects/{project.id}/{user}'"
        )
        raise GceError("resourceInUseByAnotherResource", message)


def _held(project: Project, path: str) -> bool:
    scope, kind, name = path.rsplit("/", 2)
    return overlay.hold(kind, kept.store_key(project, kind, f"{scope}/{name}"))


def _named(body: Row) -> Iterator[str]:
    yield from body.get("healthChecks") or ()
    for member in ("target", "backendService"):
        if body.get(member):
            yield body[member]
    for backend in body.get("backends") or ():
        yield backend["group"]


def member(path: str, zoneid: str, machine: str | None = None) -> Row:
    """How a pool or a group keeps an instance: ``path`` below the project, CloudStack's id of its zone, and of the
    machine where only that very one is meant."""
    return {"path": path, "zoneid": zoneid, **({"id": machine} if machine else {})}


def members(project: Project, rule: Row) -> list[Row]:
    """The entries of :func:`member` that a forwarding rule leads to."""
    body = _at(project, target(rule))
    if "instances" in body:
        return list(body["instances"])
    return of_groups(project, [backend["group"] for backend in body.get("backends") or ()])


def of_groups(project: Project, groups: Iterable[str]) -> list[Row]:
    """The entries of :func:`member` of the groups at these paths."""
    return [one for group in groups for one in _at(project, group).get("members") or ()]


def sticky(project: Project, rule: Row) -> bool:
    """Whether a client is led to one member for ever."""
    return _at(project, target(rule)).get("sessionAffinity") in STICKY


def checked(project: Project, rule: Row) -> bool:
    """Whether health checks are expected of what a rule leads to."""
    return bool(_at(project, target(rule)).get("healthChecks"))


def target(rule: Row) -> str:
    """The path of the pool or backend service that a rule leads to."""
    return str(rule["body"].get("target") or rule["body"].get("backendService"))


def ports(body: Row) -> list[int]:
    """The ports of a forwarding rule, in order."""
    if body.get("ports"):
        return sorted(int(port) for port in body["ports"])
    first, _, last = str(body["portRange"]).partition("-")
    return list(range(int(first), int(last or first) + 1))


def known(entries: list[Row], rows: list[Row]) -> list[tuple[Row, Row]]:
    """The entries of :func:`member` whose instance is there, with its row of listVirtualMachines. The path of an entry
    that means one very machine follows that one's name."""
    there: dict[str, tuple[str, Row]] = {}
    named: dict[tuple[str, str], str] = {}
    for zoneid in {entry["zoneid"] for entry in entries}:
        here = [row for row in machines.visible(rows) if row["zoneid"] == zoneid]
        names = machines.gce_names_of(here)
        there |= {row["id"]: (names[row["id"]], dict(row)) for row in here}
        named |= {(zoneid, name): key for key, name in names.items()}
    found = []
    for entry in entries:
        before, _, name = entry["path"].rpartition("/")
        key = entry.get("id") or named.get((entry["zoneid"], name))
        if key in there:
            name, row = there[key]
            found.append(({**entry, "path": f"{before}/{name}"}, row))
    return found


def network(row: Row) -> str | None:
    """CloudStack's id of the network of a machine's nic0, where GCE's balancers send to."""
    nics = row.get("nic") or ()
    nic = next((nic for nic in nics if nic.get("isdefault")), nics[0] if nics else {})
    return nic.get("networkid")


def home(caller: Caller, entries: list[Row], field: str, rows: list[Row] | None = None) -> Subnetwork | None:
    """The subnetwork that all the instances of ``entries`` are in; None where there is none of them yet.

    Raises GceError invalid, for ``field``, where CloudStack has no balancer for them. One call unless the machines'
    ``rows`` are given, and one for networks.
    """
    if rows is None:
        rows = caller.cloud.list("listVirtualMachines", details=["nics"]) if entries else []
    found: Subnetwork | None = None
    there = known(entries, rows)
    pieces = networks.find_pieces(caller, [network(row) for _, row in there])
    for entry, row in there:
        piece = pieces[network(row)]
        if piece is not None and piece.kind == TIER:
            raise invalid(field, entry["path"], UNGUARDED)
        if piece is None or piece.kind != ISOLATED or not piece.owned:
            why = "CloudStack balances for instances in isolated networks that gstack made."
            raise invalid(field, entry["path"], why)
        if found is not None and found.id != piece.id:
            why = f"CloudStack balances inside one network of one zone: others are in '{found.path}', this one in"
            raise invalid(field, entry["path"], f"{why} '{piece.path}' of {piece.place.name}.")
        found = piece
    return found


def health(cloud: Cloud, entries: list[Row], below: str) -> list[Row]:
    """GCE's health of members: one that does not run is not healthy, of one that is not there nothing is said, and of
    ports that do not answer CloudStack tells nobody. ``below``: what comes before a path in a link. One call."""
    rows = cloud.list("listVirtualMachines", details=["nics"])
    return [
        {
            "instance": f"{below}/{entry['path']}",
            "ipAddress": next((nic["ipaddress"] for nic in row.get("nic") or () if nic.get("ipaddress")), None),
            "healthState": "HEALTHY" if machines.status(row) == "RUNNING" else "UNHEALTHY",
        }
        for entry, row in known(entries, rows)
    ]


def check_members(caller: Caller, path: str, given: list[Row], field: str) -> None:
    """Raises GceError invalid where what ``path`` leads to is balanced, and ``given`` cannot join what is there, in
    whatever zone. No call where it is not."""
    rules = led_to_by(caller.project, path) if given else []
    rows = caller.cloud.list("listVirtualMachines", details=["nics"]) if rules else []
    for rule in rules:
        home(caller, [*members(caller.project, rule), *given], field, rows)


def led_to_by(project: Project, path: str) -> list[Row]:
    """The forwarding rules that lead to the pool, backend service or group at ``path``, or the one there."""
    through = {path, *(user for user in users(project, path) if user.split("/")[-2] == SERVICES)}
    return [row for row in kept.rows(project, RULES) if target(row) in through or kept.path(RULES, row) == path]


def fronts(project: Project, path: str) -> list[str]:
    """The IP addresses of :func:`led_to_by`."""
    return _fronts(led_to_by(project, path))


def fronts_of_machine(project: Project, zoneid: str, names: Iterable[str], machine: str | None = None) -> list[str]:
    """The IP addresses of the forwarding rules that may lead to a machine: by any of its ``names``, or of those that
    others have because of it, or as CloudStack's id ``machine``."""
    called = list(names)

    def means(entry: Row) -> bool:
        if entry.get("id") or entry["zoneid"] != zoneid:
            return bool(machine) and entry.get("id") == machine
        return any(akin(entry["path"].rpartition("/")[2], name) for name in called)

    return _fronts(rule for rule in kept.rows(project, RULES) if any(map(means, members(project, rule))))


def is_doomed(rule: Row) -> bool:
    """Whether a forwarding rule is being deleted: it is there to the end, and leads nowhere."""
    return bool(rule.get("doomed"))


def _fronts(rules: Iterable[Row]) -> list[str]:
    return sorted({rule["body"]["IPAddress"] for rule in rules})


def instance(caller: Caller, given: str, field: str, *, region: str | None = None, zone: str | None = None) -> Row:
    """The entry of :func:`member` of an instance that ``field`` names, which need not be there yet. Raises GceError."""
    reference = caller.refer(given, collection="instances", field=field, zone=zone)
    if reference.name.isdecimal():
        raise invalid(field, given, "It must name the instance by its name: it need not be there yet.")
    place = places.zone_of(caller, str(reference.scope_name))
    if reference.project != caller.project.id:
        raise invalid(field, given, "It belongs to another project.")
    if place is None:
        raise not_found(f"projects/{caller.project.id}/zones/{reference.scope_name}")
    if region not in (None, place.region):
        raise invalid(field, given, f"It must be in region {region}.")
    if zone not in (None, place.name):
        raise invalid(field, given, f"It must be in zone {zone}.")
    return member(f"zones/{place.name}/instances/{reference.name}", place.id)


def _at(project: Project, path: str) -> Row:
    """The body of the row at a path; empty where there is none."""
    scope, kind, name = path.rsplit("/", 2)
    row = kept.find(project, kind, scope, name)
    return dict(row["body"]) if row else {}
