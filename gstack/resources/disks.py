"""disks: CloudStack's volumes, boot disks and others, attached or not.

A boot disk bears its instance's name, as in GCE, or the one it was asked for (a mark on the volume). Volumes of
destroyed machines are hidden. Visible differences: a disk's type is its disk offering; a boot disk that lies on the
storage of its machine's offering shows ``pd-standard``. Upstream calls: one round of three for a get (a second where it
is a boot disk), one for a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from gstack.errors import not_found
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import aggregated, listing
from gstack.protocol.methods import method
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import disk_types, images, places, tags, volumes
from gstack.translate.names import label
from gstack.translate.places import Place
from gstack.translate.times import rfc3339

Row = Mapping[str, Any]

READS = ("listVolumes", "listVirtualMachines")
KIND = "disks"


@method("compute.disks.get", needs=READS)
def get(call: Call) -> dict[str, Any]:
    """One disk, by name or number."""
    place = places.require_zone(call.caller, call.params["zone"])
    found = volumes.find(call.caller.cloud, place.id, call.params["disk"])
    if found is None:
        raise not_found(f"projects/{call.project}/zones/{place.name}/disks/{call.params['disk']}")
    name, row = found
    return Views(call, [row], {row["id"]: name}).view(row)


@method("compute.disks.list", needs=("listVolumes",))
def list_(call: Call) -> dict[str, Any]:
    """The disks of one zone."""
    place = places.require_zone(call.caller, call.params["zone"])
    views = Views(call, call.caller.cloud.list("listVolumes", zoneid=place.id))
    return listing(
        call, views.rows, views.view, name=views.name, created=_created, prepare=views.prepare
    )


@method("compute.disks.aggregatedList", needs=("listVolumes",))
def aggregated_list(call: Call) -> dict[str, Any]:
    """The disks of all zones."""
    views = Views(call, call.caller.cloud.list("listVolumes"))
    scopes: dict[str, list[Row]] = {}
    for row in views.rows:
        scopes.setdefault(f"zones/{views.place(row).name}", []).append(row)
    return aggregated(
        call,
        scopes.items(),
        KIND,
        views.view,
        name=views.name,
        created=_created,
        prepare=views.prepare,
        all_scopes=(f"zones/{place.name}" for place in views.places),
    )


def _created(row: Row) -> str | None:
    return rfc3339(row.get("created"))


class Views:
    """Volumes as disks. What many rows share is looked up once."""

    def __init__(self, call: Call, rows: Iterable[Row], names: Mapping[str, str] | None = None) -> None:
        self.rows = volumes.visible(rows)
        self.places = places.of_caller(call.caller)
        self._caller = call.caller
        self._base = call.links.project(call.project)
        self._links = call.links
        self._kept: dict[str, dict[str, Any]] = {}
        self._prepared: set[str] = set()
        self._names: dict[str, str] = {}
        self._machines: dict[str, str] = {}
        for found in _by_zone(self.rows).values():
            self._machines |= volumes.machine_names_of(found)
            self._names |= volumes.gce_names_of(found)
        self._names |= names or {}

    @cached_property
    def _images(self) -> images.Images:
        return images.of_caller(self._caller)

    @cached_property
    def _types(self) -> disk_types.DiskTypes:
        return disk_types.of_caller(self._caller)

    def name(self, row: Row) -> str:
        """The disk's name."""
        return self._names[row["id"]]

    def place(self, row: Row) -> Place:
        """The volume's zone. One that was disabled meanwhile is no longer listed by CloudStack."""
        found = self.places.of(row["zoneid"])
        if found is None:
            name = label(row["zonename"])
            found = Place(name, name, {"id": row["zoneid"], "name": row["zonename"]})
        return found

    def prepare(self, rows: Sequence[Row]) -> None:
        """Read what is remembered of the rows that are about to be shown."""
        self._prepared.update(row["id"] for row in rows)
        self._kept |= overlay.read_many(KIND, [row["id"] for row in rows])

    def view(self, row: Row) -> dict[str, Any]:
        """A disk."""
        if row["id"] not in self._prepared:
            self.prepare([row])
        name, zone = self.name(row), f"{self._base}/zones/{self.place(row).name}"
        labels = tags.labels(row.get("tags") or ())
        template = row.get("templateid")
        return render(
            "disk",
            id=str(numeric_id(row["id"])),
            creation_timestamp=rfc3339(row.get("created")),
            name=name,
            description=self._kept.get(row["id"], {}).get("description"),
            size_gb=volumes.size_gb(row),
            zone=zone,
            status=volumes.status(row),
            source_image=self._image_link(template),
            source_image_id=str(numeric_id(template)) if template else None,
            self_link=f"{zone}/disks/{name}",
            type=f"{zone}/diskTypes/{self._type(row)}",
            last_attach_timestamp=rfc3339(row.get("attached")),
            users=[f"{zone}/instances/{self._user(row)}"] if "virtualmachineid" in row else None,
            labels=labels or None,
            label_fingerprint=fingerprint(labels),
        )

    def _image_link(self, templateid: str | None) -> str | None:
        image = self._images.of_template(templateid) if templateid else None
        return self._links.absolute(f"projects/{image.project}/global/images/{image.name}") if image else None

    def _type(self, row: Row) -> str:
        marked = volumes.marked_type(row)
        if marked is not None:
            return marked
        found = self._types.of_offering(row.get("diskofferingid"))
        # An offering that was removed goes on for the volumes that have it.
        own = str(row.get("diskofferingname") or "")
        return found.name if found else label(own) if own else volumes.DEFAULT_TYPE

    def _user(self, row: Row) -> str:
        """The instance's name. A data volume's row has the names of its machine as well."""
        known = self._machines.get(row["virtualmachineid"])
        return known or volumes.machine_name(row)


def _by_zone(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["zoneid"], []).append(row)
    return found
