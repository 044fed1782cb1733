"""Workflows of networks and subnetworks: make isolated networks, and take them away.

Apart from the handlers, which have checked everything that can be checked at once. The surprising things: making a
network is two commands, and what lies between is told by its displaytext, so a second try finishes it; and CloudStack
keeps a network until the last machine that was in it is expunged, a day later, so a deleted one is marked and goes
then.
"""

from __future__ import annotations

import ipaddress
import threading
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError, in_use
from gstack.firewall.security_groups import using
from gstack.firewall.writer import Writer
from gstack.operations import firewalls, labels, reserving, vpcs
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import addresses, machines, networks, tags

Row = dict[str, Any]

SUBNETWORKS = "subnetworks"  # what the store calls what is remembered of them
# What removing one calls.
UNMAKING = (
    "deleteNetwork",
    "listVirtualMachines",
    "listPublicIpAddresses",
    "disassociateIpAddress",
    "reserveIpAddress",
)
SERVICES = ["Dhcp", "Dns", "Firewall", "SourceNat", "StaticNat", "UserData"]
# Those of other network virtualisers need a provider that few zones have.
PREFERRED = ("DefaultIsolatedNetworkOfferingWithSourceNatService", "DefaultIsolatedNetworkOfferingForVpcNetworks")
TIER_SERVICES = ["Dhcp", "Dns", "NetworkACL", "SourceNat", "StaticNat", "UserData"]
SWEEP = "op.subnetworks.sweep"
TURN_SECONDS = 30.0
SWEEP_SECONDS, SWEEP_AGAIN_SECONDS, MOST_SWEEPS = 300.0, 1800.0, 336

# A cache of nothing: instances made side by side in an auto network must not each make its piece. Other hosts have
# their own locks, so whoever makes one looks again afterwards. By account, zone, network and subnetwork.
_MAKING: dict[tuple[str, ...], threading.Lock] = {}
_MAKING_LOCK = threading.Lock()


@workflow("op.subnetworks.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: of :func:`gstack.translate.networks.plan`."""
    run.undo(f"the subnetwork {plan['name']}", _unmake, run, plan)
    made = make(run, plan)
    run.target_id(numeric_id(f"subnetwork:{made['id']}"))
    if plan["description"]:
        content = {"description": plan["description"]}
        run.step("remember", overlay.write, SUBNETWORKS, made["id"], run.project.id, content)
    firewalls.converge(run)


@workflow("op.subnetworks.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``id``, CloudStack's of the network."""
    remove(run, plan["id"], run.target)
    run.step("forget", overlay.drop, SUBNETWORKS, plan["id"])


@workflow("op.networks.delete")
def delete_network(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``pieces``, CloudStack's ids of an auto network's; ``key``, that of its row of the store."""
    for piece in plan["pieces"]:
        remove(run, piece, run.target)
    run.step("forget", overlay.drop, networks.KIND, plan["key"])


@workflow("op.networks.switchToCustomMode")
def switch_to_custom_mode(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``pieces``, CloudStack's ids; ``key`` and ``kept``, its row of the store."""
    for piece in plan["pieces"]:
        labels.mark(run, "Network", piece, {networks.MODE: networks.CUSTOM})
    run.step("forget", lambda: run.catalogue.forget(run.cloud, "networks"))
    run.step("remember", overlay.write, networks.KIND, plan["key"], run.project.id, plan["kept"])


@workflow(SWEEP)
def sweep(run: Run, plan: dict[str, Any]) -> None:
    """Try again to delete a network whose machines wait for their expunging. ``plan``: ``id``, ``vpc``, ``tries``."""
    gone = run.step("sweep", lambda: using(run, lambda writer: _deleted(writer, plan["id"], plan["vpc"])))
    if not gone and plan["tries"] < MOST_SWEEPS:
        run.later(SWEEP, {**plan, "tries": plan["tries"] + 1}, delay=SWEEP_AGAIN_SECONDS)


def make(run: Run, plan: dict[str, Any]) -> dict[str, Any]:
    """CloudStack's ``id`` of the network that ``plan`` (of :func:`gstack.translate.networks.plan`) describes, an
    isolated one or a tier, made unless it is there; and that of its ``vpc``, or None. A step of ``run``; safe to
    repeat. The firewall has not been brought in line with it yet.
    """

    def body() -> dict[str, Any]:
        row = using(run, lambda writer: _in_turn(writer, plan))
        run.catalogue.forget(run.cloud, "networks")
        return {"id": row["id"], "vpc": row.get("vpcid")}

    made: dict[str, Any] = run.step(f"subnetwork {plan['name']}", body)
    return made


def remove(run: Run, networkid: str, target: str) -> None:
    """Delete an isolated network or a tier that nothing uses, now or as soon as its destroyed machines are expunged.
    Addresses that lie in it are set aside."""
    found = run.step(f"look at {networkid}", lambda: _unused(run.cloud, networkid, target))
    vpc = found["vpc"]
    for row in found["held"]:
        reserving.set_aside(run, row)
    try:
        run.job(f"delete {networkid}", "deleteNetwork", {"id": networkid})
    except GceError as error:
        if error.kind == "notFound":
            return
        run.step(f"look again at {networkid}", lambda: _unused(run.cloud, networkid, target))
        run.step(f"mark {networkid}", lambda: using(run, lambda writer: _doom(writer, networkid)))
        run.later(SWEEP, {"id": networkid, "vpc": vpc, "tries": 0}, delay=SWEEP_SECONDS)
    if vpc and not run.step(f"VPC of {networkid}", lambda: using(run, lambda writer: vpcs.tidy(writer, vpc))):
        run.warn("NOT_CRITICAL_ERROR", "CloudStack has not deleted the VPC of the subnetwork, or its access list.")
    run.step(f"forget {networkid}", lambda: run.catalogue.forget(run.cloud, "networks"))


# What follows runs inside of steps.


def _in_turn(writer: Writer, plan: dict[str, Any]) -> Row:
    # Tiers share their VPC, so those of one network are made one after the other.
    own = () if plan["model"] == networks.VPC else (plan["name"],)
    key = (writer.cloud.key, plan["zoneid"], plan["network"], *own)
    with _MAKING_LOCK:
        turn = _MAKING.setdefault(key, threading.Lock())
    held = turn.acquire(timeout=TURN_SECONDS)  # not for ever: who holds it may be waiting for CloudStack
    try:
        return _made(writer, plan)
    finally:
        if held:
            turn.release()


def _made(writer: Writer, plan: dict[str, Any]) -> Row:
    there = _pieces(writer.cloud, plan)
    if there:
        return there[0]
    row = _half(writer.cloud, plan) or _create(writer, plan)
    mine = {**networks.marks_of(plan), networks.SUBNETWORK: plan["name"]}
    wanted = tags.plan_own(row.get("tags") or (), mine).create
    if wanted:
        writer.obey("createTags", {"resourcetype": "Network", "resourceids": [row["id"]], "tags": wanted})
    found = _pieces(writer.cloud, plan)
    if found and found[0]["id"] != row["id"]:
        # Another host made it in the same second; the older one stays.
        writer.one("deleteNetwork", {"id": row["id"]})
    return found[0] if found else row


def _pieces(cloud: Cloud, plan: dict[str, Any]) -> list[Row]:
    """The networks that are this subnetwork, oldest first; more than one only for a moment."""
    rows = cloud.list("listNetworks", zoneid=plan["zoneid"], type="Isolated")
    mine = [
        row
        for row in rows
        if (marks := networks.marks(row)).get(networks.NETWORK) == plan["network"]
        and marks.get(networks.SUBNETWORK) == plan["name"]
        and networks.DOOMED not in marks
    ]
    return sorted(mine, key=lambda row: (str(row.get("created")), str(row["id"])))


def _half(cloud: Cloud, plan: dict[str, Any]) -> Row | None:
    """What an earlier try has made and not marked."""
    text = networks.unfinished(plan["network"], plan["name"])
    rows = cloud.list("listNetworks", zoneid=plan["zoneid"], type="Isolated")
    return next((row for row in rows if row.get("displaytext") == text and not _named(row)), None)


def _named(row: Row) -> bool:
    return networks.SUBNETWORK in networks.marks(row) and networks.MODE in networks.marks(row)


def _create(writer: Writer, plan: dict[str, Any]) -> Row:
    cidr = ipaddress.IPv4Network(plan["cidr"])
    offering = _offering(writer.cloud, plan)  # before a VPC is made for nothing
    inside = vpcs.place(writer, plan) if plan["model"] == networks.VPC else {}
    answer = writer.cloud.call(
        "createNetwork",
        name=plan["name"],
        displaytext=networks.unfinished(plan["network"], plan["name"]),
        zoneid=plan["zoneid"],
        networkofferingid=offering,
        gateway=str(cidr.network_address + 1),
        netmask=str(cidr.netmask),
        **inside,
    )
    row: Row = answer["network"]
    return row


def _offering(cloud: Cloud, plan: dict[str, Any]) -> str:
    """An offering for isolated networks with NAT whose egress is closed until a rule opens it, or for tiers."""
    tier = plan["model"] == networks.VPC
    services = TIER_SERVICES if tier else SERVICES
    asked = {"zoneid": plan["zoneid"], "guestiptype": "Isolated", "forvpc": tier, "state": "Enabled"}
    rows = [
        row
        for row in cloud.list("listNetworkOfferings", supportedservices=services, **asked)
        if (tier or not row.get("egressdefaultpolicy")) and not row.get("specifyvlan")
    ]
    if not rows:
        what = "tiers of VPCs" if tier else "isolated networks"
        message = f"CloudStack has no network offering for {what} with {', '.join(services)} in {plan['zone']}."
        raise GceError("unsupported", message)
    best = min(rows, key=lambda row: (row["name"] not in PREFERRED, row.get("availability") != "Required", row["name"]))
    return str(best["id"])


def _unmake(run: Run, plan: dict[str, Any]) -> None:
    """Take back what :func:`make` made, also the half of it."""

    def body(writer: Writer) -> list[str]:
        half = _half(writer.cloud, plan)
        gone = [row["id"] for row in (*_pieces(writer.cloud, plan), *([half] if half else ()))]
        for networkid in gone:
            _deleted(writer, networkid)
        vpc = vpcs.found(writer.cloud, plan) if plan["model"] == networks.VPC else None
        if vpc is not None:
            vpcs.tidy(writer, vpc["id"])
        return gone

    for networkid in using(run, body):
        overlay.drop(SUBNETWORKS, networkid)


def _unused(cloud: Cloud, networkid: str, target: str) -> Row:
    """``vpc``, CloudStack's id of the one that a network is a tier of, or None; ``held``, the addresses that would go
    with the network. Raises GceError for a network with instances or rules, and for the last tier of a VPC with
    routes."""
    rows = machines.visible(cloud.list("listVirtualMachines", networkid=networkid, details=["min"]))
    users = [f"the instance '{machines.wanted_name(row)}'" for row in rows]
    public = cloud.list("listPublicIpAddresses", associatednetworkid=networkid)
    forwarding = filter(None, (networks.marks(row).get(addresses.FORWARDING) for row in public))
    users += [f"the forwarding rule '{path.rpartition('/')[2]}'" for path in forwarding]
    kept = addresses.visible(public)
    row = cloud.first("listNetworks", id=networkid) or {}
    vpc = str(row["vpcid"]) if row.get("vpcid") else None
    if vpc and not users and len(cloud.list("listNetworks", vpcid=vpc)) == 1:
        kept = addresses.visible(cloud.list("listPublicIpAddresses", vpcid=vpc))
        users += filter(None, [vpcs.route(cloud, vpc)])
    names = addresses.names_of(kept)
    users += [f"the address '{names[row['id']]}'" for row in kept if addresses.used(row)]
    if users:
        raise in_use(target, users[0])
    return {"vpc": vpc, "held": [reserving.facts(row) for row in kept]}


def _deleted(writer: Writer, networkid: str, vpc: str | None = None) -> bool:
    error = writer.one("deleteNetwork", {"id": networkid})
    gone = error is None or error.kind == "notFound"
    return gone and (vpc is None or vpcs.tidy(writer, vpc))


def _doom(writer: Writer, networkid: str) -> None:
    row = writer.cloud.first("listNetworks", id=networkid)
    wanted = tags.plan_own(row.get("tags") or (), {networks.DOOMED: "true"}).create if row else []
    if wanted:
        writer.obey("createTags", {"resourcetype": "Network", "resourceids": [networkid], "tags": wanted})
