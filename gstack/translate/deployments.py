"""From the body of instances.insert to what CloudStack has to make: everything that can be wrong is found out here.

Apart from the handler because instances made in bulk or of a template need the same, and from the workflow because a
client wants to hear what is wrong at once. The surprising thing: a plan names CloudStack's ids, so an image or a
machine type that changes its meaning meanwhile does not change what was accepted.

Sources of the sentences: what GCE answers to gcloud and Terraform for the same mistakes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from gstack.errors import GceError, invalid, required
from gstack.translate import instance_templates, machine_types, machines, scheduling, tags, userdata
from gstack.translate.caller import Caller
from gstack.translate.instance_disks import Boot, Disks, Extra
from gstack.translate.interfaces import interfaces
from gstack.translate.machine_types import MachineType
from gstack.translate.names import NAME_RULE, checked_name, is_label
from gstack.translate.places import Place

Body = Mapping[str, Any]

MOST_NETWORK_TAGS = 64
LONGEST_HOSTNAME = 253  # GCE's limit: https://cloud.google.com/compute/docs/instances/custom-hostname-vm
ACCESS_CONFIG = "External NAT"  # GCE's name for one that was given none

_EMAIL = re.compile(r"default|[^\s@\x00-\x1f]+@[^\s@\x00-\x1f]+")


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
    return deployments(caller, place, body, [checked_name(body.get("name"))], alias=alias)[0]


def deployments(caller: Caller, place: Place, body: Body, names: Sequence[str], *, alias: str) -> list[Deployment]:
    """As :func:`deployment`, for several instances that differ in their names; what they share is looked up once."""
    size = machine_type(caller, place, body.get("machineType"))
    disks, given = Disks(caller, place, alias), body.get("disks") or []
    nics = interfaces(caller, place, (alias, caller.project.id), body.get("networkInterfaces") or [])
    worn = network_tags((body.get("tags") or {}).get("items") or [])
    mark = machines.type_mark(size.name, size.id, size.cpus, size.memory_mb)
    own = {machines.MACHINE_TYPE: mark} if size.alias or size.custom else {}
    accounts = service_accounts(body.get("serviceAccounts") or [])
    check_hostname(body.get("hostname"))
    scheduling.check(scheduling.said(body.get("scheduling") or {}), "resource.scheduling")
    if nics[0].isolated and accounts:
        own[machines.ACCOUNTS] = " ".join(accounts)
    marked = tags.join(
        tags.plan_labels((), body.get("labels") or {}, "resource.labels"),
        tags.plan_network_tags((), worn),
        tags.plan_own((), own),
    ).create
    found = []
    for name in names:
        boot, extras = disks.read(given, name, size)
        deploy = {
            "zoneid": place.id,
            "templateid": boot.template,
            "serviceofferingid": size.id,
            **({"details": size.details} if size.details else {}),
            **boot.deploy,
            **({} if nics[0].isolated else nics[0].deploy),
        }
        protect = bool(body.get("deletionProtection"))
        plans = [nic.plan for nic in nics]
        rest = (deploy, worn, accounts, marked, boot, extras, protect, nics[0].isolated, plans)
        found.append(Deployment(name, place.name, nics[0].network, *rest))
    return found


def check_email(email: str, where: str) -> None:
    """Raises GceError invalid for what cannot be the name of a service account, ``default`` or an address."""
    if not _EMAIL.fullmatch(email):
        raise invalid(where, email, "The email address of a service account is needed, or 'default'.")


def service_accounts(given: Sequence[Body], where: str = "resource.serviceAccounts") -> list[str]:
    """The names of an instance's service accounts. Raises GceError invalid, naming the field."""
    if len(given) > 1:
        raise invalid(where, len(given), "An instance has one service account at most.")
    emails = [str(account.get("email", "")) for account in given]
    for index, email in enumerate(emails):
        check_email(email, f"{where}[{index}].email")
    return emails


def check_hostname(given: str | None, where: str = "resource.hostname") -> None:
    """Raises GceError invalid for what cannot be a guest's own name."""
    if given and (len(given) > LONGEST_HOSTNAME or not all(map(is_label, given.split(".")))):
        why = f"It must be names of RFC 1035 with dots between them, of {LONGEST_HOSTNAME} characters at most."
        raise invalid(where, given, why)


def described(caller: Caller, place: Place, body: Body, template: str | None, *, alias: str) -> dict[str, Any]:
    """``body`` on the ground of the instance template that a client named: each member that the request has, stands in
    the place of the template's. Raises GceError."""
    if not template:
        return dict(body)
    where = "sourceInstanceTemplate"
    found = instance_templates.referenced(caller, template, where, alias)
    if found["region"] not in (None, place.region):
        raise invalid(where, template, f"The template is for another region than {place.region}.")
    said = {member: value for member, value in body.items() if value not in ({}, [], None)}
    return instance_templates.properties(found) | said


def remembered(body: Body) -> dict[str, Any]:
    """What the overlay keeps of an instance, so that it is read back as it was accepted."""
    kept = {member: body[member] for member in ("description", "hostname", "serviceAccounts") if body.get(member)}
    kept["scheduling"] = scheduling.said(body.get("scheduling") or {})
    kept["metadata"] = (body.get("metadata") or {}).get("items") or []
    kept["accessConfigs"] = {
        f"nic{index}": [config.get("name") or ACCESS_CONFIG for config in nic.get("accessConfigs") or []]
        for index, nic in enumerate(body.get("networkInterfaces") or [])
    }
    return kept


def user_data(body: Body, inherited: Sequence[Body] = ()) -> str | None:
    """The parameter ``userdata`` of the deployment; ``inherited`` are metadata items of the project. Raises GceError
    invalid."""
    return userdata.compose((body.get("metadata") or {}).get("items") or [], body.get("hostname"), inherited)


def machine_type(caller: Caller, place: Place, given: str | None) -> MachineType:
    """The machine type that a body's ``machineType`` names. Raises GceError required or invalid."""
    where = "resource.machineType"
    if not given:
        raise required(where)
    reference = caller.refer(given, collection="machineTypes", field=where, zone=place.name)
    if reference.zone not in (None, place.name, place.cloudstack_name):
        raise invalid(where, given, f"It must be in the instance's own zone, {place.name}.")
    try:
        found = machine_types.find(caller, reference.name, place.id)
    except GceError as error:  # a custom size that no offering allows
        raise invalid(where, given, error.message.rpartition("'. ")[2]) from None
    if found is None:
        raise invalid(where, given, "The referenced resource does not exist.")
    return found


def resizing(size: MachineType) -> dict[str, Any]:
    """What the workflow of setMachineType needs to know of a machine type."""
    mark = machines.type_mark(size.name, size.id, size.cpus, size.memory_mb)
    return {
        "offering": size.id,
        "details": size.details,
        "cpus": size.cpus,
        "memory_mb": size.memory_mb,
        "mark": mark if size.alias or size.custom else None,
    }


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
