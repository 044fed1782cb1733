"""Workflows of networks and subnetworks: make isolated networks, and take them away.

Apart from the handlers, which have checked everything that can be checked at once. The surprising things: making a
network is two commands, and what lies between is told by its displaytext, so a second try finishes it; and CloudStack
keeps a network until the last machine that was in it is expunged, a day later, so a deleted one is marked and goes
then.
"""

from __future__ import annotations

import ipaddress
import threading
from functools import partial
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import GceError
from gstack.firewall import security_groups
from gstack.firewall.security_groups import using
from gstack.firewall.writer import Writer
from gstack.operations import labels
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id
from gstack.store import overlay
from gstack.translate import addresses, machines, networks, tags

Row = dict[str, Any]

SUBNETWORKS = "subnetworks"  # what the store calls what is remembered of them
UNMAKING = ("deleteNetwork", "listVirtualMachines", "listPublicIpAddresses")  # what removing one calls
SERVICES = ["Dhcp", "Dns", "Firewall", "SourceNat", "StaticNat", "UserData"]
# Those of other network virtualisers need a provider that few zones have.
PREFERRED = "DefaultIsolatedNetworkOfferingWithSourceNatService"
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
    run.target_id(numeric_id(f"subnetwork:{made}"))
    if plan["description"]:
        content = {"description": plan["description"]}
        run.step("remember", overlay.write, SUBNETWORKS, made, run.project.id, content)
    converge(run)


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
        labels.change(run, "Network", piece, partial(_mode_marks, run, piece))
    run.step("forget", lambda: run.catalogue.forget(run.cloud, "networks"))
    run.step("remember", overlay.write, networks.KIND, plan["key"], run.project.id, plan["kept"])


@workflow(SWEEP)
def sweep(run: Run, plan: dict[str, Any]) -> None:
    """Try again to delete a network whose machines wait for their expunging. ``plan``: ``id``, and ``tries``."""
    gone = run.step("sweep", lambda: using(run, lambda writer: _deleted(writer, plan["id"])))
    if not gone and plan["tries"] < MOST_SWEEPS:
        run.later(SWEEP, {"id": plan["id"], "tries": plan["tries"] + 1}, delay=SWEEP_AGAIN_SECONDS)


def make(run: Run, plan: dict[str, Any]) -> str:
    """CloudStack's id of the isolated network that ``plan`` (of :func:`gstack.translate.networks.plan`) describes,
    made unless it is there. A step of ``run``; safe to repeat. The firewall has not been brought in line with it yet.
    """

    def body() -> str:
        found = using(run, lambda writer: _in_turn(writer, plan))
        run.catalogue.forget(run.cloud, "networks")
        return found

    made: str = run.step(f"subnetwork {plan['name']}", body)
    return made


def remove(run: Run, networkid: str, target: str) -> None:
    """Delete an isolated network that nothing uses, now or as soon as its destroyed machines are expunged."""
    run.step(f"look at {networkid}", lambda: _check_unused(run.cloud, networkid, target))
    try:
        run.job(f"delete {networkid}", "deleteNetwork", {"id": networkid})
    except GceError as error:
        if error.kind == "notFound":
            return
        run.step(f"look again at {networkid}", lambda: _check_unused(run.cloud, networkid, target))
        run.step(f"mark {networkid}", lambda: using(run, lambda writer: _doom(writer, networkid)))
        run.later(SWEEP, {"id": networkid, "tries": 0}, delay=SWEEP_SECONDS)
    run.step(f"forget {networkid}", lambda: run.catalogue.forget(run.cloud, "networks"))


def converge(run: Run) -> None:
    """Bring the firewalls in line; trouble is an error."""
    for sentence in security_groups.converge(run):
        run.warn("NOT_CRITICAL_ERROR", sentence)


# What follows runs inside of steps.


def _mode_marks(run: Run, piece: str) -> dict[str, Any]:
    row = run.cloud.first("listNetworks", id=piece)
    changes = tags.plan_own((row or {}).get("tags") or (), {networks.MODE: networks.CUSTOM})
    return {"delete": changes.delete, "create": changes.create}


def _in_turn(writer: Writer, plan: dict[str, Any]) -> str:
    key = (writer.cloud.key, plan["zoneid"], plan["network"], plan["name"])
    with _MAKING_LOCK:
        turn = _MAKING.setdefault(key, threading.Lock())
    held = turn.acquire(timeout=TURN_SECONDS)  # not for ever: who holds it may be waiting for CloudStack
    try:
        return _made(writer, plan)
    finally:
        if held:
            turn.release()


def _made(writer: Writer, plan: dict[str, Any]) -> str:
    there = _pieces(writer.cloud, plan)
    if there:
        return there[0]
    row = _half(writer.cloud, plan) or _create(writer.cloud, plan)
    mine = {
        networks.NETWORK: plan["network"],
        networks.SUBNETWORK: plan["name"],
        networks.NUMBER: plan["number"],
        networks.MODE: plan["mode"],
    }
    wanted = tags.plan_own(row.get("tags") or (), mine).create
    if wanted:
        refusal = writer.one("createTags", {"resourcetype": "Network", "resourceids": [row["id"]], "tags": wanted})
        if refusal is not None:
            raise refusal
    found = _pieces(writer.cloud, plan)
    if found and found[0] != row["id"]:
        # Another host made it in the same second; the older one stays.
        writer.one("deleteNetwork", {"id": row["id"]})
    return found[0] if found else str(row["id"])


def _pieces(cloud: Cloud, plan: dict[str, Any]) -> list[str]:
    """The networks that are this subnetwork, oldest first; more than one only for a moment."""
    rows = cloud.list("listNetworks", zoneid=plan["zoneid"], type="Isolated")
    mine = [
        (str(row.get("created")), str(row["id"]))
        for row in rows
        if (marks := networks.marks(row)).get(networks.NETWORK) == plan["network"]
        and marks.get(networks.SUBNETWORK) == plan["name"]
        and networks.DOOMED not in marks
    ]
    return [identity for _, identity in sorted(mine)]


def _half(cloud: Cloud, plan: dict[str, Any]) -> Row | None:
    """What an earlier try has made and not marked."""
    text = networks.unfinished(plan["network"], plan["name"])
    rows = cloud.list("listNetworks", zoneid=plan["zoneid"], type="Isolated")
    return next((row for row in rows if row.get("displaytext") == text and not _named(row)), None)


def _named(row: Row) -> bool:
    return networks.SUBNETWORK in networks.marks(row) and networks.MODE in networks.marks(row)


def _create(cloud: Cloud, plan: dict[str, Any]) -> Row:
    cidr = ipaddress.IPv4Network(plan["cidr"])
    answer = cloud.call(
        "createNetwork",
        name=plan["name"],
        displaytext=networks.unfinished(plan["network"], plan["name"]),
        zoneid=plan["zoneid"],
        networkofferingid=_offering(cloud, plan),
        gateway=str(cidr.network_address + 1),
        netmask=str(cidr.netmask),
    )
    row: Row = answer["network"]
    return row


def _offering(cloud: Cloud, plan: dict[str, Any]) -> str:
    """An offering for isolated networks with NAT whose egress is closed until a rule opens it."""
    asked = {"zoneid": plan["zoneid"], "guestiptype": "Isolated", "forvpc": False, "state": "Enabled"}
    rows = [
        row
        for row in cloud.list("listNetworkOfferings", supportedservices=SERVICES, **asked)
        if not row.get("egressdefaultpolicy") and not row.get("specifyvlan")
    ]
    if not rows:
        raise GceError(
            "unsupported",
            f"CloudStack has no network offering for isolated networks with {', '.join(SERVICES)} in {plan['zone']}.",
        )
    best = min(rows, key=lambda row: (row["name"] != PREFERRED, row.get("availability") != "Required", row["name"]))
    return str(best["id"])


def _unmake(run: Run, plan: dict[str, Any]) -> None:
    for networkid in using(run, lambda writer: _pieces(writer.cloud, plan)):
        using(run, lambda writer, gone=networkid: _deleted(writer, gone))  # type: ignore[misc]
        overlay.drop(SUBNETWORKS, networkid)
    half = run.cloud.use(lambda cloud: _half(cloud, plan))
    if half is not None:
        run.cloud.call("deleteNetwork", id=half["id"])


def _check_unused(cloud: Cloud, networkid: str, target: str) -> None:
    """Raises GceError for a network with instances or reserved addresses."""
    rows = machines.visible(cloud.list("listVirtualMachines", networkid=networkid, details=["min"]))
    users = [f"the instance '{machines.wanted_name(row)}'" for row in rows]
    kept = addresses.visible(cloud.list("listPublicIpAddresses", associatednetworkid=networkid))
    names = addresses.names_of(kept)
    users += [f"the address '{names[row['id']]}', which CloudStack keeps in it" for row in kept]
    if users:
        raise in_use(target, users[0])


def in_use(target: str, user: str) -> GceError:
    """GCE's error for what cannot be deleted; ``target`` is its link from ``projects/`` on."""
    kind = target.split("/")[-2].removesuffix("s")
    message = f"The {kind} resource '{target}' is already being used by {user}"
    return GceError("resourceInUseByAnotherResource", message)


def _deleted(writer: Writer, networkid: str) -> bool:
    error = writer.one("deleteNetwork", {"id": networkid})
    return error is None or error.kind == "notFound"


def _doom(writer: Writer, networkid: str) -> None:
    row = writer.cloud.first("listNetworks", id=networkid)
    wanted = tags.plan_own(row.get("tags") or (), {networks.DOOMED: "true"}).create if row else []
    if wanted:
        refusal = writer.one("createTags", {"resourcetype": "Network", "resourceids": [networkid], "tags": wanted})
        if refusal is not None:
            raise refusal
