"""What the simulated cloud is made of: one dataclass for each kind of object.

Apart from `world` so that shapes can be read without the tables. Surprising: `number` is CloudStack's
internal database id. It leaks out of the real API in several places (job texts, root volumes, numeric ids
in requests), so it exists here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Row = dict[str, object]


@dataclass(slots=True)
class Entity:
    id: str
    number: int


@dataclass(slots=True)
class Record(Entity):
    """A catalogue row that is answered as it was recorded."""

    name: str
    row: Row
    removed: bool = False  # an offering that objects still use but that is offered no more


@dataclass(slots=True)
class Domain(Entity):
    name: str
    path: str


@dataclass(slots=True)
class Account(Entity):
    name: str
    type: int  # 0 user, 1 root admin, 2 domain admin, 5 the hidden account of a project
    domain: str
    created: float
    state: str = "enabled"
    limits: dict[str, int] = field(default_factory=dict)
    project: str | None = None


@dataclass(slots=True)
class User(Entity):
    name: str
    account: str
    created: float
    api_key: str | None = None
    secret_key: str | None = None
    state: str = "enabled"
    password: str = ""  # empty: `secret-` and the name, as in the recordings
    firstname: str = ""
    lastname: str = ""
    email: str = ""
    timezone: str = ""


@dataclass(slots=True)
class Project(Entity):
    name: str
    displaytext: str
    account: str
    domain: str
    created: float
    members: dict[str, str] = field(default_factory=dict)  # account id → Admin or Regular
    roles: dict[str, str] = field(default_factory=dict)  # account id → id of its role in this project
    state: str = "Active"


@dataclass(slots=True)
class Template(Entity):
    name: str
    account: str | None  # None: made by the operator
    row: Row
    zones: dict[str, Row]  # what differs from zone to zone
    bytes: int = 0  # its real size; a template made of a snapshot does not show it
    state: str = "Active"
    shared: list[str] = field(default_factory=list)  # ids of the accounts it was shared with
    userdata: str | None = None  # id of the registered user data linked to it
    ready_at: float | None = None  # when the download of a registered one is over


@dataclass(slots=True)
class Network(Entity):
    name: str
    zone: str
    row: Row
    account: str | None
    cidr: str
    gateway: str
    netmask: str
    used: dict[str, str] = field(default_factory=dict)  # address → who holds it
    cursor: int = 0
    offering: str | None = None
    vlan: int | None = None  # of an isolated network only while it is implemented
    macs: int = 0  # how many hardware addresses it has given out
    vpc: str | None = None
    acl: str | None = None
    idle: float | None = None  # since when no machine runs on it


@dataclass(slots=True)
class Nic(Entity):
    network: str
    deviceid: int
    machine: str
    account: str
    ip: str | None = None
    mac: str | None = None
    secondary: list[str] = field(default_factory=list)
    wired: bool = False  # whether the machine ever started


@dataclass(slots=True)
class SecondaryIp(Entity):
    nic: str
    account: str
    ipaddress: str


@dataclass(slots=True)
class Machine(Entity):
    name: str
    displayname: str
    account: str
    user: str
    zone: str
    template: str
    offering: str
    created: float
    state: str = "Stopped"
    lastupdated: float | None = None
    details: dict[str, str] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    nics: list[str] = field(default_factory=list)
    host: int | None = None
    ostype: str = ""
    userdata: str | None = None
    keypairs: list[str] = field(default_factory=list)
    group: str | None = None  # id of its instance group
    affinity: list[str] = field(default_factory=list)
    userdata_id: str | None = None  # registered user data
    scale_group: str | None = None
    cpunumber: int = 0
    cpuspeed: int = 0
    memory: int = 0
    disk_offering: str | None = None
    dynamic: bool = False
    ha: bool = False  # restarted on another host when its own goes away
    deleteprotection: bool = False
    displayvm: bool = True
    expunge_at: float | None = None


@dataclass(slots=True)
class Volume(Entity):
    name: str
    account: str
    zone: str
    type: str
    size: int
    created: float
    state: str = "Allocated"
    machine: str | None = None
    deviceid: int | None = None
    attached: float | None = None
    disk_offering: str | None = None
    service_offering: str | None = None
    template: str | None = None
    pool: bool = False
    content: str | None = None  # the template that it was filled of: no answer says it, as on a real server


@dataclass(slots=True)
class Snapshot(Entity):
    name: str
    account: str
    zone: str
    volume: str
    volume_name: str
    volume_type: str
    size: int
    created: float
    state: str = "Allocated"
    physicalsize: int = 0
    template: str | None = None
    disk_offering: str | None = None
    service_offering: str | None = None
    ostype: str | None = None
    copies: list[str] = field(default_factory=list)  # ids of the other zones it was copied to
    kind: str = "MANUAL"  # or the interval of the policy that took it


@dataclass(slots=True)
class KeyPair(Entity):
    name: str
    account: str
    public_key: str
    fingerprint: str


@dataclass(slots=True)
class SecurityGroup(Entity):
    name: str
    account: str
    description: str | None = None


@dataclass(slots=True)
class Rule(Entity):
    group: str
    account: str
    direction: str
    protocol: str
    start: int
    end: int
    cidr: str | None = None
    allowed: str | None = None  # id of the security group whose members are let in


@dataclass(slots=True)
class Tag:
    key: str | None
    value: str
    resourcetype: str
    resourceid: str
    account: str
    customer: str | None = None


@dataclass(slots=True)
class Event(Entity):
    type: str
    level: str
    description: str
    state: str
    user: str
    account: str
    created: float
    resourceid: str | None = None
    resourcetype: str | None = None
    resourcename: str | None = None
    parent: str | None = None
    archived: bool = False


@dataclass(slots=True)
class Job(Entity):
    command: str
    user: str
    account: str
    created: float
    instance: str | None  # empty: there was one, which the failed job took away
    target: str | None
    status: int = 0
    code: int = 0
    completed: float | None = None
    result: Row | None = None
