"""What an account keeps beside machines, disks and networks: one dataclass for each kind of object.

Apart from `model`, so that both stay readable. Surprising: `account` is the owner in all of them (the
hidden account of a project when a project owns it), which is all that permissions and lists look at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .model import Entity


@dataclass(slots=True)
class AffinityGroup(Entity):
    name: str
    account: str
    type: str
    description: str


@dataclass(slots=True)
class InstanceGroup(Entity):
    name: str
    account: str
    created: float


@dataclass(slots=True)
class UserData(Entity):
    name: str
    account: str
    userdata: str
    params: str | None = None


@dataclass(slots=True)
class SnapshotPolicy(Entity):
    account: str
    volume: str
    interval: int  # 0 hourly, 1 daily, 2 weekly, 3 monthly
    schedule: str
    maxsnaps: int
    timezone: str
    due: list[Any] | None = None  # when it strikes next, and interval, schedule and time zone that this was told from


@dataclass(slots=True)
class MachineSnapshot(Entity):
    name: str
    displayname: str
    account: str
    zone: str
    machine: str
    created: float
    type: str  # Disk, or DiskAndMemory
    description: str | None = None
    parent: str | None = None
    current: bool = True
    state: str = "Allocated"


@dataclass(slots=True)
class Schedule(Entity):
    machine: str
    account: str
    action: str
    schedule: str
    timezone: str
    description: str
    enabled: bool
    startdate: float
    created: float
    enddate: float | None = None
    due: list[Any] | None = None  # when it strikes next, and what that was told from


@dataclass(slots=True)
class Invitation(Entity):
    project: str
    account: str | None  # who is invited; None: whoever has the token sent to `email`
    created: float
    email: str | None = None
    token: str | None = None
    state: str = "Pending"


@dataclass(slots=True)
class ProjectRole(Entity):
    name: str
    project: str
    description: str = ""


@dataclass(slots=True)
class RolePermission(Entity):
    role: str
    rule: str  # the name of a command, in which * stands for anything
    permission: str  # allow or deny
    position: int
    description: str = ""


@dataclass(slots=True)
class Counter(Entity):
    name: str
    source: str
    value: str
    provider: str


@dataclass(slots=True)
class Condition(Entity):
    account: str
    counter: str
    operator: str
    threshold: int


@dataclass(slots=True)
class ScalePolicy(Entity):
    name: str
    account: str
    action: str  # SCALEUP or SCALEDOWN
    duration: int
    quiettime: int
    conditions: list[str]


@dataclass(slots=True)
class ScaleProfile(Entity):
    account: str
    zone: str
    offering: str
    template: str
    grace: int
    user: str | None = None
    userdata: str | None = None
    deploy: dict[str, str] = field(default_factory=dict)
    counters: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ScaleGroup(Entity):
    name: str
    account: str
    user: str
    rule: str  # id of a load balancer rule
    profile: str
    minmembers: int
    maxmembers: int
    interval: int
    up: list[str]
    down: list[str]
    created: float
    state: str = "ENABLED"
    due: float = 0.0  # when the monitor looks at it again, after it could not do what it should
    looked: float = 0.0  # when the monitor last looked at its policies
    quiet: dict[str, float] = field(default_factory=dict)  # policy → when it last did something
