"""Workflows of firewalls: make, change and remove a definition, then bring the instances' groups in line.

Apart from the rooms that know how (gstack/firewall). The surprising thing: every workflow ends with the same step,
which reads everything again; nothing is carried from one step to the next but ids.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gstack.errors import GceError, in_use
from gstack.firewall import defining, security_groups
from gstack.firewall.grouprules import GroupRule
from gstack.firewall.groups import UNFINISHED
from gstack.firewall.plan import TOO_MANY_RULES, State, wanted
from gstack.firewall.security_groups import SWEEP, bring, read, sweep, using
from gstack.firewall.writer import Writer
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.ids import numeric_id

IN_USE = 536
USERS = "machines or security groups in CloudStack."
# A destroyed machine is expunged after a day, unless the administrator set it otherwise; a week of tries is enough.
SWEEP_AGAIN_SECONDS = 1800.0
MOST_SWEEPS = 336


@workflow("op.firewalls.insert")
def insert(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``content``, the firewall; ``leftover``, the id of a group that an earlier try left, or None."""
    content, group_id = plan["content"], plan["leftover"]
    run.undo("the rules of instances", converge_quietly, run)
    if group_id is None:
        params = {"name": content["name"], "description": UNFINISHED}
        made = run.job("security group", "createSecurityGroup", params, find=lambda: _unfinished(run, content["name"]))
        group_id = made["id"]
    run.undo_job("the security group", "deleteSecurityGroup", {"id": group_id})
    run.target_id(numeric_id(group_id))
    run.step("definition", define, run, group_id, content)
    _converge(run, group_id)
    _say_what_is_not_logged(run, content)


@workflow("op.firewalls.change")
def change(run: Run, plan: dict[str, Any]) -> None:
    """Patch and update. ``plan``: ``group``, its id; ``content``, the firewall; ``before``, what it was, or None for a
    group that another tool made."""
    if plan["before"] is not None:
        run.undo("the rules of instances", converge_quietly, run)
        run.undo("the definition", define, run, plan["group"], plan["before"])
    run.step("definition", define, run, plan["group"], plan["content"])
    _converge(run, plan["group"])
    _say_what_is_not_logged(run, plan["content"])


@workflow("op.firewalls.delete")
def delete(run: Run, plan: dict[str, Any]) -> None:
    """``plan``: ``group``, its id; ``part``, the rules to take out of it, or None to delete it."""
    if plan["part"] is not None:
        run.step("rules", revoke, run, plan["group"], plan["part"])
    else:
        try:
            run.job("security group", "deleteSecurityGroup", {"id": plan["group"]})
        except GceError as error:
            if getattr(error, "code", None) != IN_USE:
                raise
            raise in_use(run.target, USERS) from None
    converge(run)


@workflow(SWEEP)
def sweep_own_groups(run: Run, plan: dict[str, Any]) -> None:
    """Delete the own groups of destroyed instances. ``plan``: ``groups``, ids; ``tries``, how many there were."""
    tries = plan.get("tries", 0) + 1
    if not sweep(run, plan["groups"]) and tries < MOST_SWEEPS:
        run.later(SWEEP, {"groups": plan["groups"], "tries": tries}, delay=SWEEP_AGAIN_SECONDS)


def define(run: Run, group_id: str, content: dict[str, Any]) -> None:
    """A step's body: make the group say ``content``."""
    using(run, lambda writer: defining.define(writer, group_id, content))


def revoke(run: Run, group_id: str, part: Iterable[list[Any]]) -> None:
    """A step's body: take rules, as lists of their members, out of a group."""
    rules = [GroupRule(*members) for members in part]
    using(run, lambda writer: defining.revoke(writer, group_id, rules))


def converge_quietly(run: Run) -> None:
    """An undo's body: bring the instances' groups in line with whatever is there."""
    using(run, bring)


def converge(run: Run) -> None:
    """Bring the rules of all instances in line: what cannot be said is a warning, trouble an error."""
    for sentence in security_groups.converge(run):
        run.warn("NOT_CRITICAL_ERROR", sentence)


def converge_or_warn(run: Run) -> None:
    """As :func:`converge`, after a change of one instance. Its own rules were there before it was; what is missing now
    keeps others from reaching it or being reached, so trouble is a warning and the next change of any kind mends it."""
    try:
        converge(run)
    except GceError as error:
        message = f"The firewall rules of other instances could not be brought in line: {error.message}"
        run.warn("NOT_CRITICAL_ERROR", message)


def _converge(run: Run, group_id: str) -> None:
    """As :func:`converge`. Raises GceError where the firewall of a group is what takes more rules than a group should
    have."""
    for sentence in security_groups.converge(run):
        if sentence == TOO_MANY_RULES and not _too_many_without(run, group_id):
            raise GceError("quotaExceeded", sentence)
        run.warn("NOT_CRITICAL_ERROR", sentence)


def _too_many_without(run: Run, group_id: str) -> bool:
    """Whether the other firewalls alone take too many rules. Instances may have come since they were made, and what is
    made now may be there to help."""

    def look(writer: Writer) -> bool:
        state = read(writer.cloud)
        others = State([group for group in state.groups if group.id != group_id], state.machines)
        return TOO_MANY_RULES in wanted(others)[1]

    found: bool = run.step("rules of all others", lambda: using(run, look))
    return found


def _say_what_is_not_logged(run: Run, content: dict[str, Any]) -> None:
    if content["logConfig"].get("enable"):
        run.warn("NOT_CRITICAL_ERROR", "CloudStack does not log what a firewall allows or denies.")


def _unfinished(run: Run, name: str) -> dict[str, Any] | None:
    """The group that a lost createSecurityGroup made. Nobody else makes it: the operation holds the name."""
    row = run.cloud.first("listSecurityGroups", securitygroupname=name)
    return row if row is not None and row.get("description") == UNFINISHED else None
