"""Workflows of forwarding rules: an address and a row of the store come and go; the balancers follow.

Apart from the balancers, which changes of pools and instances bring in line as well. The surprising thing: a reserved
address that serves several rules is marked with one of them, and handed on when that one goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gstack.errors import GceError, already_exists, not_found
from gstack.operations import addresses as tying
from gstack.operations import balancing, reserving
from gstack.operations import networks as making
from gstack.operations.addresses import Home
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.store import identity, overlay
from gstack.translate import addresses, kept, networks
from gstack.translate.balancing import RULES, checked, hold, ports

Row = dict[str, Any]


@workflow("op.forwardingRules.insert")
def insert(run: Run, plan: Row) -> None:
    """``plan``: ``row``, that of the store without its address; ``address``, CloudStack's id of a reserved one, or None
    for one that goes with the rule: in ``network`` (CloudStack's id) of ``zoneid``, or one that ``make`` describes."""
    row, path = plan["row"], kept.path(RULES, plan["row"])
    held = _address(run, plan, path)
    key = kept.key(run.project, RULES, row)
    whole = {**row, "body": {**row["body"], "IPAddress": held["ipaddress"]}}
    run.undo("the forwarding rule", _forget, key, row["number"])
    run.step("remember", _remember, run, key, whole)
    if plan["address"] is not None:
        run.step("secure the address", _secure, run, held["id"], path)
    run.undo("the balancers", balancing.bring_quietly, run, [held["ipaddress"]])
    run.undo("the use of the rule", _stage, key, row["number"], {"doomed": True})
    run.target_id(int(row["number"]))
    if run.step("health checks", checked, run.project, whole):
        run.warn("NOT_CRITICAL_ERROR", balancing.UNCHECKED)
    for sentence in balancing.settle(run, lambda: [held["ipaddress"]]):
        run.warn("NOT_CRITICAL_ERROR", sentence)


@workflow("op.forwardingRules.delete")
def delete(run: Run, plan: Row) -> None:
    """``plan``: ``key``, the store's; ``number``. The rule stays to the end, so that what it leads to does too."""
    key, number = plan["key"], plan["number"]
    before = run.step("look", _present, run, key, number)
    at = before["body"]["IPAddress"]
    run.undo("the balancers", balancing.bring_quietly, run, [at])
    run.undo("the forwarding rule", _stage, key, number, {})
    run.step("doom", _stage, key, number, {"doomed": True})
    run.step("balancers", balancing.bring_quietly, run, [at])
    run.step("leave the address", _stage, key, number, {"doomed": True, "left": True})
    held = run.step("look at the address", _held, run, before)
    if held["anothers"]:
        run.warn("NOT_CRITICAL_ERROR", balancing.ANOTHERS.format(at, before["name"]))
    elif held["id"] and held["goes"]:
        reserving.release(run, held)
    elif held["id"]:
        run.step("hand on the address", _hand_on, run, held["id"], at)
    run.step("forget", _forget, key, number)


def _address(run: Run, plan: Row, path: str) -> Row:
    """The address that a rule is to have, marked as its own; given back, or as it was, if the workflow fails."""
    keeper = run.step("gateway", identity.own)
    if plan["address"] is None:
        network = plan["network"] or making.make(run, plan["make"])["id"]
        made = tying.acquire(run, Home(network), plan["zoneid"])
        run.step("mark the address", balancing.mark, run, made["id"], path, keeper, True)
        return made
    held: Row = run.step("look at the address", _free, run, plan["address"], path, keeper)
    # One that this very rule has was left to it by a store that is lost, or by another gateway: it is this one's now.
    if held["forwarding"] is None or not balancing.is_own(held["keeper"], keeper):
        before = held["forwarding"], held["keeper"]
        run.undo("the use of the address", _hand_on, run, held["id"], held["ipaddress"], before)
        run.step("mark the address", balancing.mark, run, held["id"], path, keeper, False, True)
    return held


# What follows runs inside of steps.


def _stage(key: str, number: str, stage: Row) -> None:
    """How far the deletion of a rule is: ``doomed``, it leads nowhere any more; ``left``, it needs no address."""

    def change(row: Row) -> Row | None:
        rest = {member: value for member, value in row.items() if member not in ("doomed", "left")}
        return {**rest, **stage} if row["number"] == number else None

    overlay.change(RULES, key, change)


def _remember(run: Run, key: str, row: Row) -> None:
    """Write a rule, unless what it leads to was deleted meanwhile, or another one has come that has its name, or a port
    of its at the address."""
    overlay.hold(identity.KIND, identity.KEY)  # one rule after the other
    hold(run.project, row["body"])
    if not overlay.add(RULES, key, run.project.id, row) and overlay.read(RULES, key)["number"] != row["number"]:
        raise already_exists(run.target)
    ip = row["body"]["IPAddress"]
    for one in kept.rows(run.project, RULES):
        mine, theirs = set(ports(row["body"])), set(ports(one["body"]))
        if one["number"] != row["number"] and one["body"]["IPAddress"] == ip and mine & theirs:
            raise _in_use(ip, f"'{kept.path(RULES, one)}'")


def _forget(key: str, number: str) -> None:
    """Forget a rule; not another one that has its name."""
    if overlay.read(RULES, key).get("number") == number:
        overlay.drop(RULES, key)


def _present(run: Run, key: str, number: str) -> Row:
    row = overlay.read(RULES, key)
    if row.get("number") != number:
        raise not_found(run.target)
    return row


def _free(run: Run, address: str, path: str, keeper: str) -> Row:
    row: Row = reserving.look(run, address)
    if row["virtualmachineid"]:
        raise _in_use(row["ipaddress"], "an instance")
    if row["forwarding"] not in (None, path) and not balancing.is_own(row["keeper"], keeper):
        raise _in_use(row["ipaddress"], f"'{row['forwarding']}'")
    return row


def _in_use(ip: str, user: str) -> GceError:
    message = f"The IP address '{ip}' is already being used by {user}."
    return GceError("resourceInUseByAnotherResource", message)


def _secure(run: Run, address: str, path: str) -> None:
    """Mark an address, once its rule is known to all, if another rule that had it has gone meanwhile."""
    if reserving.look(run, address)["forwarding"] is None:
        balancing.mark(run, address, path, identity.known())


def _hand_on(run: Run, address: str, ip: str, otherwise: Sequence[str | None] = (None, None)) -> None:
    """Mark an address with a rule that needs it, or, where none does, with rule and gateway ``otherwise``; again until
    that is still so afterwards, as other rules come and go."""
    while True:
        heir = _heir(run, ip)
        rule, keeper = (heir, identity.known()) if heir else otherwise
        balancing.mark(run, address, rule, keeper)
        if _heir(run, ip) == heir:
            return


def _heir(run: Run, ip: str) -> str | None:
    rules = [one for one in kept.rows(run.project, RULES) if one["body"]["IPAddress"] == ip and not one.get("left")]
    return min((kept.path(RULES, one) for one in rules), default=None)


def _held(run: Run, rule: Row) -> Row:
    """The address of a rule that goes: its ``id``, or None where it is gone; whether it ``goes`` along, or is
    ``anothers``, another gateway's by now."""
    ip = rule["body"]["IPAddress"]
    rows = run.cloud.use(lambda cloud: addresses.every(cloud, ipaddress=ip))
    row = next((row for row in rows if addresses.FORWARDING in networks.marks(row)), None)
    marks = networks.marks(row or {})
    return {
        "id": row["id"] if row is not None else None,
        "ipaddress": ip,
        "goes": addresses.EPHEMERAL in marks and _heir(run, ip) is None,
        "anothers": not balancing.is_own(marks.get(addresses.KEEPER), identity.known()),
    }
