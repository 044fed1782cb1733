"""Policies that take snapshots of a volume by the clock.

Apart from snapshots and from the clock that takes them. Surprising: a volume has one policy for each interval
and a second create changes it, an unknown time zone becomes GMT, and the interval goes in as a word and
comes out as a number.
"""

from __future__ import annotations

import re

from .. import limits
from ..call import Call
from ..cron import known_zone
from ..errors import invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, page, same_id, select, visible_accounts
from ..model import Row, Volume
from ..model_owned import SnapshotPolicy
from ..registry import command
from . import tags, volumes

# interval → how many parts of a schedule it heeds: minute, hour, day
INTERVALS = {"HOURLY": 1, "DAILY": 2, "WEEKLY": 3, "MONTHLY": 3}
MOST_KEPT = 8
LAST_DAY = 28  # that every month has
JAVA_INTEGER = re.compile(r"[+-]?\d+")
INTEGERS = range(-(2**31), 2**31)
IN_POLICY = frozenset[str]()


def view(call: Call, policy: SnapshotPolicy) -> Row:
    volume = call.world.volume[policy.volume]
    zone = call.world.zone[volume.zone]
    row: Row = {"id": policy.id, "volumeid": volume.id, "volumename": volume.name, "schedule": policy.schedule}
    row.update(intervaltype=policy.interval, maxsnaps=policy.maxsnaps, timezone=policy.timezone)
    flags: Row = {"isnsxenabled": False, "ismultiarch": False, "routedmodeenabled": False}
    row["zone"] = [{"id": zone.id, "name": zone.name, **flags}]
    row["storage"] = [{"id": pool_id(zone.id), "name": f"{zone.name}-c0-ps0"}]
    row["tags"] = call.world.tag_rows(policy.id, IN_POLICY)
    return row


def pool_id(zone: str) -> str:
    """Storage pools have ids of version 3."""
    return f"{zone[:14]}3{zone[15:19]}8{zone[20:]}"


def parts(kind: str, schedule: str) -> list[int]:
    """Minute, hour and day, as many as the interval heeds; more are ignored. Any number will do, one that no clock
    shows counts on: minute 61 is the first of the next hour (CloudStack's `DateUtil.getNextRunTime`). ValueError.
    """
    words = schedule.rstrip(":").split(":")[: INTERVALS[kind]]
    if len(words) < INTERVALS[kind] or not all(JAVA_INTEGER.fullmatch(word) for word in words):
        raise ValueError(schedule)
    found = [int(word) for word in words]
    if not all(number in INTEGERS for number in found) or (kind == "MONTHLY" and found[2] > LAST_DAY):
        raise ValueError(schedule)
    return found


def check(call: Call, volume: Volume) -> tuple[str, str, int]:
    given, schedule = call.text("intervaltype") or "", call.text("schedule") or ""
    kind = given.upper()
    keep = call.number("maxsnaps") or 0
    shown = volumes.described(volume, call.world.machine.get(volume.machine))
    if volume.state != "Ready":
        raise invalid(f"Volume: {shown} is not in Ready state but {volume.state}. Cannot take snapshot.")
    if kind not in INTERVALS:
        raise invalid(f"Unsupported interval type {given}")
    try:
        parts(kind, schedule)
    except ValueError:
        problem = f"has an invalid schedule [{schedule}] for interval type [{given}]."
        raise invalid(f"Volume {shown[7:]} {problem}") from None
    if keep <= 0:
        raise invalid(f"maxSnaps [{keep}] for volume {shown} should be greater than 0.")
    if keep > MOST_KEPT:
        raise invalid(f"maxSnaps [{keep}] for volume {shown} exceeds limit [{MOST_KEPT}] for interval type [{given}].")
    limit = limits.limit_of(call.world.account[volume.account], "snapshot")
    if limits.UNLIMITED != limit < keep:
        raise invalid("Max number of snapshots shouldn't exceed the domain/account level snapshot limit")
    return kind, schedule, keep


@command("createSnapshotPolicy")
def create(call: Call) -> Row:
    volume, world = call.need("volumeid", Volume), call.world
    kind, schedule, keep = check(call, volume)
    timezone = known_zone(call.text("timezone") or "")
    interval = list(INTERVALS).index(kind)
    policy = next((p for p in world.snapshot_policy if (p.volume, p.interval) == (volume.id, interval)), None)
    if policy is None:
        number = world.snapshot_policy.take_number()
        policy = SnapshotPolicy(world.uuid(), number, volume.account, volume.id, interval, schedule, keep, timezone)
        world.snapshot_policy.add(policy)
    policy.schedule, policy.maxsnaps, policy.timezone = schedule, keep, timezone
    pairs = tags.wanted_pairs(call)
    world.tags.pop(policy.id, None)  # changing one forgets its tags, whether there are new ones or not
    if pairs:
        tags.put(call, "SnapshotPolicy", policy.id, policy.account, pairs)
    return {"snapshotpolicy": view(call, policy)}


FILTERS: Filters = {**ID_FILTERS, "volumeid": same_id("volume")}


@command("listSnapshotPolicies", "snapshot_policy")
def list_policies(call: Call) -> Row:
    """Newest first; without a volume or an id the list is empty."""
    check_page(call)
    if "volumeid" not in call.args and "id" not in call.args:
        return {}
    mine = visible_accounts(call)
    newest_first = reversed([policy for policy in call.world.snapshot_policy if mine(policy.account)])
    rows = select(call, newest_first, FILTERS, lambda policy: (policy.schedule,))
    return page(call, "snapshotpolicy", rows, lambda policy: view(call, policy))


@command("updateSnapshotPolicy", "snapshot_policy")
def update(call: Call) -> Row:
    policy = call.need("id", SnapshotPolicy)

    def work() -> Steps:
        yield 0.1
        return {"snapshotpolicy": view(call, policy)}

    return call.later(work, policy)


@command("deleteSnapshotPolicies", "snapshot_policy")
def delete(call: Call) -> Row:
    one, several = call.entity("id", SnapshotPolicy), call.entities("ids", SnapshotPolicy)
    doomed = [one] if one is not None else several or []
    if not doomed or (one is not None and several):
        raise invalid("Either id or ids of the snapshot policies must be specified")
    for policy in doomed:
        call.check_access(policy)
    for policy in doomed:
        call.world.snapshot_policy.remove(policy, leave_trace=False)
        call.world.tags.pop(policy.id, None)
    return {"success": True}
