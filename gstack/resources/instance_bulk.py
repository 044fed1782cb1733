"""instances.bulkInsert and regionInstances.bulkInsert: many instances alike, all or enough of them or none.

Each instance is made by an operation of its own; all have the ``operationGroupId`` of the one that is answered, which
ends with the last of them. Visible differences: of a region's zones the first ones that the location policy leaves are
taken, in order of name, as CloudStack tells nobody where there is room; an instance that finds none there is not made
elsewhere. Upstream calls: as for one instance, and a list of the machines and of the volumes of each zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from gstack.errors import GceError, already_exists, invalid, not_found
from gstack.operations import engine, instance_bulk, instance_inserts
from gstack.operations.view import BULK_INSERT
from gstack.protocol.call import Call
from gstack.protocol.methods import method
from gstack.translate import bulk, deployments, instance_policy, machines, places, project_metadata, volumes
from gstack.translate.places import Place

NEEDS = (
    "listVirtualMachines",
    "listVolumes",
    "deployVirtualMachine",
    "destroyVirtualMachine",
    "createTags",
    "createSecurityGroup",
)
PROPERTIES = "instanceProperties"
_FLEXIBLE = "CloudStack tells nobody where there is room for which machine type."
_HONOURED = ("count", "minCount", "namePattern", "perInstanceProperties", "sourceInstanceTemplate")
_REFUSED = {"instanceFlexibilityPolicy": _FLEXIBLE}
IN_ZONE = instance_policy.of(
    "InstanceProperties",
    f"{PROPERTIES}.",
    honoured=_HONOURED,
    refused=_REFUSED | {"locationPolicy": "The URL names the zone."},
)
IN_REGION = instance_policy.of(
    "InstanceProperties",
    f"{PROPERTIES}.",
    honoured=(
        *_HONOURED,
        "locationPolicy.locations.*.preference",
        "locationPolicy.locations.*.constraints.maxCount",
        "locationPolicy.zones",
    ),
    only={"locationPolicy.targetShape": bulk.SHAPES},
    refused=_REFUSED,
)


@method("compute.instances.bulkInsert", needs=NEEDS, body=IN_ZONE)
def in_zone(call: Call) -> dict[str, Any]:
    """Many instances in one zone."""
    place = places.require_zone(call.caller, call.params["zone"])
    wanted = bulk.count(call.body)
    return _start(call, f"projects/{call.project}/zones/{place.name}", wanted, [(place, wanted)])


@method("compute.regionInstances.bulkInsert", needs=NEEDS, body=IN_REGION)
def in_region(call: Call) -> dict[str, Any]:
    """Many instances in the zones of one region."""
    region, wanted = call.params["region"], bulk.count(call.body)
    zones = places.of_caller(call.caller).region(region)
    target = f"projects/{call.project}/regions/{region}"
    if not zones:
        raise not_found(target)
    return _start(call, target, wanted, bulk.spread(call.body, wanted, sorted(zones, key=lambda place: place.name)))


def _start(call: Call, target: str, wanted: int, spread: list[tuple[Place, int]]) -> dict[str, Any]:
    known = {place.id: _names_in(call, place) for place, _ in spread}
    names = bulk.names(call.body, wanted, set().union(*(machines for machines, _ in known.values())))
    left, parts = list(names), []
    for place, number in spread:
        chosen, left = left[:number], left[number:]
        parts += _parts(call, place, chosen, *known[place.id])
    group = str(uuid4())
    return engine.start(
        call,
        instance_bulk.WORKFLOW,
        type=BULK_INSERT,
        target=target,
        plan={
            "group": group,
            "least": bulk.least(call.body, wanted),
            "zones": {place.name: place.id for place, _ in spread},
        },
        line=f"{target}/{group}",
        group=group,
        parts=parts,
    )


def _parts(call: Call, place: Place, names: list[str], taken: set[str], disks: set[str]) -> list[engine.Part]:
    """The operations that make the instances of these names in a zone, where ``taken`` and ``disks`` are there."""
    caller, alias = call.caller, call.params["project"]
    said, template = call.body.get(PROPERTIES) or {}, call.body.get("sourceInstanceTemplate")
    try:
        body = deployments.described(caller, place, said, template, alias=alias)
        _check_shared(body, len(names))
        plans = deployments.deployments(caller, place, body, names, alias=alias)
    except GceError as error:
        raise _inside(error) from None
    hosts, inherited = _hostnames(call.body), project_metadata.read(caller.project)
    zone, parts = f"projects/{call.project}/zones/{place.name}", []
    for plan in plans:
        if plan.name in taken:
            raise already_exists(f"{zone}/instances/{plan.name}")
        for disk in plan.new_disks:
            if disk in disks:
                raise already_exists(f"{zone}/disks/{disk}")
        disks = disks | set(plan.new_disks)
        own = body | ({"hostname": hosts[plan.name]} if plan.name in hosts else {})
        guest = deployments.user_data(own, inherited)
        parts.append(instance_inserts.part(call.project, plan, guest, deployments.remembered(own)))
    return parts


def _names_in(call: Call, place: Place) -> tuple[set[str], set[str]]:
    """GCE's names of the instances and of the disks of a zone."""
    rows, disks = call.caller.cloud.together(
        ("listVirtualMachines", {"zoneid": place.id, "details": ["min"]}), ("listVolumes", {"zoneid": place.id})
    )
    named = machines.gce_names_of(machines.visible(rows))
    return set(named.values()), set(volumes.gce_names_of(volumes.visible(disks), named).values())


def _hostnames(body: Mapping[str, Any]) -> dict[str, str]:
    named = body.get("perInstanceProperties") or {}
    for key, said in named.items():
        deployments.check_hostname(said.get("hostname"), f"resource.perInstanceProperties.{key}.hostname")
    return {said.get("name") or key: said["hostname"] for key, said in named.items() if said.get("hostname")}


def _inside(error: GceError) -> GceError:
    """A complaint about an instance, for a request in which its description is one member."""
    inside = f"resource.{PROPERTIES}."
    where = (error.problems[0].location or "").replace("resource.", inside, 1)
    return GceError(error.kind, error.message.replace("'resource.", f"'{inside}"), location=where or None)


def _check_shared(body: Mapping[str, Any], number: int) -> None:
    """Raise GceError invalid for what only one instance can have."""
    if number < 2:
        return
    where = "resource"
    for index, nic in enumerate(body.get("networkInterfaces") or []):
        said = [("networkIP", nic.get("networkIP"))]
        said += [("accessConfigs[0].natIP", config.get("natIP")) for config in nic.get("accessConfigs") or []]
        ranges = [str(one.get("ipCidrRange", "")) for one in nic.get("aliasIpRanges") or []]
        said += [("aliasIpRanges", one) for one in ranges if not one.startswith("/")]
        for member, value in said:
            if value:
                raise invalid(f"{where}.networkInterfaces[{index}].{member}", value, "Only one instance can have it.")
    for index, disk in enumerate(body.get("disks") or []):
        name = (disk.get("initializeParams") or {}).get("diskName")
        if disk.get("source") or name:
            member = "source" if disk.get("source") else "initializeParams.diskName"
            raise invalid(
                f"{where}.disks[{index}].{member}", disk.get("source") or name, "Only one instance can have it."
            )
