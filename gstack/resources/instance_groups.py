"""instanceGroups: unmanaged ones, rows of gstack's store that backend services lead to.

A member is one very machine, by CloudStack's id: another one that is later made under its name is none, and one that is
renamed stays. What a group means for CloudStack is done where a forwarding rule leads to it: see forwarding_rules.py.
Visible differences: named ports are kept, and nothing reads them, as there are no proxies. Upstream calls: one where a
group has members, none otherwise; a second one for the networks where they are not known yet; one more for instances
of a group that is balanced.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from gstack.errors import GceError, invalid, not_found
from gstack.operations import balancing_changes
from gstack.operations.kept import Collection
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.listing import Shape, listing
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.translate import balancing, kept, machines, networks, permissions, places
from gstack.translate.names import checked_name

Row = dict[str, Any]

BODY = Policy(honoured=("name",), remembered=("description", "namedPorts"))
MEMBERS = Policy(honoured=("instances[].instance",))
PORTS = Policy(honoured=("fingerprint",), remembered=("namedPorts",))
ASKED = Policy(honoured=("instanceState",))
READS, CHANGES = ("listVirtualMachines",), ("listVirtualMachines", "assignToLoadBalancerRule")
GONE_FROM_GROUP = ("listVirtualMachines", "removeFromLoadBalancerRule")


@method("compute.instanceGroups.get", needs=READS)
def get(call: Call) -> Row:
    """One group, by name or number."""
    row = GROUPS.found(call)
    _read(call, [row])
    return view(call, row)


@method("compute.instanceGroups.list", needs=READS)
def list_(call: Call) -> Row:
    """The groups of one zone."""
    return GROUPS.list(call, partial(_read, call))


@method("compute.instanceGroups.aggregatedList", needs=READS)
def aggregated_list(call: Call) -> Row:
    """All groups."""
    return GROUPS.aggregated(call, "zones", prepare=partial(_read, call))


@method("compute.instanceGroups.insert", needs=balancing.BALANCES, body=BODY)
def insert(call: Call) -> Row:
    """Make a group without members."""
    ports = call.body.get("namedPorts") or []
    _check_ports(ports, "resource.namedPorts")
    body = {"description": call.body.get("description"), "namedPorts": ports, "members": []}
    return GROUPS.insert(call, body)


@method("compute.instanceGroups.delete", needs=balancing.BALANCES)
def delete(call: Call) -> Row:
    """Delete a group that no backend service leads to. Its instances stay."""
    row = GROUPS.found(call)
    balancing.check_unused(call.caller.project, kept.path(GROUPS.name, row))
    return GROUPS.delete(call, row)


@method("compute.instanceGroups.addInstances", needs=CHANGES, body=MEMBERS)
def add_instances(call: Call) -> Row:
    """Put instances into a group."""
    row, given = GROUPS.found(call), _given(call)
    rows = _machines(call)
    there = {entry["path"]: machine for entry, machine in balancing.known(given, rows)}
    path, members = kept.path(GROUPS.name, row), {one["id"] for one in row["body"]["members"]}
    first = _first(balancing.known(row["body"]["members"], rows))
    others = [balancing.network(machine) for machine in there.values()]
    pieces = networks.find_pieces(call.caller, [*first, *others])
    names = {at: piece.network if piece else None for at, piece in pieces.items()}
    network = next((names[at] for at in first), None)
    added = []
    for index, one in enumerate(given):
        machine, link = there.get(one["path"]), f"projects/{call.project}/{one['path']}"
        if machine is None:
            raise not_found(link)
        if machine["id"] in members:
            message = f"Resource '{link}' is already a member of 'projects/{call.project}/{path}'."
            raise GceError("memberAlreadyExists", message)
        own = names[balancing.network(machine)]
        network = network or own
        if own != network:
            why = f"It is in network '{own}', and the group in '{network}'."
            raise invalid(f"instances[{index}].instance", one["path"], why)
        added.append({**one, "id": machine["id"]})
    balancing.check_members(call.caller, path, added, "instances[0].instance")
    return balancing_changes.start(call, GROUPS.name, row, add={"members": added})


@method("compute.instanceGroups.removeInstances", needs=GONE_FROM_GROUP, body=MEMBERS)
def remove_instances(call: Call) -> Row:
    """Take instances out of a group."""
    row, given = GROUPS.found(call), _given(call)
    members = row["body"]["members"]
    there = {entry["path"]: entry["id"] for entry, _ in balancing.known(members, _machines(call))} if members else {}
    for one in given:
        if one["path"] not in there:
            group = f"projects/{call.project}/{kept.path(GROUPS.name, row)}"
            message = f"Resource 'projects/{call.project}/{one['path']}' is not a member of '{group}'"
            raise GceError("invalid", message, location="instances")
    gone = {there[one["path"]] for one in given}
    removed = [one for one in members if one["id"] in gone]
    return balancing_changes.start(call, GROUPS.name, row, remove={"members": removed})


@method("compute.instanceGroups.listInstances", needs=READS, body=ASKED)
def list_instances(call: Call) -> Row:
    """The members of a group, with their states and the group's named ports."""
    row = GROUPS.found(call)
    members = row["body"]["members"]
    pairs = balancing.known(members, _machines(call)) if members else []
    if call.body.get("instanceState") == "RUNNING":
        pairs = [(entry, machine) for entry, machine in pairs if machines.status(machine) == "RUNNING"]

    def member(pair: tuple[Row, Row]) -> Row:
        entry, machine = pair
        found = {"instance": f"{_below(call)}/{entry['path']}", "status": machines.status(machine)}
        return found | ({"namedPorts": row["body"]["namedPorts"]} if row["body"]["namedPorts"] else {})

    name, identity = (lambda pair: pair[0]["path"].rpartition("/")[2]), (lambda pair: str(pair[0]["id"]))
    return listing(call, pairs, Shape(member, name, identity=identity))


@method("compute.instanceGroups.setNamedPorts", needs=balancing.BALANCES, body=PORTS)
def set_named_ports(call: Call) -> Row:
    """Put the body's named ports in the place of a group's."""
    row, ports = GROUPS.found(call), call.body.get("namedPorts") or []
    _check_ports(ports, "namedPorts")
    seen = ("namedPorts", str(call.body["fingerprint"])) if call.body.get("fingerprint") else None
    return balancing_changes.start(call, GROUPS.name, row, put={"namedPorts": ports}, seen=seen)


@method("compute.instanceGroups.testIamPermissions", body=permissions.ASKED)
def held_permissions(call: Call) -> Row:
    """Those of the permissions that the caller has on a group."""
    GROUPS.found(call)
    return permissions.held(call)


def view(call: Call, row: Row) -> Row:
    """A group of :func:`_read`."""
    body, said, piece = row["body"], GROUPS.shown(call, row), row["piece"]
    del said["region"]
    return render(
        "instance_group",
        **said,
        named_ports=body["namedPorts"],
        network=f"{_below(call)}/global/networks/{piece.network}" if piece else None,
        subnetwork=f"{_below(call)}/{piece.path}" if piece else None,
        fingerprint=fingerprint(body["namedPorts"]),
        size=len(row["there"]),
    )


GROUPS = Collection(balancing.GROUPS, "instanceGroup", view)


def _read(call: Call, rows: Sequence[Row]) -> None:
    """Add to groups ``there``, pairs of a member and its machine, and ``piece``, the subnetwork they are in. One call
    where any has members."""
    found = _machines(call) if any(row["body"]["members"] for row in rows) else []
    entries = [one for row in rows for one in row["body"]["members"]]
    there = {entry["id"]: (entry, machine) for entry, machine in balancing.known(entries, found)}
    for row in rows:
        row["there"] = [there[one["id"]] for one in row["body"]["members"] if one["id"] in there]
    pieces = networks.find_pieces(call.caller, [at for row in rows for at in _first(row["there"])])
    for row in rows:
        row["piece"] = next((pieces[at] for at in _first(row["there"])), None)


def _machines(call: Call) -> list[Row]:
    place = places.zone_of(call.caller, str(call.params["zone"])) if "zone" in call.params else None
    where = {"zoneid": place.id} if place else {}
    return list(call.caller.cloud.list("listVirtualMachines", details=["nics"], **where))


def _first(members: Sequence[tuple[Row, Row]]) -> list[str | None]:
    """CloudStack's id of the network of a group, that of its first member; none where it has none."""
    return [balancing.network(machine) for _, machine in members[:1]]


def _given(call: Call) -> list[Row]:
    links = [str(one.get("instance") or "") for one in call.body.get("instances") or []]
    if not links:
        raise invalid("instances", "", "At least one instance must be named.")
    found = [
        balancing.instance(call.caller, link, f"instances[{index}].instance", zone=call.params["zone"])
        for index, link in enumerate(links)
    ]
    return [one for index, one in enumerate(found) if one not in found[:index]]


def _check_ports(ports: Sequence[Row], where: str) -> None:
    """Raises GceError for a named port without a name, or out of range."""
    for index, one in enumerate(ports):
        checked_name(one.get("name"), f"{where}[{index}].name")
        port = one.get("port")
        if port is None or not 1 <= int(port) <= 65535:
            raise invalid(f"{where}[{index}].port", port, "Must be from 1 to 65535.")


def _below(call: Call) -> str:
    """What comes before a path of the project in a link."""
    return call.links.absolute(f"projects/{call.project}")
