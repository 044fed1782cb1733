"""Snapshot schedules: GCE's resource policies in the terms of CloudStack's snapshot policies.

Apart because resource policies and disks must agree on them. CloudStack has no schedule by itself: a policy belongs to
one volume. So a resource policy is a row of the store, and each disk that it is on has a CloudStack policy and a mark
on its volume that says all of it but the labels, which are tags of the policy. The surprising thing: those tags go to
every snapshot that CloudStack takes by the policy, which is how labels, the disk and the schedule come to a snapshot.

Sources: https://cloud.google.com/compute/docs/reference/rest/v1/resourcePolicies and createSnapshotPolicy of
https://cloudstack.apache.org/api/apidocs-4.22/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from gstack.errors import invalid, required
from gstack.protocol.ids import numeric_id
from gstack.translate import kept, snapshots, tags
from gstack.translate.caller import Caller, Project

Row = Mapping[str, Any]

KIND = "resourcePolicies"
MARK = "schedule"  # on a volume: a schedule's list form; on a policy and its snapshots: region and name
HOURLY, DAILY, WEEKLY = "HOURLY", "DAILY", "WEEKLY"
INTERVALS = {HOURLY: 0, DAILY: 1, WEEKLY: 2}  # as CloudStack's lists say it
DAYS = ("SUNDAY", "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY")
MOST_DAYS = 2**16 - 1  # GCE's bound of maxRetentionDays

_TIME = re.compile(r"(?:[01]\d|2[0-3]):00")
_WHERE = "resource.snapshotSchedulePolicy"


@dataclass(frozen=True)
class Schedule:
    """A snapshot schedule. ``at`` is ``HH:00`` in UTC, ``day`` one of :data:`DAYS` for a weekly one, ``keep`` the days
    that a snapshot is kept for."""

    region: str
    name: str
    every: str
    at: str
    keep: int
    day: str | None = None
    created: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    description: str | None = None

    @property
    def path(self) -> str:
        """The link below the project."""
        return f"regions/{self.region}/resourcePolicies/{self.name}"

    @property
    def id(self) -> str:
        """What the numeric id is made of: all that tells it from others, as CloudStack has no object to it."""
        return f"{self.path}/{self.created}"

    @property
    def number(self) -> int:
        """The numeric id."""
        return numeric_id(self.id)

    @property
    def time(self) -> str:
        """CloudStack's ``schedule``: minute, hour, day of the week from 1 for Sunday."""
        hour, _, minute = self.at.partition(":")
        if self.every == HOURLY:
            return minute
        return f"{minute}:{hour}:{DAYS.index(self.day) + 1}" if self.day else f"{minute}:{hour}"

    @property
    def most(self) -> int:
        """CloudStack's ``maxsnaps``: as many as are taken in the days that they are kept for."""
        return {HOURLY: self.keep * 24, DAILY: self.keep, WEEKLY: -(-self.keep // 7)}[self.every]

    def body(self) -> dict[str, Any]:
        """GCE's ``snapshotSchedulePolicy``."""
        cycles: dict[str, dict[str, Any]] = {
            HOURLY: {"hourlySchedule": {"hoursInCycle": 1, "startTime": self.at}},
            DAILY: {"dailySchedule": {"daysInCycle": 1, "startTime": self.at}},
            WEEKLY: {"weeklySchedule": {"dayOfWeeks": [{"day": self.day, "startTime": self.at}]}},
        }
        found: dict[str, Any] = {
            "schedule": cycles[self.every],
            "retentionPolicy": {"maxRetentionDays": self.keep, "onSourceDiskDelete": "KEEP_AUTO_SNAPSHOTS"},
        }
        return found | ({"snapshotProperties": {"labels": dict(self.labels)}} if self.labels else {})

    def mark(self) -> str:
        """The value of a volume's mark: at most 243 characters of the 255 that CloudStack keeps."""
        return orjson.dumps([self.region, self.name, self.every, self.at, self.day, self.keep, self.created]).decode()

    def params(self, volume: str, disk: str) -> dict[str, Any]:
        """Parameters of createSnapshotPolicy for a volume, whose GCE name is ``disk``."""
        own = {MARK: f"{self.region}/{self.name}", snapshots.DISK: disk}
        return {
            "volumeid": volume,
            "intervaltype": self.every,
            "schedule": self.time,
            "timezone": "UTC",
            "maxsnaps": self.most,
            "tags": tags.new_tags(self.labels, own),
        }

    def stored(self) -> dict[str, Any]:
        """As JSON, for the store and for plans."""
        return asdict(self) | {"labels": dict(self.labels)}


def of_body(body: Row, *, region: str, name: str, created: str, description: str | None = None) -> Schedule:
    """The schedule that a ``snapshotSchedulePolicy`` asks for. GceError names what CloudStack cannot express."""
    every, at, day = _cycle(body.get("schedule") or {})
    keep = (body.get("retentionPolicy") or {}).get("maxRetentionDays")
    where = f"{_WHERE}.retentionPolicy.maxRetentionDays"
    if keep is None:
        raise required(where, "CloudStack keeps no end of snapshots.")
    if not 1 <= keep <= MOST_DAYS:
        raise invalid(where, keep, f"Must be between 1 and {MOST_DAYS}.")
    labels = (body.get("snapshotProperties") or {}).get("labels") or {}
    tags.check_labels(labels, f"{_WHERE}.snapshotProperties.labels")
    return Schedule(region, name, every, at, keep, day, created, labels, description)


def _cycle(schedule: Row) -> tuple[str, str, str | None]:
    where = f"{_WHERE}.schedule"
    given = [member for member in ("hourlySchedule", "dailySchedule", "weeklySchedule") if schedule.get(member)]
    if len(given) != 1:
        raise invalid(
            where, ", ".join(given), "Exactly one of hourlySchedule, dailySchedule, weeklySchedule is needed."
        )
    cycle, where = schedule[given[0]], f"{where}.{given[0]}"
    if given == ["weeklySchedule"]:
        days = cycle.get("dayOfWeeks") or []
        if len(days) != 1:
            raise invalid(f"{where}.dayOfWeeks", len(days), "CloudStack takes snapshots on one day of the week.")
        day = days[0].get("day")
        if day not in DAYS:
            raise invalid(f"{where}.dayOfWeeks[0].day", day, f"Must be one of {', '.join(DAYS)}.")
        return WEEKLY, _time(days[0], f"{where}.dayOfWeeks[0]"), day
    every, member = (HOURLY, "hoursInCycle") if given == ["hourlySchedule"] else (DAILY, "daysInCycle")
    if cycle.get(member, 1) != 1:
        raise invalid(f"{where}.{member}", cycle[member], f"CloudStack takes snapshots {every.lower()}: 1 is possible.")
    return every, _time(cycle, where), None


def _time(cycle: Row, where: str) -> str:
    at = cycle.get("startTime")
    if not at:
        raise required(f"{where}.startTime")
    if not _TIME.fullmatch(at):
        raise invalid(f"{where}.startTime", at, "Must be HH:00, in UTC.")
    return str(at)


def of_volume(row: Row) -> Schedule | None:
    """The schedule that a row of listVolumes is marked with; without its labels."""
    return _marked(tags.own_values(row.get("tags") or ()).get(MARK))


def store_key(project: Project, region: str, name: str) -> str:
    """The key of a schedule's row of the store."""
    return kept.store_key(project, KIND, f"{region}/{name}")


def of_caller(caller: Caller) -> list[Schedule]:
    """All schedules of the caller's project: those of the store, and those that only disks tell of, because the store
    was lost. One call; a second one for labels where there are such."""
    known = {schedule.path: schedule for schedule in _kept(caller.project)}
    lost: dict[str, Schedule] = {}
    for row in marks(caller):
        schedule = _marked(tags.own_values([row]).get(MARK))
        if schedule is not None and schedule.path not in known:
            lost[schedule.path] = schedule
    return [*known.values(), *(_with_labels(caller, lost.values()) if lost else ())]


def marks(caller: Caller) -> list[dict[str, Any]]:
    """The rows of listTags for the marks of volumes; ``resourceid`` is the volume's."""
    return caller.cloud.list("listTags", resourcetype="Volume", key=tags.OWN + MARK)


def find(caller: Caller, region: str, wanted: str) -> Schedule | None:
    """The schedule of that name, or number, in a region. No call where the store has it."""
    fits = (one for one in _kept(caller.project) if one.region == region and wanted in (one.name, str(one.number)))
    found = next(fits, None)
    if found is not None:
        return found
    everywhere = of_caller(caller)
    return next((one for one in everywhere if one.region == region and wanted in (one.name, str(one.number))), None)


def referenced(caller: Caller, given: str, where: str, *, region: str, alias: str) -> Schedule:
    """The schedule that a client named in field ``where`` for a disk in ``region``. ``alias`` is the project as the
    client wrote it. Raises GceError."""
    reference = caller.refer(given, collection=KIND, field=where, region=region)
    if reference.project not in (alias, caller.project.id):
        raise invalid(where, given, "The resource policy belongs to another project.")
    if reference.region not in (None, region):
        raise invalid(where, given, f"It must be in the disk's own region, {region}.")
    found = find(caller, region, reference.name)
    if found is None:
        raise invalid(where, given, "The referenced resourcePolicy resource cannot be found.")
    return found


def of_disk(caller: Caller, given: Sequence[str], where: str, *, region: str, alias: str) -> dict[str, Any] | None:
    """The schedule that a disk in ``region`` is to be made with, as plans have it (:meth:`Schedule.stored`): ``given``
    is its ``resourcePolicies``, in field ``where``; ``alias`` the project as the client wrote it. Raises GceError."""
    if len(given) > 1:
        raise invalid(where, len(given), "A disk has one resource policy.")
    return referenced(caller, given[0], f"{where}[0]", region=region, alias=alias).stored() if given else None


def _kept(project: Project) -> list[Schedule]:
    return [Schedule(**row["schedule"]) for row in kept.rows(project, KIND)]


def _marked(value: str | None) -> Schedule | None:
    try:
        region, name, every, at, day, keep, created = orjson.loads(value or "")
    except ValueError:
        return None
    return Schedule(region, name, every, at, keep, day, created) if every in INTERVALS else None


def _with_labels(caller: Caller, lost: Iterable[Schedule]) -> Iterable[Schedule]:
    policies: dict[str, list[Row]] = {}
    for row in caller.cloud.list("listTags", resourcetype="SnapshotPolicy"):
        policies.setdefault(str(row["resourceid"]), []).append(row)
    found = {tags.own_values(rows).get(MARK): tags.labels(rows) for rows in policies.values()}
    for schedule in lost:
        labels = found.get(f"{schedule.region}/{schedule.name}", {})
        yield Schedule(**{**schedule.stored(), "labels": labels})
