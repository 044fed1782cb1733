"""An instance as the model of an instance template: what of it another instance is to share.

Apart because it reads an instance and writes what a client would have said to get one like it. The surprising thing:
what is the instance's own is left out, as in GCE: names of disks, addresses, the state of its disks. A disk becomes the
image that it was made of, an empty disk where it was made of none.

Source: https://cloud.google.com/compute/docs/instance-templates/create-instance-templates#based-on-existing-instance
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gstack.errors import GceError, invalid
from gstack.store import overlay
from gstack.translate import disk_types, images, machine_types, machines, networks, scheduling, tags, volumes
from gstack.translate.caller import Caller
from gstack.translate.deployments import ACCESS_CONFIG

Row = Mapping[str, Any]
Link = Callable[[str], str]

WHERE, PARAMS = "resource.sourceInstance", "resource.sourceInstanceParams.diskConfigs"
DEFAULT, IMAGE, FAMILY, CUSTOM, BLANK, LEFT_OUT = (
    "DEFAULT",
    "SOURCE_IMAGE",
    "SOURCE_IMAGE_FAMILY",
    "CUSTOM_IMAGE",
    "BLANK",
    "DO_NOT_INCLUDE",
)
WAYS = (DEFAULT, IMAGE, FAMILY, CUSTOM, BLANK, LEFT_OUT)  # no disk here is attached for reading alone


def described(caller: Caller, body: Row, *, alias: str, link: Link) -> dict[str, Any]:
    """``body`` of an InstanceTemplate with the ``properties`` of its ``sourceInstance``, changed as its
    ``sourceInstanceParams`` say. ``alias`` is the project as the client wrote it, ``link`` makes whole links. Two
    upstream calls. Raises GceError notFound or invalid, naming the field."""
    given = body.get("sourceInstance")
    if not given:
        if configs := _configs(body):
            why = "They are for a template of an instance, and no sourceInstance is named."
            raise invalid(PARAMS, len(configs), why)
        return dict(body)
    if body.get("properties"):
        raise invalid(WHERE, given, "A template is made of an instance or of properties, not of both.")
    path, row = _machine(caller, str(given), alias)
    return {**body, "sourceInstance": link(path), "properties": _properties(caller, row, body, link)}


def _configs(body: Row) -> list[Row]:
    return (body.get("sourceInstanceParams") or {}).get("diskConfigs") or []


def _properties(caller: Caller, row: Row, body: Row, link: Link) -> dict[str, Any]:
    kept = overlay.read(machines.KIND, row["id"])
    size = machines.marked_type(row) or machine_types.of_caller(caller).of_machine(row).name
    labels, worn = tags.labels(row.get("tags") or ()), machines.network_tags(row)
    found = {
        "machineType": size,
        "description": kept.get("description"),
        "labels": labels,
        "tags": {"items": worn} if worn else None,
        "metadata": {"items": kept["metadata"]} if kept.get("metadata") else None,
        "serviceAccounts": kept.get("serviceAccounts"),
        "scheduling": scheduling.shown(kept.get("scheduling", {})),
        "networkInterfaces": _interfaces(caller, row, body["sourceInstance"], kept.get("accessConfigs", {}), link),
        "disks": _disks(caller, row, _configs(body), link),
    }
    return {member: value for member, value in found.items() if value}


def _machine(caller: Caller, given: str, alias: str) -> tuple[str, Row]:
    reference = caller.refer(given, collection="instances", field=WHERE)
    if reference.zone is None:
        raise invalid(WHERE, given, "It must name an instance with its zone.")
    if reference.project not in (alias, caller.project.id):
        raise invalid(WHERE, given, "The instance belongs to another project.")
    place, name, row = machines.located(caller, reference.zone, reference.name)
    return machines.path(caller.project.id, place, name), row


def _interfaces(
    caller: Caller, row: Row, given: str, named: Mapping[str, list[str]], link: Link
) -> list[dict[str, Any]]:
    """Where an instance like this one is; an auto network knows its own subnetworks in whatever region."""
    nics, project = row.get("nic") or (), f"projects/{caller.project.id}"
    pieces = networks.find_pieces(caller, [nic.get("networkid") for nic in nics])
    known = networks.of_caller(caller)
    found = []
    for index, nic in enumerate(nics):
        piece = pieces[nic.get("networkid")]
        if piece is None:
            raise invalid(WHERE, given, f"Its network {nic.get('networkname')} is none of the project's.")
        network = known.get(piece.network)
        auto = network is not None and network.auto
        names = named.get(f"nic{index}", [ACCESS_CONFIG] if nic.get("publicip") else [])
        found.append(
            {
                "network": link(f"{project}/global/networks/{piece.network}"),
                **({} if auto else {"subnetwork": link(f"{project}/{piece.path}")}),
                **({"accessConfigs": [{"type": "ONE_TO_ONE_NAT", "name": names[0]}]} if names else {}),
            }
        )
    return found


def _disks(caller: Caller, row: Row, given: list[Row], link: Link) -> list[dict[str, Any]]:
    """The disks, each as :data:`WAYS` say; ``given`` are of DiskInstantiationConfig."""
    rows = volumes.in_order(volumes.visible(caller.cloud.list("listVolumes", virtualmachineid=row["id"])))
    kept = overlay.read_many(volumes.KIND, [one["id"] for one in rows])
    names = [volumes.device_name(kept.get(one["id"], {}), index) for index, one in enumerate(rows)]
    said: dict[str, tuple[int, Row]] = {}
    for index, config in enumerate(given):
        device = str(config.get("deviceName", ""))
        if device not in names or device in said:
            why = f"It must name one of the instance's devices, each once: {', '.join(names)}."
            raise invalid(f"{PARAMS}[{index}].deviceName", device, why)
        said[device] = (index, config)
    found = []
    for one, device in zip(rows, names, strict=True):
        index, config = said.get(device, (0, {}))
        disk = _disk(caller, {**one, "device": device}, config, f"{PARAMS}[{index}]" if config else WHERE, link)
        if disk is not None:
            found.append({"deviceName": device, **disk})
    return found


def _disk(caller: Caller, row: Row, config: Row, where: str, link: Link) -> dict[str, Any] | None:
    """The disk of a template, of a volume with its ``device``; None where it is to be left out."""
    boot, way = volumes.is_boot(row), config.get("instantiateFrom", DEFAULT)
    if boot and way in (BLANK, LEFT_OUT):
        raise invalid(f"{where}.instantiateFrom", way, "Instances boot from the first disk, which needs an image.")
    if bool(config.get("customImage")) != (way == CUSTOM):
        raise invalid(f"{where}.customImage", config.get("customImage", ""), f"It is for {CUSTOM}, which needs it.")
    if way == LEFT_OUT:
        return None
    kind = disk_types.of_caller(caller).of_volume(row)
    source = None if way == BLANK else config["customImage"] if way == CUSTOM else _image(caller, row, way, where)
    initial = {
        "diskSizeGb": volumes.size_gb(row),
        "diskType": kind if disk_types.find(caller, kind) is not None else None,
        "sourceImage": link(source) if source and way != CUSTOM else source,
    }
    return {
        "boot": boot,
        "autoDelete": bool(config.get("autoDelete", volumes.auto_delete(row))),
        "mode": "READ_WRITE",
        "type": "PERSISTENT",
        "initializeParams": {member: value for member, value in initial.items() if value},
    }


def _image(caller: Caller, row: Row, way: str, where: str) -> str | None:
    """The link of the image, or the family, that a disk was made of, below ``projects/``. None where it was made of
    none, and need not have been."""
    template = row.get("templateid")
    if not template and way == DEFAULT and not volumes.is_boot(row):
        return None
    image = images.find(caller, lambda known: known.of_template(str(template))) if template else None
    family = way == FAMILY
    if image is None or (family and image.family is None):
        what = "image family" if family else "image"
        why = f"The disk '{row['device']}' was made of no {what} that is still there: say another with {CUSTOM}."
        raise GceError("invalid", why, location=where)
    return f"projects/{image.project}/global/images/{f'family/{image.family}' if family else image.name}"
