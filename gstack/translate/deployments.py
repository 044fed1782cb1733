"""From the body of instances.insert to what CloudStack has to make: everything that can be wrong is found out here.

Apart from the handler because templates and groups of instances will need the same, and from the workflow because a
client wants to hear what is wrong at once. The surprising thing: a plan names CloudStack's ids, so an image or a
machine type that changes its meaning meanwhile does not change what was accepted.

Sources of the sentences: what GCE answers to gcloud and Terraform for the same mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gstack.errors import GceError, invalid
from gstack.protocol.links import parse
from gstack.translate import machine_types, machines, tags, userdata
from gstack.translate.caller import Caller
from gstack.translate.instance_disks import Boot, Disks, Extra
from gstack.translate.interfaces import interfaces
from gstack.translate.machine_types import MachineType
from gstack.translate.names import NAME_RULE, checked_name, is_label
from gstack.translate.places import Place

Body = Mapping[str, Any]

MOST_NETWORK_TAGS = 64


@dataclass
class Deployment:
    """A plan, as JSON the input of the workflow.

    ``deploy`` are parameters of deployVirtualMachine (without userdata and groups), ``tags`` those of
    createTags for the machine. ``isolated``: in an isolated network there are no security groups; ``interfaces`` are
    its :attr:`gstack.translate.interfaces.Interface.plan`.
    """

    name: str
    zone: str
    network: str
    deploy: dict[str, Any]
    network_tags: list[str]
    service_accounts: list[str]
    tags: list[dict[str, str]]
    boot: Boot
    extras: list[Extra]
    protect: bool
    isolated: bool = False
    interfaces: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)

    @property
    def new_disks(self) -> list[str]:
        """The names of the disks that will be made."""
        return [disk.name for disk in [self.boot, *self.extras] if disk.volume is None]


def deployment(caller: Caller, place: Place, body: Body, *, alias: str) -> Deployment:
    """What ``body`` (checked against schema and policy) asks for in a zone. ``alias`` is the project as the client
    wrote it. Raises GceError: ``invalid`` naming the field, ``notFound`` for an image family."""
    name = checked_name(body.get("name"))
    size = machine_type(caller, place, body.get("machineType"))
    boot, extras = Disks(caller, place, alias).read(body.get("disks") or [], name, size)
    nics = interfaces(caller, place, (alias, caller.project.id), body.get("networkInterfaces") or [])
    worn = network_tags((body.get("tags") or {}).get("items") or [])
    mark = machines.type_mark(size.name, size.id, size.cpus, size.memory_mb)
    own = {machines.MACHINE_TYPE: mark} if size.alias or size.custom else {}
    accounts = [str(account.get("email", "")) for account in body.get("serviceAccounts") or []]
    if nics[0].isolated and accounts:
        own[machines.ACCOUNTS] = " ".join(accounts)
    return Deployment(
        name=name,
        zone=place.name,
        network=nics[0].network,
        deploy={
            "zoneid": place.id,
            "templateid": boot.template,
            "serviceofferingid": size.id,
            **({"details": size.details} if size.details else {}),
            **boot.deploy,
            **({} if nics[0].isolated else nics[0].deploy),
        },
        network_tags=worn,
        service_accounts=accounts,
        tags=tags.join(
            tags.plan_labels((), body.get("labels") or {}, "resource.labels"),
            tags.plan_network_tags((), worn),
            tags.plan_own((), own),
        ).create,
        boot=boot,
        extras=extras,
        protect=bool(body.get("deletionProtection")),
        isolated=nics[0].isolated,
        interfaces=[nic.plan for nic in nics],
    )


def user_data(body: Body, inherited: Sequence[Body] = ()) -> str | None:
    """The parameter ``userdata`` of the deployment; ``inherited`` are metadata items of the project. Raises GceError
    invalid."""
    return userdata.compose((body.get("metadata") or {}).get("items") or [], body.get("hostname"), inherited)


def machine_type(caller: Caller, place: Place, given: str | None) -> MachineType:
    """The machine type that a body's ``machineType`` names. Raises GceError required or invalid."""
    where = "resource.machineType"
    if not given:
        raise GceError("required", f"Required field '{where}' not specified", location=where)
    reference = parse(given, collection="machineTypes", project=caller.project.id, field=where, zone=place.name)
    if reference.zone not in (None, place.name, place.cloudstack_name):
        raise invalid(where, given, f"It must be in the instance's own zone, {place.name}.")
    try:
        found = machine_types.find(caller, reference.name, place.id)
    except GceError as error:  # a custom size that no offering allows
        raise invalid(where, given, error.message.rpartition("'. ")[2]) from None
    if found is None:
        raise invalid(where, given, "The referenced resource does not exist.")
    return found


def network_tags(items: Sequence[str], where: str = "resource.tags.items") -> list[str]:
    """Network tags in order. Raises GceError invalid, naming the field, for those that GCE would refuse."""
    for index, tag in enumerate(items):
        if not is_label(tag):
            raise invalid(f"{where}[{index}]", tag, NAME_RULE)
    if len(set(items)) != len(items):
        twice = next(tag for tag in items if items.count(tag) > 1)
        raise invalid(where, twice, "Tags must be unique.")
    if len(items) > MOST_NETWORK_TAGS:
        raise invalid(where, len(items), f"At most {MOST_NETWORK_TAGS} tags are allowed.")
    return sorted(items)
