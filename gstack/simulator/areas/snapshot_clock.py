"""Snapshots that policies take when their time comes, and the end of those that are too many.

Apart from the policies, which users change. Surprising: what is kept is counted by volume and interval and not by
policy, a snapshot gets the tags of its policy, and a volume without storage is passed over (CloudStack's
`SnapshotSchedulerImpl`, which looks every five minutes; here it happens on time). A minute 61 or a weekday 8 is one
of the next hour or week, as Java's calendar counts on.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ..errors import ApiError
from ..model_owned import SnapshotPolicy
from ..own_calls import call_as, user_of
from . import snapshots
from .snapshot_policies import INTERVALS, parts

if TYPE_CHECKING:
    from ..simulator import Simulator

LOOK_SECONDS = 300.0  # from one look of CloudStack's at its schedules to the next
NEVER = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


def upcoming(interval: int, schedule: str, timezone: str, now: float) -> float:
    """When, after now, a schedule strikes next; its hours and days are those of its time zone. One that lies behind
    even in the next hour, day, week or month strikes at every look.
    """
    zone, kind = ZoneInfo(timezone), list(INTERVALS)[interval]
    here = datetime.fromtimestamp(now, zone).replace(tzinfo=None, minute=0, second=0, microsecond=0)
    try:
        this, following = around(kind, here, *parts(kind, schedule))
        for moment in (this, following):
            strikes = moment.replace(tzinfo=zone).astimezone(UTC).timestamp()
            if strikes > now:
                return strikes
    except (OverflowError, ValueError):  # beyond all calendars
        return NEVER
    return now + LOOK_SECONDS


def around(kind: str, here: datetime, minute: int, hour: int = 0, day: int = 0) -> tuple[datetime, datetime]:
    """What a schedule means in this hour, day, week or month and in the one after."""
    if kind == "HOURLY":
        moment = here + timedelta(minutes=minute)
        return moment, moment + timedelta(hours=1)
    moment = here.replace(hour=0) + timedelta(hours=hour, minutes=minute)
    if kind == "DAILY":
        return moment, moment + timedelta(days=1)
    if kind == "WEEKLY":
        moment += timedelta(days=day - 1 - here.isoweekday() % 7)  # Sunday is 1
        return moment, moment + timedelta(days=7)
    moment += timedelta(days=day - here.day)
    after = moment.replace(day=1) + timedelta(days=31)
    return moment, after.replace(day=min(moment.day, monthrange(after.year, after.month)[1]))


def tend(simulator: Simulator) -> None:
    world = simulator.world
    for policy in list(world.snapshot_policy):
        when = (policy.interval, policy.schedule, policy.timezone)
        if policy.due is None or policy.due[1:] != list(when):
            policy.due = [upcoming(*when, world.now()), *when]
        elif world.now() >= policy.due[0]:
            policy.due = None
            take(simulator, policy)
        forget(simulator, policy)


def take(simulator: Simulator, policy: SnapshotPolicy) -> None:
    world = simulator.world
    volume, owner = world.volume.get(policy.volume), world.account[policy.account]
    if volume is None or not volume.pool or owner.state != "enabled":
        return
    raw = {"volumeid": volume.id}
    for number, tag in enumerate(world.tags.get(policy.id, ())):
        raw |= {f"tags[{number}].key": tag.key or "", f"tags[{number}].value": tag.value}
    try:
        made = snapshots.create(call_as(simulator, user_of(simulator, owner.id), "createSnapshot", None, **raw))
    except ApiError:
        return  # a quota is reached, or a snapshot is under way: the next time will tell
    world.snapshot[str(made["id"])].kind = list(INTERVALS)[policy.interval]


def forget(simulator: Simulator, policy: SnapshotPolicy) -> None:
    """The oldest go while there are more than the policy keeps."""
    world, kind = simulator.world, list(INTERVALS)[policy.interval]
    held = [s for s in world.snapshot if (s.volume, s.kind, s.state) == (policy.volume, kind, "BackedUp")]
    for snapshot in held[: max(0, len(held) - policy.maxsnaps)]:
        snapshot.state = "Destroyed"
        world.tags.pop(snapshot.id, None)
