"""images: CloudStack's templates, sorted into Google's public image projects and the caller's own.

Which project and family a template belongs to is decided in translate/images.py. The public projects that clients
know always answer, possibly with nothing: gcloud repeats a refused part of a batch for 23 seconds. Visible
differences: an image that is ready in some zones only says so nowhere; ``archiveSizeBytes`` is what CloudStack calls
the physical size. Upstream calls: none once the catalogue is cached.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import listing
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.translate import images, tags
from gstack.translate.images import Image
from gstack.translate.times import NO_DATE, rfc3339

GIB = 2**30
ARCHITECTURES = {"x86_64": "X86_64", "aarch64": "ARM64"}


@method("compute.images.get", needs=("listTemplates",), public=True)
def get(call: Call) -> dict[str, Any]:
    """One image, by name or number."""
    wanted = call.params["image"]

    def look(known: images.Images) -> Image | None:
        return known.get(call.project, wanted) or next(
            (image for image in known.listed(call.project) if str(numeric_id(image.id)) == wanted), None
        )

    found = images.find(call.caller, look)
    if found is None:
        raise not_found(f"projects/{call.project}/global/images/{wanted}")
    return view(call, found)


@method("compute.images.getFromFamily", needs=("listTemplates",), public=True)
def get_from_family(call: Call) -> dict[str, Any]:
    """The newest image of a family that is not deprecated."""
    family = call.params["family"]
    found = images.find(call.caller, lambda known: known.newest(call.project, family))
    if found is None:
        raise not_found(f"projects/{call.project}/global/images/family/{family}")
    return view(call, found)


@method("compute.images.list", needs=("listTemplates",), public=True)
def list_(call: Call) -> dict[str, Any]:
    """The images of one project."""
    rows = images.of_caller(call.caller).listed(call.project)
    return listing(
        call,
        rows,
        lambda image: view(call, image),
        name=lambda image: image.name,
        created=lambda image: image.row.get("created"),
    )


def view(call: Call, image: Image) -> dict[str, Any]:
    """An image."""
    row = image.row
    labels = tags.labels(row.get("tags", ()))
    size = int(row.get("size") or 0)
    return render(
        "image",
        id=str(numeric_id(image.id)),
        creation_timestamp=rfc3339(row.get("created")) or NO_DATE,
        name=image.name,
        description=row.get("displaytext"),
        status="READY" if image.zoneids else "PENDING",
        archive_size_bytes=str(row.get("physicalsize") or size),
        disk_size_gb=str(-(-size // GIB) or 1),
        family=image.family,
        labels=labels or None,
        label_fingerprint=fingerprint(labels),
        architecture=ARCHITECTURES.get(row.get("arch", "")),
        self_link=call.links.absolute(f"projects/{image.project}/global/images/{image.name}"),
    )
