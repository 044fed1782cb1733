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
from gstack.store import overlay
from gstack.translate import addresses, kept, networks
from gstack.translate.balancing import RULES, checked

Row = dict[str, Any]


@workflow("op.forwardingRules.insert")
def insert(run: Run, plan: Row) -> None:
    """``plan``: ``row``, that of the store without its address; ``address``, CloudStack's id of a reserved one, or None
    for one that goes with the rule: in ``network`` (CloudStack's id) of ``zoneid``, or one that ``make`` describes."""
    row, path = plan["row"], kept.path(RULES, plan["row"])
    if plan["address"] is None:
        network = plan["network"] or making.make(run, plan["make"])["id"]
        held = tying.acquire(run, Home(network), plan["zoneid"])
    else:
        held = run.step("look at the address", _free, run, plan["address"])
        if held["forwarding"] is None:
            run.undo("the use of the address", balancing.mark, run, held["id"], None)
    if held.get("forwarding") is None:
        run.step("mark the address", balancing.mark, run, held["id"], path, plan["address"] is None)
    run.undo("the balancers", balancing.bring_quietly, run, held["ipaddress"])
    key = kept.key(run.project, RULES, row)
    run.undo("the forwarding rule", overlay.drop, RULES, key)
    whole = {**row, "body": {**row["body"], "IPAddress": held["ipaddress"]}}
    run.step("remember", overlay.write, RULES, key, run.project.id, whole)
    run.target_id(int(row["number"]))
    if run.step("health checks", checked, run.project, whole):
        run.warn("NOT_CRITICAL_ERROR", balancing.UNCHECKED)
    for sentence in balancing.settle(run):
        run.warn("NOT_CRITICAL_ERROR", sentence)


@workflow("op.forwardingRules.delete")
def delete(run: Run, plan: Row) -> None:
    """``plan``: ``key``, the store's."""
    before = run.step("look", _present, run, plan["key"])
    run.undo("the balancers", balancing.bring_quietly, run)
    run.undo("the forwarding rule", overlay.write, RULES, plan["key"], run.project.id, before)
    run.step("forget", overlay.drop, RULES, plan["key"])
    run.step("balancers", balancing.bring_quietly, run, before["body"]["IPAddress"])
    held = run.step("look at the address", _held, run, before)
    if held is None:
        return
    if held["heir"] or not held["ephemeral"]:
        run.step("hand on the address", balancing.mark, run, held["id"], held["heir"])
    else:
        reserving.release(run, held)


# What follows runs inside of steps.


def _present(run: Run, key: str) -> Row:
    row = overlay.read(RULES, key)
    if not row:
        raise not_found(run.target)
    return row


def _free(run: Run, address: str) -> Row:
    row: Row = reserving.look(run, address)
    if row["virtualmachineid"]:
        raise GceError(
            "resourceInUseByAnotherResource",
            f"The IP address '{row['ipaddress']}' is already being used by an instance.",
        )
    return row


def _held(run: Run, rule: Row) -> Row | None:
    """The address of a rule that is gone: whether it goes along, and the rule that has it from now on."""
    rows = run.cloud.use(lambda cloud: addresses.every(cloud, ipaddress=rule["body"]["IPAddress"]))
    row = next((row for row in rows if addresses.FORWARDING in networks.marks(row)), None)
    if row is None:
        return None
    others = [one for one in kept.rows(run.project, RULES) if one["body"]["IPAddress"] == row["ipaddress"]]
    heir = kept.path(RULES, others[0]) if others else None
    ephemeral = addresses.EPHEMERAL in networks.marks(row)
    return {"id": row["id"], "ipaddress": row["ipaddress"], "ephemeral": ephemeral, "heir": heir}
