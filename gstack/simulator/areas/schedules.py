"""Schedules of machines, and the console endpoint.

Apart from the life of a machine, and from the clock that lets schedules strike. Surprising: a start date is a minute
ahead when none is given, and a console of a stopped machine is refused inside a success.
"""

from __future__ import annotations

import re

from ..call import Call
from ..cron import Cron, known_zone
from ..errors import ApiError, invalid
from ..lists import ID_FILTERS, Filters, check_page, page, same_name, select
from ..model import Machine, Row
from ..model_owned import Schedule
from ..registry import command
from ..world import date
from . import machines

ACTIONS = ("START", "STOP", "REBOOT", "FORCE_STOP", "FORCE_REBOOT")
CLOCK = re.compile(r"\d+")
CONSOLE_PROXY = "60.147.43.253"


def view(schedule: Schedule) -> Row:
    row: Row = {"id": schedule.id, "virtualmachineid": schedule.machine, "description": schedule.description}
    row.update(schedule=schedule.schedule, timezone=schedule.timezone, action=schedule.action)
    row.update(enabled=schedule.enabled, startdate=date(schedule.startdate))
    if schedule.enddate is not None:
        row["enddate"] = date(schedule.enddate)
    return {**row, "created": date(schedule.created)}


def check_cron(text: str) -> None:
    try:
        Cron(text)
    except ValueError as problem:
        raise ApiError(431, str(problem), 9999) from None


def readable(cron: str) -> str:
    minute, hour, *rest = cron.split()
    if CLOCK.fullmatch(minute) and CLOCK.fullmatch(hour) and rest == ["*", "*", "*"]:
        return f"at {int(hour):02d}:{int(minute):02d}"
    return f"at {cron}"


def moment(call: Call, name: str) -> float | None:
    value = call.args.get(name)
    return value if isinstance(value, float) else None


def check_dates(call: Call, start: float, end: float | None) -> None:
    now = call.world.now()
    if start < now:
        raise invalid(f"Invalid value for start date. Start date [{date(start)}] can't be before [{date(now)}].")
    if end is not None and end < max(start, now):
        raise invalid(f"Invalid value for end date. End date [{date(end)}] can't be before [{date(max(start, now))}].")


@command("createVMSchedule")
def create(call: Call) -> Row:
    machine, action = call.need("virtualmachineid", Machine), (call.text("action") or "").upper()
    if action not in ACTIONS:
        raise invalid(f"Invalid value for action: {call.text('action')}")
    cron = call.text("schedule") or ""
    check_cron(cron)
    world, table = call.world, call.world.schedule
    start, end = moment(call, "startdate") or world.now() + 60, moment(call, "enddate")
    check_dates(call, start, end)
    schedule = Schedule(
        id=world.uuid(),
        number=table.take_number(),
        machine=machine.id,
        account=machine.account,
        action=action,
        schedule=cron,
        timezone=known_zone(call.text("timezone") or ""),
        description=call.text("description") or f"{action} - {readable(cron)}",
        enabled=call.flag("enabled", True),
        startdate=start,
        created=world.now(),
        enddate=end,
    )
    return {"vmschedule": view(table.add(schedule))}


FILTERS: Filters = {
    **ID_FILTERS,
    "action": lambda schedule, wanted: same_name(schedule.action, wanted),
    "enabled": lambda schedule, wanted: schedule.enabled is wanted,
}


@command("listVMSchedule", "schedule")
def list_schedules(call: Call) -> Row:
    check_page(call)
    machine = call.need("virtualmachineid", Machine)
    rows = [schedule for schedule in call.world.schedule if schedule.machine == machine.id]
    rows = select(call, rows, FILTERS, lambda schedule: (schedule.description,))
    return page(call, "vmschedule", rows, view)


@command("updateVMSchedule", "schedule")
def update(call: Call) -> Row:
    schedule = call.need("id", Schedule)
    cron, text = call.text("schedule"), call.text("description")
    if cron:
        check_cron(cron)
        schedule.schedule = cron
    start, end = moment(call, "startdate"), moment(call, "enddate")
    if start is not None or end is not None:
        check_dates(call, start or schedule.startdate, end)
    schedule.description = text or schedule.description
    schedule.timezone = known_zone(call.text("timezone") or schedule.timezone)
    schedule.enabled = call.flag("enabled", schedule.enabled)
    schedule.startdate = start or schedule.startdate
    schedule.enddate = end or schedule.enddate
    return {"vmschedule": view(schedule)}


@command("deleteVMSchedule", "schedule")
def delete(call: Call) -> Row:
    machine = call.need("virtualmachineid", Machine)
    one, several = call.entity("id", Schedule), call.entities("ids", Schedule)
    doomed = [one] if one is not None else several or []
    if not doomed:
        raise invalid("Either id or ids parameter must be specified")
    for schedule in doomed:
        if schedule.machine == machine.id:
            call.world.schedule.remove(schedule, leave_trace=False)
    return {"success": True}


@command("createConsoleEndpoint")
def console(call: Call) -> Row:
    machine = call.need("virtualmachineid", Machine)
    if machine.state != "Running":
        text = f"Server Internal Error: VM {machines.described(machine)} must be running to connect console,"
        answer = {"success": False, "details": f"{text} sending blank response for console access request"}
        return {"consoleendpoint": answer}
    token = call.world.key()
    page_of = f"http://{CONSOLE_PROXY}/resource/noVNC/vnc.html"
    url = f"{page_of}?autoconnect=true&show_dot=true&port=8080&token={token}"
    socket = {"token": token, "host": CONSOLE_PROXY, "port": "8080", "path": "websockify"}
    return {"consoleendpoint": {"success": True, "url": url, "websocket": socket}}
