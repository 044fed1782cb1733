"""Workflows of what is balanced: a change of a pool, a group, a backend service or a forwarding rule.

Apart from the balancers themselves, which follow. What is to change is said member by member and not as a whole row, so
that of two requests at once neither takes back what the other did: operations on one object run one after the other.
The surprising thing: where no forwarding rule leads to what changes, CloudStack is not asked for anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gstack.errors import GceError, not_found
from gstack.operations import balancing, engine
from gstack.operations.run import Run
from gstack.operations.workflow import workflow
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import matches
from gstack.store import overlay
from gstack.translate import kept
from gstack.translate.balancing import GROUPS, fronts, hold
from gstack.translate.caller import Project

Row = dict[str, Any]

WORKFLOW = "op.balancing.change"
QUIET = {"labels", "namedPorts", "description", "healthChecks", "timeoutSec"}  # what no balancer depends on
LABELS = ("Labels", "labels", "labelFingerprint")
RESOURCE = ("Resource", "fields", "fingerprint")
STALE = "{} fingerprint either invalid or resource {} have changed"


def start(
    call: Call,
    kind: str,
    row: Row,
    *,
    add: Row | None = None,
    remove: Row | None = None,
    put: Row | None = None,
    seen: tuple[str | None, str] | None = None,
    type: str | None = None,
) -> dict[str, Any]:
    """Start the change of a row of the store: entries that lists get (``add``) and lose (``remove``), and members that
    are ``put`` in place of what is there (None: away). ``seen``: the fingerprint that the client sent, of a member or
    (None) of the whole; ``type``: the operation's, where it is not the method's verb. Raises GceError
    ``conditionNotMet`` for an old fingerprint."""
    if seen is not None:
        check_seen(row["body"], *seen)
    plan = {
        "kind": kind,
        "key": kept.key(call.caller.project, kind, row),
        "number": row["number"],
        "add": add or {},
        "remove": remove or {},
        "put": put or {},
        "seen": seen,
    }
    target = f"projects/{call.project}/{kept.path(kind, row)}"
    return engine.start(
        call, WORKFLOW, type=type or call.method.verb, target=target, target_id=row["number"], plan=plan
    )


@workflow(WORKFLOW)
def change(run: Run, plan: Row) -> None:
    """``plan``: as :func:`start` makes it; ``kind`` and ``key`` are the store's, ``number`` is that of the row."""
    before = run.step("look", _present, run, plan)
    path = kept.path(plan["kind"], before)
    run.undo("the balancers", lambda: balancing.bring_quietly(run, fronts(run.project, path)))
    run.undo("the change", _put_back, run, plan, before)
    run.step("remember", _remember, run, plan)
    moved = [member for entries in (plan["add"], plan["remove"]) for member, some in entries.items() if some]
    if {*plan["put"], *moved} <= QUIET:
        return
    for sentence in balancing.settle(run, lambda: fronts(run.project, path)):
        run.warn("NOT_CRITICAL_ERROR", sentence)


def check_seen(body: Row, member: str | None, seen: str) -> None:
    """Raises GceError conditionNotMet unless ``seen`` is the fingerprint of a member, or of the whole."""
    if not matches(seen, body.get(member, {}) if member else body):
        what, fields, location = LABELS if member == "labels" else RESOURCE
        raise GceError("conditionNotMet", STALE.format(what, fields), location=location)


def edited(body: Row, plan: Row) -> Row:
    """A body after the change that ``plan`` says."""
    found = {**body, **plan["put"]}
    for member, entries in plan["add"].items():
        there = found.get(member) or []
        found[member] = [*there, *(entry for entry in entries if entry not in there)]
    for member, entries in plan["remove"].items():
        found[member] = [entry for entry in found.get(member) or [] if entry not in entries]
    return {member: value for member, value in found.items() if value is not None}


def all_of(body: Row, members: Iterable[str]) -> Row:
    """``put`` for an update: the members as a body says them, and away with those that it does not."""
    return {member: body.get(member) for member in members}


# What follows runs inside of steps.


def forget(project: Project, machine: str) -> None:
    """Take a machine that is destroyed out of the instance groups. One that another change puts back is not shown."""

    def left(row: Row) -> Row:
        members = [one for one in row["body"]["members"] if one["id"] != machine]
        return {**row, "body": {**row["body"], "members": members}}

    for row in kept.rows(project, GROUPS):
        if any(one["id"] == machine for one in row["body"]["members"]):
            overlay.change(GROUPS, kept.key(project, GROUPS, row), left)


def _present(run: Run, plan: Row) -> Row:
    row = overlay.read(plan["kind"], plan["key"])
    if not _same(row, plan):
        raise not_found(run.target)
    if plan["seen"] is not None:
        check_seen(row["body"], *plan["seen"])
    return row


def _remember(run: Run, plan: Row) -> None:
    """Change what is there by now, unless it was deleted since, or what it is to name was."""
    hold(run.project, {**plan["add"], **plan["put"]})

    def change(row: Row) -> Row | None:
        return {**row, "body": edited(row["body"], plan)} if _same(row, plan) else None

    if not overlay.change(plan["kind"], plan["key"], change):
        raise not_found(run.target)


def _put_back(run: Run, plan: Row, before: Row) -> None:
    if _same(overlay.read(plan["kind"], plan["key"]), plan):
        hold(run.project, before["body"])  # what it named may be gone by now: then it stays as it is
    overlay.change(plan["kind"], plan["key"], lambda row: before if _same(row, plan) else None)


def _same(row: Row, plan: Row) -> bool:
    """Whether what the store holds is what the client meant, and not another one made under its name since."""
    return bool(row.get("number") == plan["number"])
