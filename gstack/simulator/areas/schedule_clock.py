"""What schedules of machines do when their time comes.

Apart from the schedules, which users change. Surprising: a schedule whose machine is in no state for its action lets
the time pass without a word, and one that is over strikes once more, as its next time was set while it was not, before
it disables itself (CloudStack's `VMSchedulerImpl`).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from ..cron import Cron
from ..errors import ApiError
from ..model_owned import Schedule
from ..own_calls import call_as, user_of
from . import machines_lifecycle

if TYPE_CHECKING:
    from ..simulator import Simulator

# action → command, and the state in which it means something
COMMANDS = {
    "START": (machines_lifecycle.start, "startVirtualMachine", "Stopped"),
    "STOP": (machines_lifecycle.stop, "stopVirtualMachine", "Running"),
    "FORCE_STOP": (machines_lifecycle.stop, "stopVirtualMachine", "Running"),
    "REBOOT": (machines_lifecycle.reboot, "rebootVirtualMachine", "Running"),
    "FORCE_REBOOT": (machines_lifecycle.reboot, "rebootVirtualMachine", "Running"),
}


def upcoming(schedule: Schedule, now: float) -> float | None:
    """When it strikes next; None if it is over."""
    zone = ZoneInfo(schedule.timezone)
    here = datetime.fromtimestamp(max(now, schedule.startdate), zone).replace(tzinfo=None)
    strikes = Cron(schedule.schedule).after(here)
    if strikes is None or (schedule.enddate is not None and now > schedule.enddate):
        return None
    return strikes.replace(tzinfo=zone).astimezone(UTC).timestamp()


def tend(simulator: Simulator) -> None:
    world = simulator.world
    for schedule in list(world.schedule):
        if not schedule.enabled:
            continue
        told_from = [schedule.schedule, schedule.timezone, schedule.startdate, schedule.enddate]
        if schedule.due is None or schedule.due[1:] != told_from:
            when = upcoming(schedule, world.now())
            schedule.enabled = when is not None and schedule.machine in world.machine.rows
            schedule.due = [when, *told_from]
        elif world.now() >= schedule.due[0]:
            schedule.due = None
            act(simulator, schedule)


def act(simulator: Simulator, schedule: Schedule) -> None:
    machine = simulator.world.machine.get(schedule.machine)
    handler, command, state = COMMANDS[schedule.action]
    if machine is None or machine.state != state:
        return
    forced = {"forced": "true"} if schedule.action.startswith("FORCE") else {}
    user = user_of(simulator, schedule.account)
    try:
        handler(call_as(simulator, user, command, "machine", id=machine.id, **forced))
    except ApiError:
        return  # protected, or of a disabled owner: the next time will tell
