"""The state of one simulated cloud: its tables, its identities and its snapshot file.

Apart from the commands, which only read and change it. Surprising: a table remembers the ids of removed
rows, because CloudStack answers differently for an id that never was and for one that is gone.
"""

from __future__ import annotations

import os
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

import orjson

from . import model, model_network, model_owned

E = TypeVar("E", bound=model.Entity)
# Left out of the tags that are joined into a row, and of those in the rows of projects and networks.
JOINED = frozenset({"domainpath"})
IN_PROJECT = frozenset({"account"})
IN_NETWORK = frozenset({"account", "domainid", "domain", "domainpath", "resourcetype", "resourceid"})
KEY_CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def date(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S+0000")


class Table(Generic[E]):
    """Rows of one kind by id and by internal number, in the order they were made."""

    def __init__(self, kind: str, row_type: type[E], first: int = 1) -> None:
        self.kind = kind
        self.row_type = row_type
        self.rows: dict[str, E] = {}
        self.numbers: dict[int, str] = {}
        self.gone: dict[str, int] = {}
        self.next = first

    def __iter__(self) -> Iterator[E]:
        return iter(self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: str) -> E:
        return self.rows[key]

    def get(self, key: str | None) -> E | None:
        return self.rows.get(key) if key is not None else None

    def take_number(self) -> int:
        self.next += 1
        return self.next - 1

    def add(self, row: E) -> E:
        self.rows[row.id] = row
        self.numbers[row.number] = row.id
        self.next = max(self.next, row.number + 1)
        return row

    def remove(self, row: E, leave_trace: bool = True) -> None:
        del self.rows[row.id]
        del self.numbers[row.number]
        if leave_trace:
            self.gone[row.id] = row.number

    def dump(self) -> dict[str, object]:
        return {"rows": list(self.rows.values()), "gone": self.gone, "next": self.next}

    def load(self, saved: dict[str, Any]) -> None:
        names = {f.name for f in fields(self.row_type)}
        for values in saved["rows"]:
            self.add(self.row_type(**{key: value for key, value in values.items() if key in names}))
        self.gone = saved["gone"]
        self.next = saved["next"]


class World:
    def __init__(self, clock: Callable[[], float], seed: int | None = None) -> None:
        self.clock = clock
        self.seed = seed
        self.boots = 0
        self.random = random.Random(seed)  # noqa: S311 (the secrets made here guard a simulated cloud)
        self.domain: Table[model.Domain] = Table("Domain", model.Domain)
        self.account: Table[model.Account] = Table("Account", model.Account)
        self.user: Table[model.User] = Table("User", model.User)
        self.project: Table[model.Project] = Table("Project", model.Project)
        self.zone: Table[model.Record] = Table("DataCenter", model.Record, 2)
        self.service_offering: Table[model.Record] = Table("ServiceOffering", model.Record, 11)
        self.disk_offering: Table[model.Record] = Table("DiskOffering", model.Record)
        self.network_offering: Table[model.Record] = Table("NetworkOffering", model.Record)
        self.os_category: Table[model.Record] = Table("GuestOsCategory", model.Record)
        self.os_type: Table[model.Record] = Table("GuestOS", model.Record)
        self.template: Table[model.Template] = Table("VirtualMachineTemplate", model.Template, 200)
        self.network: Table[model.Network] = Table("Network", model.Network, 204)
        self.nic: Table[model.Nic] = Table("Nic", model.Nic)
        self.secondary_ip: Table[model.SecondaryIp] = Table("NicSecondaryIp", model.SecondaryIp)
        self.machine: Table[model.Machine] = Table("VirtualMachine", model.Machine, 11)
        self.volume: Table[model.Volume] = Table("Volume", model.Volume, 11)
        self.snapshot: Table[model.Snapshot] = Table("Snapshot", model.Snapshot)
        self.keypair: Table[model.KeyPair] = Table("SSHKeyPair", model.KeyPair)
        self.security_group: Table[model.SecurityGroup] = Table("SecurityGroup", model.SecurityGroup)
        self.rule: Table[model.Rule] = Table("SecurityRule", model.Rule)
        self.event: Table[model.Event] = Table("Event", model.Event)
        self.job: Table[model.Job] = Table("AsyncJob", model.Job)
        self.affinity_group: Table[model_owned.AffinityGroup] = Table("AffinityGroup", model_owned.AffinityGroup)
        self.instance_group: Table[model_owned.InstanceGroup] = Table("InstanceGroup", model_owned.InstanceGroup)
        self.user_data: Table[model_owned.UserData] = Table("UserData", model_owned.UserData)
        self.snapshot_policy: Table[model_owned.SnapshotPolicy] = Table("SnapshotPolicy", model_owned.SnapshotPolicy)
        self.machine_snapshot: Table[model_owned.MachineSnapshot] = Table("VMSnapshot", model_owned.MachineSnapshot)
        self.schedule: Table[model_owned.Schedule] = Table("VMSchedule", model_owned.Schedule)
        self.invitation: Table[model_owned.Invitation] = Table("ProjectInvitation", model_owned.Invitation)
        self.project_role: Table[model_owned.ProjectRole] = Table("ProjectRole", model_owned.ProjectRole)
        self.role_permission: Table[model_owned.RolePermission] = Table("RolePermission", model_owned.RolePermission)
        self.counter: Table[model_owned.Counter] = Table("Counter", model_owned.Counter)
        self.condition: Table[model_owned.Condition] = Table("Condition", model_owned.Condition)
        self.scale_policy: Table[model_owned.ScalePolicy] = Table("AutoScalePolicy", model_owned.ScalePolicy)
        self.scale_profile: Table[model_owned.ScaleProfile] = Table("AutoScaleVmProfile", model_owned.ScaleProfile)
        self.scale_group: Table[model_owned.ScaleGroup] = Table("AutoScaleVmGroup", model_owned.ScaleGroup)
        self.physical_network: Table[model.Record] = Table("PhysicalNetwork", model.Record, 200)
        self.vpc_offering: Table[model.Record] = Table("VpcOffering", model.Record)
        self.public_ip: Table[model_network.PublicIp] = Table("IpAddress", model_network.PublicIp, 4090)
        self.net_rule: Table[model_network.NetRule] = Table("FirewallRule", model_network.NetRule)
        self.stickiness: Table[model_network.Stickiness] = Table("LBStickinessPolicy", model_network.Stickiness)
        self.vpc: Table[model_network.Vpc] = Table("Vpc", model_network.Vpc)
        self.acl: Table[model_network.AclList] = Table("NetworkACL", model_network.AclList)
        self.acl_item: Table[model_network.AclItem] = Table("NetworkACLItem", model_network.AclItem)
        self.gateway: Table[model_network.Gateway] = Table("VpcGateway", model_network.Gateway)
        self.static_route: Table[model_network.StaticRoute] = Table("StaticRoute", model_network.StaticRoute)
        self.network_services: dict[str, object] = {}  # network offering → services as a network shows them
        self.tags: dict[str, list[model.Tag]] = {}
        self.pod: Table[model.Record] = Table("HostPod", model.Record)
        self.cluster: Table[model.Record] = Table("Cluster", model.Record)
        self.host: Table[model.Record] = Table("Host", model.Record)
        self.storage_pool: Table[model.Record] = Table("StoragePool", model.Record)
        self.system_vm: Table[model.Record] = Table("SystemVm", model.Record)
        self.management_server: Table[model.Record] = Table("ManagementServerHost", model.Record)
        self.alert: Table[model.Record] = Table("Alert", model.Record)
        self.vpn_gateway: Table[model_network.VpnGateway] = Table("VpnGateway", model_network.VpnGateway)
        self.capability: model.Row = {}
        self.capability_for_admin: model.Row = {}
        self.hypervisors: list[model.Row] = []
        self.users_by_key: dict[str, model.User] = {}

    def tables(self) -> dict[str, Table[Any]]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Table)}

    def now(self) -> float:
        return self.clock()

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def key(self) -> str:
        return "".join(self.random.choices(KEY_CHARACTERS, k=86))

    def index_keys(self) -> None:
        self.users_by_key = {user.api_key: user for user in self.user if user.api_key}

    def account_of(self, entity: object) -> model.Account | None:
        owner = getattr(entity, "account", None)
        return self.account.get(owner) if isinstance(owner, str) else None

    def account_created(self, domain: str) -> float:
        """When the first account of a domain was made, which is as old as the domain here."""
        return min((a.created for a in self.account if a.domain == domain), default=self.now())

    def owner(self, account_id: str) -> model.Row:
        """The fields that name the owner in a row: account, or project, and domain."""
        account = self.account[account_id]
        domain = self.domain[account.domain]
        if account.project:
            project = self.project[account.project]
            row: model.Row = {"projectid": project.id, "project": project.name}
        else:
            row = {"account": account.name}
        return {**row, "domainid": domain.id, "domain": domain.name, "domainpath": domain.path}

    def tag_rows(self, entity_id: str, without: frozenset[str] = JOINED) -> list[model.Row]:
        """The tags inside an object's row, by key, as CloudStack's index has them; which fields one has depends on the
        object.
        """
        tags = sorted(self.tags.get(entity_id, ()), key=lambda tag: (tag.key or "").lower())
        return [{key: value for key, value in self.tag_row(tag).items() if key not in without} for tag in tags]

    def tag_row(self, tag: model.Tag) -> model.Row:
        row: model.Row = {} if tag.key is None else {"key": tag.key}
        row.update(value=tag.value, resourcetype=tag.resourcetype, resourceid=tag.resourceid)
        row.update(self.owner(tag.account))
        if tag.customer:
            row["customer"] = tag.customer
        return row


def save(world: World, path: Path) -> None:
    saved = {name: table.dump() for name, table in world.tables().items()}
    document = {"tables": saved, "tags": world.tags, "boots": world.boots}
    partial = path.with_suffix(".part")
    partial.unlink(missing_ok=True)
    # Nobody else's at any moment: the keys of the simulated users are in it.
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(orjson.dumps(document, default=plain))
    partial.replace(path)


def plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    raise TypeError(type(value).__name__)


def load(world: World, path: Path) -> None:
    document = orjson.loads(path.read_bytes())
    for name, table in world.tables().items():
        if name in document["tables"]:
            table.rows.clear()
            table.numbers.clear()
            table.load(document["tables"][name])
    world.tags = {key: [model.Tag(**tag) for tag in tags] for key, tags in document["tags"].items()}
    world.boots = document["boots"] + 1
    if world.seed is not None:
        world.random = random.Random(f"{world.seed}/{world.boots}")  # noqa: S311 (as above)
    world.index_keys()
