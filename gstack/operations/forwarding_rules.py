"""Workflows of forwarding rules: an address and a row of the store come and go; the balancers follow.

Apart from the balancers, which changes of pools and instances bring in line as well. The surprising thing: a reserved
address that serves several rules is marked with one of them, and handed on when that one goes.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import GceError, not_found
from gstack.operations import addresses as tying
from gstack.operations import balancing, reserving
from gstack.operations import networks as making
from gstack.operations.addresses import Home
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.store import identity, overlay
from gstack.translate import addresses, kept, networks
from gstack.translate.balancing import RULES, checked, hold, is_doomed

Row = dict[str, Any]


@workflow("op.forwardingRules.insert")
def insert(run: Run, plan: Row) -> None:
    """``plan``: ``row``, that of the store without its address; ``address``, CloudStack's id of a reserved one, or None
    for one that goes with the rule: in ``network`` (CloudStack's id) of ``zoneid``, or one that ``make`` describes."""
    row, path = plan["row"], kept.path(RULES, plan["row"])
    held = _address(run, plan, path)
    key = kept.key(run.project, RULES, row)
    run.undo("the forwarding rule", overlay.drop, RULES, key)
    whole = {**row, "body": {**row["body"], "IPAddress": held["ipaddress"]}}
    run.step("remember", _remember, run, key, whole)
    run.undo("the balancers", balancing.bring_quietly, run, [held["ipaddress"]])
    run.undo("the use of the rule", _doom, key, True)
    run.target_id(int(row["number"]))
    if run.step("health checks", checked, run.project, whole):
        run.warn("NOT_CRITICAL_ERROR", balancing.UNCHECKED)
    for sentence in balancing.settle(run, lambda: [held["ipaddress"]]):
        run.warn("NOT_CRITICAL_ERROR", sentence)


@workflow("op.forwardingRules.delete")
def delete(run: Run, plan: Row) -> None:
    """``plan``: ``key``, the store's. The rule stays to the end, so that what it leads to can be led to again."""
    before = run.step("look", _present, run, plan["key"])
    at = before["body"]["IPAddress"]
    run.undo("the balancers", balancing.bring_quietly, run, [at])
    run.undo("the forwarding rule", _doom, plan["key"], False)
    run.step("doom", _doom, plan["key"], True)
    run.step("balancers", balancing.bring_quietly, run, [at])
    held = run.step("look at the address", _held, run, before)
    if held["anothers"]:
        run.warn("NOT_CRITICAL_ERROR", balancing.ANOTHERS.format(at, before["name"]))
    elif held["heir"] or (held["id"] and not held["ephemeral"]):
        run.step("hand on the address", balancing.mark, run, held["id"], held["heir"], held["keeper"])
    elif held["id"]:
        reserving.release(run, held)
    run.step("forget", overlay.drop, RULES, plan["key"])


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
        run.undo("the use of the address", balancing.mark, run, held["id"], held["forwarding"], held["keeper"])
        run.step("mark the address", balancing.mark, run, held["id"], path, keeper)
    return held


# What follows runs inside of steps.


def _doom(key: str, doomed: bool) -> None:
    overlay.change(RULES, key, lambda row: {**row, "doomed": doomed})


def _remember(run: Run, key: str, row: Row) -> None:
    """Write a rule, unless what it leads to was deleted meanwhile."""
    hold(run.project, row["body"])
    overlay.write(RULES, key, run.project.id, row)


def _present(run: Run, key: str) -> Row:
    row = overlay.read(RULES, key)
    if not row:
        raise not_found(run.target)
    return row


def _free(run: Run, address: str, path: str, keeper: str) -> Row:
    row: Row = reserving.look(run, address)
    user = "an instance" if row["virtualmachineid"] else None
    if row["forwarding"] not in (None, path) and not balancing.is_own(row["keeper"], keeper):
        user = f"'{row['forwarding']}'"
    if user is not None:
        message = f"The IP address '{row['ipaddress']}' is already being used by {user}."
        raise GceError("resourceInUseByAnotherResource", message)
    return row


def _held(run: Run, rule: Row) -> Row:
    """The address of a rule that goes: its ``id``, or None where it is gone; whether it goes along, the rule that has
    it from now on, and whether it is another gateway's by now."""
    ip = rule["body"]["IPAddress"]
    rows = run.cloud.use(lambda cloud: addresses.every(cloud, ipaddress=ip))
    row = next((row for row in rows if addresses.FORWARDING in networks.marks(row)), None)
    marks = networks.marks(row or {})
    others = [one for one in kept.rows(run.project, RULES) if one["body"]["IPAddress"] == ip and not is_doomed(one)]
    heir = kept.path(RULES, others[0]) if others and row is not None else None
    return {
        "id": row["id"] if row is not None else None,
        "ipaddress": ip,
        "ephemeral": addresses.EPHEMERAL in marks,
        "heir": heir,
        "keeper": marks.get(addresses.KEEPER) if heir else None,
        "anothers": not balancing.is_own(marks.get(addresses.KEEPER), identity.known()),
    }
