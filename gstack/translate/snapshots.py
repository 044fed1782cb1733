"""CloudStack's volume snapshots under the names and states of GCE's snapshots.

Apart because snapshots, disks and images must agree on both. The surprising thing: CloudStack takes any number of
snapshots of one name; of those the one whose name is a GCE name as it stands comes first, then the oldest, so that a
look-up by name is one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gstack.cloudstack.client import Cloud
from gstack.errors import invalid, not_found
from gstack.translate import reasons
from gstack.translate.caller import Caller
from gstack.translate.names import called, gce_names, is_label
from gstack.translate.volumes import gib

Row = Mapping[str, Any]

KIND = "snapshots"  # GCE's collection, and the store's kind of what is remembered of them
# gstack's marks on snapshots: the name of the disk, which its volume does not always have, and who made it.
DISK, OPERATION = "source-disk", "operation"
READY = "BackedUp"
GONE = frozenset({"Destroying", "Destroyed", "Hidden"})

# What neither way of taking a snapshot can do, with the reason.
REFUSED = {
    "chainName": reasons.SNAPSHOT_CHAINS,
    "guestFlush": reasons.GUEST_FLUSH,
    "locationHint": reasons.STORAGE,
    "params": reasons.RESOURCE_MANAGER_TAGS,
    "snapshotEncryptionKey": reasons.ENCRYPTION,
    "sourceDiskEncryptionKey": reasons.ENCRYPTION,
    "sourceDiskForRecoveryCheckpoint": "There are no recovery checkpoints.",
    "sourceInstantSnapshot": reasons.INSTANT_SNAPSHOTS,
    "sourceInstantSnapshotEncryptionKey": reasons.INSTANT_SNAPSHOTS,
}

_STATES = {
    "Allocated": "CREATING",
    "Creating": "CREATING",
    "CreatedOnPrimary": "UPLOADING",
    "BackingUp": "UPLOADING",
    "Copying": "UPLOADING",
    READY: "READY",
    "Error": "FAILED",
}


def visible(rows: Iterable[Row]) -> list[Row]:
    """The snapshots that GCE would still show, each once: CloudStack may keep copies in several zones."""
    return list({row["id"]: row for row in rows if row.get("state") not in GONE}.values())


def status(row: Row) -> str:
    """GCE's status of a snapshot."""
    return _STATES.get(str(row.get("state")), "READY")


def size_gb(row: Row) -> int:
    """The size of the disk in GiB, rounded up, at least 1."""
    return gib(row.get("virtualsize"))


def gce_names_of(rows: Iterable[Row]) -> dict[str, str]:
    """The GCE name of every snapshot, by CloudStack id. ``rows`` are all of the project, or all of one name."""
    return gce_names(rows, "name", "id", _seniority)


def find(cloud: Cloud, name: str, *, thorough: bool = True) -> tuple[str, Row] | None:
    """The snapshot of that GCE name, or numeric id, and its name. One call for a name that is the snapshot's own;
    ``thorough``: else all are looked at, for names that the codec made."""
    if not name.isdigit():
        if not is_label(name):
            return None
        own = [row for row in visible(cloud.list("listSnapshots", name=name)) if row["name"] == name]
        found = called(own, gce_names_of, name)
        if found is not None or not thorough:
            return found
    return called(visible(cloud.list("listSnapshots")), gce_names_of, name)


def referenced(caller: Caller, given: str, where: str, alias: str) -> tuple[str, Row]:
    """The snapshot that a client named in field ``where``, and its name. ``alias`` is the project as the client wrote
    it. Raises GceError."""
    reference = caller.refer(given, collection="snapshots", field=where)
    if reference.project not in (alias, caller.project.id):
        raise invalid(where, given, "The snapshot belongs to another project.")
    found = find(caller.cloud, reference.name)
    if found is None:
        raise not_found(f"projects/{caller.project.id}/global/snapshots/{reference.name}")
    return found


def _seniority(row: Row) -> str:
    """The date by which clashes are decided: put off by two thousand years where the name is no GCE name."""
    created = str(row.get("created") or "")
    return created if is_label(str(row["name"])) or not created else f"{4}{created[1:]}"
