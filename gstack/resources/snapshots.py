"""snapshots: CloudStack's snapshots of volumes, those that its schedules take as well.

Labels are resource tags, given in the call that takes the snapshot; the disk's name is a mark among them. Visible
differences: a snapshot stays in its disk's zone, and disks are made of it there only; a snapshot says nothing of
licences or of encryption. Upstream calls: one for a get by its own name, one for a list; a second for snapshots of
other tools, to find out their disks' names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from gstack.errors import not_found, not_ready, required
from gstack.operations import engine, labels
from gstack.operations import snapshots as taking
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.ids import numeric_id
from gstack.protocol.listing import Shape, listing, sought_words
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.store import overlay
from gstack.translate import places, reasons, schedules, snapshots, tags, volumes
from gstack.translate.names import keyword as keyword_for
from gstack.translate.names import label
from gstack.translate.times import rfc3339

Row = Mapping[str, Any]

READS = ("listSnapshots",)
BODY = Policy(
    honoured=("name", "labels", "sourceDisk", "storageLocations"),
    # A fingerprint is the proof that a client read something first, which for an insert there is not.
    remembered=("description", "labelFingerprint", "snapshotType"),
    only={"snapshotType": ("STANDARD",)},
    refused=snapshots.REFUSED,
)
LABELS = Policy(honoured=("labels", "labelFingerprint"))

refused("compute.snapshots.updateKmsKey", reasons.ENCRYPTION)


@method("compute.snapshots.get", needs=READS)
def get(call: Call) -> dict[str, Any]:
    """One snapshot, by name or number."""
    name, row = _found(call, call.params["snapshot"])
    return Views(call, [row], {row["id"]: name}).view(row)


@method("compute.snapshots.list", needs=READS)
def list_(call: Call) -> dict[str, Any]:
    """All snapshots of the project."""
    keyword = keyword_for(sought_words(call).get("name", ""))
    views = Views(call, call.caller.cloud.list("listSnapshots", keyword=keyword))
    return listing(call, views.rows, views.shape)


@method("compute.snapshots.insert", needs=(*READS, "createSnapshot", "listVolumes"), body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Take a snapshot of a disk."""
    given, where = call.body.get("sourceDisk"), "resource.sourceDisk"
    if not given:
        raise required(where)
    place, name, row = volumes.referenced(call.caller, given, where, call.params["project"])
    disk = f"projects/{call.project}/zones/{place.name}/disks/{name}"
    return taking.begin(call, place, disk, row, sub_action=False)


@method("compute.snapshots.delete", needs=(*READS, "deleteSnapshot"))
def delete(call: Call) -> dict[str, Any]:
    """Delete a snapshot."""
    name, row = _found(call, call.params["snapshot"])
    path = _path(call, name)
    if snapshots.status(row) in ("CREATING", "UPLOADING"):
        raise not_ready(path)
    plan = {"snapshot": row["id"]}
    number = numeric_id(row["id"])
    return engine.start(call, "op.snapshots.delete", type="delete", target=path, target_id=number, plan=plan)


@method("compute.snapshots.setLabels", needs=(*READS, "createTags", "deleteTags", "listTags"), body=LABELS)
def set_labels(call: Call) -> dict[str, Any]:
    """Put labels in the place of those that a client has seen."""
    name, row = _found(call, call.params["resource"])
    return labels.start(call, "Snapshot", row, _path(call, name))


def _found(call: Call, wanted: str) -> tuple[str, Row]:
    """The snapshot of the URL, or GCE's 404."""
    found = snapshots.find(call.caller.cloud, wanted)
    if found is None:
        raise not_found(_path(call, wanted))
    return found


def _path(call: Call, name: str) -> str:
    return f"projects/{call.project}/global/snapshots/{name}"


def _created(row: Row) -> str | None:
    return rfc3339(row.get("created"))


class Views:
    """Snapshots as GCE's. What many rows share is looked up once."""

    def __init__(self, call: Call, rows: Iterable[Row], names: Mapping[str, str] | None = None) -> None:
        self.rows = snapshots.visible(rows)
        self._call = call
        self._base = call.links.project(call.project)
        self._names = dict(names or {}) or snapshots.gce_names_of(self.rows)
        self._kept = overlay.Remembered(snapshots.KIND)

    @cached_property
    def _places(self) -> places.Places:
        return places.of_caller(self._call.caller)

    @cached_property
    def _disks(self) -> dict[str, str]:
        """The names of all disks by their volumes' ids, for snapshots that do not say."""
        found: dict[str, str] = {}
        for rows in places.by_zone(volumes.visible(self._call.caller.cloud.list("listVolumes"))).values():
            found |= volumes.gce_names_of(rows)
        return found

    def name(self, row: Row) -> str:
        """The snapshot's name."""
        return self._names[row["id"]]

    @property
    def shape(self) -> Shape[Row]:
        """How lists read them."""
        return Shape(self.view, self.name, _created, prepare=self.prepare)

    def prepare(self, rows: Sequence[Row]) -> None:
        """Read what is remembered of the rows that are about to be shown."""
        self._kept.prepare(row["id"] for row in rows)

    def view(self, row: Row) -> dict[str, Any]:
        """A snapshot."""
        name, kept = self.name(row), self._kept.of(row["id"])
        shown = tags.labels(row.get("tags") or ())
        place = self._places.of(row.get("zoneid"))
        return render(
            "snapshot",
            id=str(numeric_id(row["id"])),
            creation_timestamp=rfc3339(row.get("created")),
            name=name,
            description=kept.get("description"),
            status=snapshots.status(row),
            source_disk=f"{self._base}/zones/{place.name}/disks/{self._disk(row)}" if place else None,
            source_disk_id=str(numeric_id(row["volumeid"])) if row.get("volumeid") else None,
            size_gb=snapshots.size_gb(row),
            storage_bytes=int(row.get("physicalsize") or 0),
            locations=[place.region] if place else None,
            self_link=f"{self._base}/global/snapshots/{name}",
            labels=shown or None,
            label_fingerprint=fingerprint(shown),
            # Shown to those who named it: Terraform makes a snapshot anew when it sees a type that nobody asked for.
            snapshot_type=kept.get("snapshotType"),
            schedule=self._schedule(row),
            auto_created=row.get("intervaltype", "MANUAL") != "MANUAL",
        )

    def _schedule(self, row: Row) -> str | None:
        """The link of the schedule that took it: CloudStack gives a policy's tags to its snapshots."""
        region, _, name = tags.own_values(row.get("tags") or ()).get(schedules.MARK, "").partition("/")
        return f"{self._base}/regions/{region}/resourcePolicies/{name}" if name else None

    def _disk(self, row: Row) -> str:
        """The disk's name: as it is marked, else as its volume is called now, or was."""
        marked = tags.own_values(row.get("tags") or ()).get(snapshots.DISK)
        return marked or self._disks.get(str(row.get("volumeid"))) or label(str(row.get("volumename") or ""))
