"""firewalls: CloudStack's security groups.

A firewall is the security group of its name, which keeps what GCE adds as resource tags; what it does to instances is
compiled into groups that gstack writes (gstack/firewall). Groups of other tools are listed as well, as firewalls whose
target tag is the group's name; one whose rules differ by source is several firewalls, of which the first has the
group's name. Visible differences: connections that a firewall matches are not logged (``logConfig`` is kept, and a
warning says so); protocols and ports that CloudStack cannot express stay closed, which a warning of the operation says.
The effective firewalls of networks and instances are answered here as well, with what CloudStack lets through inside of
an isolated network. Upstream calls: one for a get (two where the name is not the group's own), one for each 500 groups
of a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from gstack.errors import GceError, already_exists, in_use, invalid, not_found
from gstack.firewall import isolated
from gstack.firewall.bodies import LISTS, completed
from gstack.firewall.definitions import Firewall, firewalls, of_group
from gstack.firewall.groups import Group, members
from gstack.firewall.rules import rule
from gstack.operations import engine
from gstack.operations.firewalls import USERS
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import listing, named
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.translate import machines, networks, permissions, reasons
from gstack.translate.names import is_label, label
from gstack.translate.networks import Network, Subnetwork
from gstack.translate.times import now

BODY = Policy(
    honoured=(
        "name",
        "network",
        "description",
        "priority",
        "direction",
        "disabled",
        *LISTS,
    ),
    remembered=("logConfig",),
    refused={"params": reasons.RESOURCE_MANAGER_TAGS},
)
NEEDS = ("listSecurityGroups",)
WRITES = (
    *NEEDS,
    "createTags",
    "deleteTags",
    "authorizeSecurityGroupIngress",
    "authorizeSecurityGroupEgress",
    "revokeSecurityGroupIngress",
    "revokeSecurityGroupEgress",
)
# What a firewall keeps for life.
FIXED = ("name", "network", "direction")


@method("compute.firewalls.get", needs=NEEDS)
def get(call: Call) -> dict[str, Any]:
    """One firewall, by name or number."""
    return view(call, _found(call))


@method("compute.firewalls.list", needs=NEEDS)
def list_(call: Call) -> dict[str, Any]:
    """All firewalls of the project."""
    return listing(call, firewalls(_groups(call)), named(partial(view, call)))


@method("compute.firewalls.insert", needs=(*WRITES, "createSecurityGroup", "deleteSecurityGroup"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make a firewall."""
    content = _checked(call, call.body)
    path = _path(call, content["name"])
    groups = _groups(call)
    leftover = next((group for group in groups if group.name.lower() == content["name"]), None)
    if (leftover is not None and not leftover.unfinished) or _named(firewalls(groups), content["name"]):
        raise already_exists(path)
    content["creationTimestamp"] = now()
    plan = {"content": content, "leftover": leftover.id if leftover else None}
    return engine.start(call, "op.firewalls.insert", type="insert", target=path, plan=plan, claim=path)


@method("compute.firewalls.patch", needs=WRITES, body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Change the members that the body names; an empty list takes a member away."""
    return _change(call, "patch")


@method("compute.firewalls.update", needs=WRITES, body=BODY)
def update(call: Call) -> dict[str, Any]:
    """Put the body in the place of a firewall."""
    return _change(call, "update")


@method("compute.firewalls.delete", needs=(*WRITES, "deleteSecurityGroup"))
def delete(call: Call) -> dict[str, Any]:
    """Delete a firewall and its security group."""
    firewall = _found(call)
    path = _path(call, firewall.name)
    part = None if firewall.part is None else [list(vars(rule).values()) for rule in sorted(firewall.part)]
    if part == []:
        raise GceError(
            "failedPrecondition",
            f"'{path}' says what security group '{firewall.group.name}' denies by having egress rules. "
            "Delete the firewalls that stand for those.",
        )
    if part is None and firewall.group.used:
        raise in_use(path, USERS)
    plan = {"group": firewall.group.id, "part": part}
    return engine.start(call, "op.firewalls.delete", type="delete", target=path, target_id=_number(firewall), plan=plan)


@method("compute.networks.getEffectiveFirewalls", needs=(*NEEDS, "listNetworks"))
def of_network(call: Call) -> dict[str, Any]:
    """The firewalls of a network, and what its isolated subnetworks let through whatever they say."""
    network = networks.located(call.caller, call.params["network"])
    return _effective(call, network.name, network.subnetworks, firewalls(_groups(call)))


@method("compute.instances.getEffectiveFirewalls", needs=(*NEEDS, "listVirtualMachines", "listNetworks"))
def of_instance(call: Call) -> dict[str, Any]:
    """The firewalls that speak of an instance's interface, and what its subnetwork lets through besides."""
    _, _, row = machines.located(call.caller, call.params["zone"], call.params["instance"])
    nic = machines.interface(row, call.params["networkInterface"])
    piece = networks.find_piece(call.caller, nic.get("networkid"))
    if piece is None:
        return {}
    groups = _groups(call)
    mine = isolated.member(row, piece.id)
    if piece.kind == networks.GROUPS:
        found_members = members(groups, [row], piece.network)
        mine = found_members[0][0] if found_members else mine
    speaking = [one for one in firewalls(groups) if rule(one.members).targets(mine)]
    return _effective(call, piece.network, [piece], speaking)


@method("compute.firewalls.testIamPermissions", needs=NEEDS, body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a firewall."""
    _found(call, call.params["resource"])
    return permissions.held(call)


def _effective(call: Call, network: str, pieces: Iterable[Subnetwork], speaking: Iterable[Firewall]) -> dict[str, Any]:
    """The enabled firewalls of ``network`` among those ``speaking``, first those that come first, and before them what
    CloudStack lets through inside of isolated ``pieces``."""
    found = [one for one in speaking if one.members["network"] == network and not one.members.get("disabled")]
    found.sort(key=lambda one: (one.members["priority"], not one.members.get("denied"), one.name))
    inside = [_inside(call, piece) for piece in pieces if piece.kind in (networks.ISOLATED, networks.TIER)]
    shown = [*inside, *(view(call, firewall) for firewall in found)]
    return {"firewalls": shown} if shown else {}


def _inside(call: Call, piece: Subnetwork) -> dict[str, Any]:
    """No firewall, but as one what happens inside an isolated network: CloudStack filters nothing there."""
    members: dict[str, Any] = {
        **dict.fromkeys(LISTS),
        "name": label(f"inside-{piece.name}"),
        "description": "CloudStack filters nothing between the instances of an isolated network.",
        "priority": 0,
        "direction": "INGRESS",
        "allowed": [{"IPProtocol": "all"}],
        "denied": None,
        "sourceRanges": [piece.row.get("cidr")],
        "disabled": False,
        "logConfig": {"enable": False},
        "creationTimestamp": None,
    }
    return render(
        "firewall",
        firewall=members,
        id=str(numeric_id(f"inside:{piece.id}")),
        network=call.links.absolute(f"projects/{call.project}/global/networks/{piece.network}"),
        self_link=None,
    )


def view(call: Call, firewall: Firewall) -> dict[str, Any]:
    """A firewall."""
    members = {"creationTimestamp": None, **dict.fromkeys(LISTS), **firewall.members}
    return render(
        "firewall",
        firewall=members,
        id=str(_number(firewall)),
        network=call.links.absolute(f"projects/{call.project}/global/networks/{members['network']}"),
        self_link=call.links.absolute(_path(call, firewall.name)),
    )


def _change(call: Call, kind: str) -> dict[str, Any]:
    firewall = _found(call)
    if firewall.part is not None:
        raise GceError(
            "unsupported",
            f"'{_path(call, firewall.name)}' is one of several firewalls that security group '{firewall.group.name}' "
            "stands for, and can only be deleted here. Change the group in CloudStack.",
        )
    before = firewall.members
    kept = before if kind == "patch" else {key: before[key] for key in FIXED}
    changed = {**call.body, "logConfig": {**before["logConfig"], **call.body.get("logConfig", {})}}
    content = _checked(call, {**kept, **(changed if kind == "patch" else call.body)})
    for member in FIXED:
        if content[member] != before[member]:
            raise invalid(f"resource.{member}", content[member], "It cannot be changed.")
    if "creationTimestamp" in before:
        content["creationTimestamp"] = before["creationTimestamp"]
    plan = {
        "group": firewall.group.id,
        "content": content,
        "before": firewall.group.content or None,
    }
    return engine.start(
        call,
        "op.firewalls.change",
        type=kind,
        target=_path(call, firewall.name),
        target_id=_number(firewall),
        plan=plan,
    )


def _checked(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The firewall that ``body`` asks for, complete."""
    network = networks.require_network(call.caller, body.get("network"), "resource.network")
    _check_targets(call, body, network)
    return completed(body, network.name)


def _check_targets(call: Call, body: dict[str, Any], network: Network) -> None:
    """Raise GceError for a firewall that aims at some instances of a network whose subnetworks are all tiers."""
    grouped = any(piece.kind == networks.GROUPS for piece in network.subnetworks)
    if grouped or network.model(call.caller.settings["NETWORK_MODEL"]) != networks.VPC:
        return
    for member in ("targetTags", "targetServiceAccounts"):
        if body.get(member):
            why = f"The subnetworks of '{network.name}' are tiers of a VPC, whose access lists speak of all instances."
            raise GceError("unsupported", f"'resource.{member}' cannot be used: {why}", location=f"resource.{member}")


def _groups(call: Call) -> list[Group]:
    return [Group(row) for row in call.caller.cloud.list("listSecurityGroups")]


def _found(call: Call, name: str | None = None) -> Firewall:
    """The firewall of the URL, or GCE's 404."""
    wanted = name or call.params["firewall"]
    if is_label(wanted):
        # The group of that very name has it for its firewall's, so it is enough to look at that one.
        row = call.caller.cloud.first("listSecurityGroups", securitygroupname=wanted)
        if row is not None and row["name"] == wanted and Group(row).listed:
            group = Group(row)
            return of_group(group, wanted, group.account)[0]
    firewall = _named(firewalls(_groups(call)), wanted)
    if firewall is None:
        raise not_found(_path(call, wanted))
    return firewall


def _named(found: list[Firewall], wanted: str) -> Firewall | None:
    return next((one for one in found if wanted in (one.name, str(_number(one)))), None)


def _number(firewall: Firewall) -> int:
    group = firewall.group
    return numeric_id(group.id if firewall.part is None else f"{group.id}/{firewall.name}")


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/global/firewalls/{name}"
