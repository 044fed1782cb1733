"""images: CloudStack's templates, sorted into Google's public image projects and the caller's own.

Which project and family a template belongs to is decided in translate/images.py. The public projects that clients
know always answer, possibly with nothing: gcloud repeats a refused part of a batch for 23 seconds. Visible
differences: an image that is ready in some zones only says so nowhere, and one that is made of a disk is ready in that
disk's zone; a disk whose instance runs is made an image of by way of a snapshot only; an image that instances were made
of stays as long as they do; ``archiveSizeBytes`` is what CloudStack calls the physical size. Upstream calls: none once
the catalogue is cached, one for images of one's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from gstack.errors import GceError, already_exists, in_use, invalid, not_found, not_ready, required
from gstack.operations import engine, labels
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.protocol.values import Unfit, timestamp
from gstack.store import overlay
from gstack.translate import images, places, reasons, snapshots, tags, volumes
from gstack.translate.images import Image
from gstack.translate.names import NAME_RULE, checked_name, is_label
from gstack.translate.times import NO_DATE, rfc3339

Row = Mapping[str, Any]

READS = ("listTemplates",)
TAGS = ("createTags", "deleteTags", "listTags")
ARCHITECTURES = {"x86_64": "X86_64", "aarch64": "ARM64"}
FORMATS = {".qcow2": "QCOW2", ".vhd": "VHD", ".ova": "OVA", ".vmdk": "VMDK", ".raw": "RAW", ".img": "RAW"}
# How gcloud writes gs://BUCKET/OBJECT: the address of what Google knows of an object, not of the object itself.
OBJECT = re.compile(r"https://(?:www|storage)\.googleapis\.com/storage/v1/b/([^/]+)/o/([^?]+)")
PACKED = (".gz", ".bz2", ".zip")
SOURCES = ("sourceDisk", "sourceSnapshot", "sourceImage", "rawDisk")

BODY = Policy(
    honoured=(
        "name",
        "description",
        "family",
        "labels",
        "sourceDisk",
        "sourceSnapshot",
        "sourceImage",
        "rawDisk.source",
    ),
    # A fingerprint is the proof that a client read something first, which for an insert there is not.
    remembered=("labelFingerprint",),
    only={
        "architecture": ("X86_64", "ARCHITECTURE_UNSPECIFIED"),
        "rawDisk.containerType": ("TAR",),
        "sourceType": ("RAW",),
    },
    refused={
        "archiveSizeBytes": "CloudStack finds out by itself how large an image is.",
        "diskSizeGb": "An image is as large as what it is made of.",
        "guestOsFeatures": reasons.HARDWARE,
        "imageEncryptionKey": reasons.ENCRYPTION,
        "licenseCodes": reasons.LICENSES,
        "licenses": reasons.LICENSES,
        "params": reasons.RESOURCE_MANAGER_TAGS,
        "rawDisk.sha1Checksum": "CloudStack checks no SHA-1.",
        "shieldedInstanceInitialState": reasons.HARDWARE,
        "sourceDiskEncryptionKey": reasons.ENCRYPTION,
        "sourceImageEncryptionKey": reasons.ENCRYPTION,
        "sourceSnapshotEncryptionKey": reasons.ENCRYPTION,
        "storageLocations": "CloudStack keeps a template in the zone of what it is made of.",
    },
)
PATCH = Policy(honoured=("name", "description", "family", "labels", "labelFingerprint"))
FULL_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
DATES = ("deprecated", "obsolete", "deleted")
DEPRECATION = Policy(honoured=("state",), remembered=("replacement", *DATES))
LABELS = Policy(honoured=("labels", "labelFingerprint"))


@method("compute.images.get", needs=("listTemplates",), public=True)
def get(call: Call) -> dict[str, Any]:
    """One image, by name or number."""
    return view(call, _found(call, call.params["image"]))


@method("compute.images.getFromFamily", needs=("listTemplates",), public=True)
def get_from_family(call: Call) -> dict[str, Any]:
    """The newest image of a family that is not deprecated."""
    family = call.params["family"]
    found = images.find(call.caller, lambda known: known.newest(call.project, family))
    if found is None:
        raise not_found(f"projects/{call.project}/global/images/family/{family}")
    return view(call, found)


@method("compute.imageFamilyViews.get", needs=("listTemplates", "listZones"), public=True)
def get_family_view(call: Call) -> dict[str, Any]:
    """What a family resolves to in one zone."""
    place, family = places.require_zone(call.caller, call.params["zone"]), call.params["family"]
    found = images.find(call.caller, lambda known: known.newest(call.project, family, place.id))
    if found is None:
        raise not_found(f"projects/{call.project}/zones/{place.name}/imageFamilyViews/{family}")
    return {"image": view(call, found)}


@method("compute.images.list", needs=("listTemplates",), public=True)
def list_(call: Call) -> dict[str, Any]:
    """The images of one project."""
    rows = images.of_caller(call.caller, own=call.project == call.caller.project.id).listed(call.project)
    kept = overlay.Remembered(images.KIND)
    shape = Shape[Image](
        lambda image: view(call, image, kept.of(image.id)),
        lambda image: image.name,
        lambda image: image.row.get("created"),
        prepare=lambda shown: kept.prepare(image.id for image in shown),
    )
    return listing(call, rows, shape)


@method("compute.images.insert", needs=(*READS, "createTemplate", "listOsTypes", *TAGS), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make an image of a disk, a snapshot, an image or a URL."""
    name = checked_name(call.body.get("name"))
    family = call.body.get("family") or ""
    _check_family(family)
    given = [member for member in SOURCES if call.body.get(member)]
    if len(given) != 1:
        why = f"Exactly one of {', '.join(SOURCES)} must be given."
        raise invalid("resource", ", ".join(given), why)
    makers = {"sourceDisk": _of_disk, "sourceSnapshot": _of_snapshot, "sourceImage": _of_image, "rawDisk": _of_url}
    params, size, kept = makers[given[0]](call)
    path = _path(call, name)
    if images.of_caller(call.caller, own=True).get(call.project, name) is not None:
        raise already_exists(path)
    own = {images.FAMILY: family, images.SIZE: str(size) if size else ""}
    description = call.body.get("description") or name
    plan = {
        "create": {"name": name, "displaytext": description, **params},
        "tags": tags.new_tags(call.body.get("labels") or {}, {mark: said for mark, said in own.items() if said}),
        "overlay": kept,
    }
    how = "register" if given[0] in ("rawDisk", "sourceImage") else "insert"
    return engine.start(call, f"op.images.{how}", type="insert", target=path, plan=plan, claim=path)


@method("compute.images.delete", needs=(*READS, "listVolumes", "deleteTemplate"))
def delete(call: Call) -> dict[str, Any]:
    """Delete an image of which there is no instance, and no disk that was never used."""
    image = _found(call, call.params["image"])
    return _start(call, "delete", "delete", image)


@method("compute.images.patch", needs=(*READS, "updateTemplate", *TAGS), body=PATCH)
def patch(call: Call) -> dict[str, Any]:
    """Change description, family or labels."""
    image, body = _found(call, call.params["image"]), call.body
    if body.get("name", image.name) != image.name:
        raise invalid("resource.name", body["name"], "It cannot be changed.")
    own: dict[str, str | None] = {}
    if "family" in body:
        _check_family(body["family"])
        own[images.FAMILY] = body["family"] or None
    if "labels" in body:
        labels.plan(image.row.get("tags", ()), body["labels"], body.get("labelFingerprint", ""))
    describe = (body["description"] or image.row["name"]) if "description" in body else None
    more = {"own": own, "labels": body.get("labels"), "describe": describe, "kept": {}}
    more["described"] = image.row.get("displaytext") or image.row["name"]
    return _start(call, "change", "patch", image, **more)


@method("compute.images.deprecate", needs=(*READS, *TAGS), body=DEPRECATION)
def deprecate(call: Call) -> dict[str, Any]:
    """Say that an image should not be used any more, or that it may be again."""
    image, body = _found(call, call.params["image"]), call.body
    state = body.get("state", "ACTIVE")
    if body.get("replacement"):
        call.caller.refer(body["replacement"], collection="images", field="replacement")
    for member in DATES:
        if body.get(member):
            _check_date(body[member], member)
    own = {images.DEPRECATED: None if state == "ACTIVE" else state}
    kept = {"deprecated": DEPRECATION.remember(body) if state != "ACTIVE" else None}
    return _start(call, "change", "deprecate", image, own=own, labels=None, describe=None, kept=kept)


@method("compute.images.setLabels", needs=(*READS, *TAGS), body=LABELS)
def set_labels(call: Call) -> dict[str, Any]:
    """Put labels in the place of those that a client has seen."""
    image = _found(call, call.params["resource"])
    return labels.start(call, "Template", image.row, _path(call, image.name))


def _start(call: Call, workflow: str, type: str, image: Image, **more: Any) -> dict[str, Any]:
    path, number = _path(call, image.name), image.number
    plan = {"template": image.id, **more}
    return engine.start(call, f"op.images.{workflow}", type=type, target=path, target_id=number, plan=plan)


def _found(call: Call, wanted: str) -> Image:
    """The image of the URL, by name or number, or GCE's 404."""
    found = images.find(call.caller, lambda known: known.get(call.project, wanted))
    if found is None:
        raise not_found(_path(call, wanted))
    return found


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/global/images/{name}"


def _check_family(family: str) -> None:
    if family and not is_label(family):
        raise invalid("resource.family", family, NAME_RULE)


def _check_date(given: str, where: str) -> None:
    """Raise GceError invalid for what is neither an RFC 3339 date nor date and time: gcloud passes on both."""
    try:
        timestamp(f"{given}T00:00:00Z" if FULL_DATE.fullmatch(given) else given)
    except Unfit as unfit:
        raise invalid(where, given, str(unfit)) from None


Source = tuple[dict[str, Any], int | None, dict[str, Any]]


def _of_disk(call: Call) -> Source:
    """Parameters of createTemplate, the size in GiB, and what is remembered, for an image of a disk."""
    given, where = call.body["sourceDisk"], "resource.sourceDisk"
    place, name, row = volumes.referenced(call.caller, given, where, call.params["project"])
    zone = f"projects/{call.project}/zones/{place.name}"
    path = f"{zone}/disks/{name}"
    if "virtualmachineid" in row and row.get("vmstate") != "Stopped":
        if call.params.get("forceCreate"):
            message = (
                f"'{path}' is used by an instance that runs: CloudStack makes images of disks of stopped instances "
                "only. Make a snapshot of the disk, and an image of that."
            )
            raise GceError("unsupported", message, location="forceCreate")
        raise in_use(path, f"'{zone}/instances/{volumes.machine_name(row)}'", where)
    volumes.require_storage(row, path, where)
    kept = {"sourceDisk": path, "sourceDiskId": str(numeric_id(row["id"]))}
    return {"volumeid": row["id"], **_traits(call, row.get("templateid"))}, volumes.size_gb(row), kept


def _of_snapshot(call: Call) -> Source:
    """As :func:`_of_disk`, for an image of a snapshot."""
    given, where = call.body["sourceSnapshot"], "resource.sourceSnapshot"
    name, row = snapshots.referenced(call.caller, given, where, call.params["project"])
    path = f"projects/{call.project}/global/snapshots/{name}"
    if row["state"] != snapshots.READY:
        raise not_ready(path)
    traits = _traits(call, None)
    if row.get("ostypeid"):
        traits["ostypeid"] = row["ostypeid"]
    kept = {"sourceSnapshot": path, "sourceSnapshotId": str(numeric_id(row["id"]))}
    return {"snapshotid": row["id"], **traits}, snapshots.size_gb(row), kept


def _of_url(call: Call) -> Source:
    """Parameters of registerTemplate for what CloudStack downloads. GceError ``notImplemented`` where it may not."""
    source, where = call.body["rawDisk"].get("source"), "resource.rawDisk.source"
    if not source:
        raise required(where)
    caller = call.caller
    _check_may_register(call, where)
    url = OBJECT.sub(lambda found: f"https://storage.googleapis.com/{found[1]}/{unquote(found[2])}", source)
    parts = urlsplit(url)
    path = parts.path.lower()
    for ending in PACKED:
        path = path.removesuffix(ending)
    form = next((form for ending, form in FORMATS.items() if path.endswith(ending)), None)
    if parts.scheme not in ("http", "https") or not parts.hostname or form is None:
        why = f"CloudStack downloads images from http and https, in files that end in {', '.join(FORMATS)}."
        raise invalid(where, source, why)
    zones = list(places.of_caller(caller))
    hypervisors = caller.cloud.list("listHypervisors", zoneid=zones[0].id) if zones else []
    params = {
        "url": url,
        "format": form,
        "hypervisor": hypervisors[0]["name"] if hypervisors else "KVM",
        "zoneids": [place.id for place in zones],
        "ostypeid": images.os_type(caller, None),
        "isextractable": True,  # so that images can be made of it
    }
    return params, None, {"source": source}


def _of_image(call: Call) -> Source:
    """As :func:`_of_url`, for an image that CloudStack downloads once more: from where it came, or, in ``extract``,
    from where it gives it out."""
    given, where = call.body["sourceImage"], "resource.sourceImage"
    image = images.referenced(call.caller, given, where, call.params["project"])
    path, row = image.path, image.row
    if not image.zoneids:
        raise not_ready(path)
    _check_may_register(call, where)
    zones = sorted(image.zoneids)
    params: dict[str, Any] = {
        "format": row["format"],
        "hypervisor": row["hypervisor"],
        "zoneids": zones,
        "ostypeid": images.os_type(call.caller, row),
        "isextractable": True,
        "warnings": images.use_warnings(image),
        **{member: True for member in ("passwordenabled", "sshkeyenabled") if row.get(member)},
    }
    if row.get("url"):
        params["url"] = row["url"]
    elif row.get("isextractable"):
        params["extract"] = {"id": image.id, "zoneid": zones[0], "mode": "HTTP_DOWNLOAD"}
    else:
        raise invalid(where, given, "CloudStack gives out only templates that are extractable: use the image itself.")
    return params, images.size_gb(image), {"sourceImage": path, "sourceImageId": str(image.number)}


def _check_may_register(call: Call, where: str) -> None:
    if "registerTemplate" not in call.caller.catalogue.apis(call.caller.cloud):
        message = "This needs CloudStack's command registerTemplate, which CloudStack does not offer here."
        raise GceError("notImplemented", message, location=where)


def _traits(call: Call, templateid: str | None) -> dict[str, Any]:
    """What an image takes over from the template that its disk was made of."""
    known = images.of_caller(call.caller).of_template(templateid) if templateid else None
    traits: dict[str, Any] = {"ostypeid": images.os_type(call.caller, known.row if known else None)}
    for member in ("passwordenabled", "sshkeyenabled"):
        if known is not None and known.row.get(member):
            traits[member] = True
    return traits


def view(call: Call, image: Image, kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An image; ``kept`` is what is remembered of it, read where it is not given."""
    row = image.row
    kept = overlay.read(images.KIND, image.id) if kept is None else kept
    shown = tags.labels(row.get("tags", ()))
    said = row.get("displaytext")
    made_of = {member: call.links.absolute(kept[member]) for member in SOURCES if member in kept}
    return render(
        "image",
        id=str(image.number),
        creation_timestamp=rfc3339(row.get("created")) or NO_DATE,
        name=image.name,
        # CloudStack repeats the name where nothing was said.
        description=said if said != row.get("name") else None,
        status="READY" if image.zoneids else "PENDING",
        archive_size_bytes=str(row.get("physicalsize") or row.get("size") or 0),
        disk_size_gb=str(images.size_gb(image)),
        source=kept.get("source", ""),
        source_disk=made_of.get("sourceDisk"),
        source_disk_id=kept.get("sourceDiskId"),
        source_snapshot=made_of.get("sourceSnapshot"),
        source_snapshot_id=kept.get("sourceSnapshotId"),
        source_image=made_of.get("sourceImage"),
        source_image_id=kept.get("sourceImageId"),
        family=image.family,
        deprecated={"state": image.state, **(kept.get("deprecated") or {})} if image.state else None,
        labels=shown or None,
        label_fingerprint=fingerprint(shown),
        architecture=ARCHITECTURES.get(row.get("arch", "")),
        self_link=call.links.absolute(image.path),
    )
