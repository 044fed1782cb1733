"""Snapshots that policies take when their time comes, and the end of those that are too many.

Apart from the policies, which users change. Surprising: what is kept is counted by volume and interval and not by
policy, a snapshot gets the tags of its policy, and a volume without storage is passed over (CloudStack's
`SnapshotSchedulerImpl`, which looks every five minutes; here it happens on time).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ..errors import ApiError
from ..model_owned import SnapshotPolicy
from ..own_calls import call_as, user_of
from . import snapshots
from .snapshot_policies import INTERVALS

if TYPE_CHECKING:
    from ..simulator import Simulator

LONGEST = 62  # days until a day of the month comes again, with one to spare


def upcoming(interval: int, schedule: str, timezone: str, now: float) -> float:
    """When, after now, a schedule strikes next; its hours and days are those of its time zone."""
    zone = ZoneInfo(timezone)
    parts = [int(word) for word in schedule.split(":")]
    minute, hour, day = (*parts, None, None)[:3]
    here = datetime.fromtimestamp(now, zone).replace(tzinfo=None, second=0, microsecond=0)
    step = timedelta(hours=1) if hour is None else timedelta(days=1)
    moment = here.replace(minute=minute or 0, hour=here.hour if hour is None else hour)
    for _ in range(LONGEST):
        strikes = moment.replace(tzinfo=zone).astimezone(UTC).timestamp()
        weekly, today = interval == 2, moment.isoweekday() % 7 + 1  # Sunday is 1
        if strikes > now and day in (None, today if weekly else moment.day):
            return strikes
        moment += step
    raise ValueError(f"{schedule} never strikes")


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
