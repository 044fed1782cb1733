"""disks: what changes one that is there, besides its own plain verbs: update, snapshot schedules, labels in bulk.

Apart from disks.py, which makes, shows, grows and deletes them. Visible differences: there is no consistency group, so
disks are made one at a time. The surprising thing: ``update`` obeys a mask, and of the members that GCE lets it change
only size and labels are anything here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import GceError, invalid, not_ready
from gstack.operations import engine, labels
from gstack.operations.schedules import NEEDS as SCHEDULING
from gstack.protocol.call import Call
from gstack.protocol.ids import numeric_id
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.translate import reasons, schedules, volumes
from gstack.translate.places import Place
from gstack.translate.schedules import Schedule

Row = Mapping[str, Any]

READS = ("listVolumes", "listVirtualMachines")
TAGS = ("createTags", "deleteTags", "listTags")

_FIXED = "It is set when the disk is made, and stays."
BODY = Policy(
    honoured=("name", "sizeGb", "labels", "labelFingerprint"),
    only={"accessMode": ("READ_WRITE_SINGLE",), "architecture": ("X86_64", "ARCHITECTURE_UNSPECIFIED")},
    refused={
        "description": _FIXED,
        "provisionedIops": reasons.SPEED,
        "provisionedThroughput": reasons.SPEED,
        "resourcePolicies": "addResourcePolicies and removeResourcePolicies change them.",
        "sourceDisk": _FIXED,
        "sourceImage": _FIXED,
        "sourceSnapshot": _FIXED,
        "type": _FIXED,
    },
)
MASKED = frozenset({"name", "sizeGb", "labels", "labelFingerprint", "accessMode", "architecture"})
POLICIES = Policy(honoured=("resourcePolicies",))
BULK = Policy(honoured=("requests[].labels", "requests[].labelFingerprint"))

refused("compute.disks.bulkInsert", "CloudStack has no consistency groups to make disks of.")


@method("compute.disks.update", needs=(*READS, "resizeVolume", *TAGS), body=BODY)
def update(call: Call) -> dict[str, Any]:
    """Make a disk larger, or put labels in the place of those that a client has seen."""
    place, name, row = volumes.located(call.caller, call.params["zone"], call.params["disk"])
    path = volumes.path(call.project, place, name)
    body = _masked(call)
    if body.get("name", name) != name:
        raise invalid("resource.name", body["name"], "It cannot be changed.")
    wanted, now = body.get("sizeGb"), volumes.size_gb(row)
    if wanted is not None and wanted < now:
        raise invalid("resource.sizeGb", wanted, f"A disk of {now} GB cannot be made smaller.")
    if "labels" in body:
        labels.plan(row.get("tags") or (), body["labels"], body.get("labelFingerprint", ""))
    if row["state"] not in volumes.SETTLED:
        raise not_ready(path)
    plan = {
        "volume": row["id"],
        "size_gb": wanted if wanted != now else None,
        "labels": body.get("labels"),
        "fingerprint": body.get("labelFingerprint", ""),
    }
    return engine.start(call, "op.disks.update", type="update", target=path, target_id=numeric_id(row["id"]), plan=plan)


@method("compute.disks.bulkSetLabels", needs=(*READS, *TAGS), body=BULK)
def bulk_set_labels(call: Call) -> dict[str, Any]:
    """Put labels on the disk that the query names: the body is a list, but names none."""
    wanted, requests = call.params.get("resource"), call.body.get("requests") or []
    if not wanted:
        raise GceError("required", "Required parameter 'resource' not specified", location="resource")
    if len(requests) != 1:
        raise invalid("requests", len(requests), "Exactly one request must be given for the one disk.")
    place, name, row = volumes.located(call.caller, call.params["zone"], wanted)
    return labels.start(call, "Volume", row, volumes.path(call.project, place, name), requests[0])


@method("compute.disks.addResourcePolicies", needs=(*READS, *TAGS, *SCHEDULING), body=POLICIES)
def add_resource_policies(call: Call) -> dict[str, Any]:
    """Put a snapshot schedule on a disk that has none. CloudStack takes one only of a disk that has its storage."""
    place, name, row, schedule = _scheduled(call)
    there = schedules.of_volume(row)
    if there is not None:
        why = f"A disk has one snapshot schedule at most, and this one has '{there.name}'."
        raise invalid("resourcePolicies", schedule.name, why)
    path = volumes.path(call.project, place, name)
    volumes.require_storage(row, path, "resourcePolicies")
    return _schedule(call, "addResourcePolicies", path, row, schedule)


@method("compute.disks.removeResourcePolicies", needs=(*READS, *TAGS, *SCHEDULING), body=POLICIES)
def remove_resource_policies(call: Call) -> dict[str, Any]:
    """Take the snapshot schedule off a disk. Snapshots that were taken by it stay."""
    place, name, row, schedule = _scheduled(call)
    there = schedules.of_volume(row)
    if there is None or there.path != schedule.path:
        raise invalid("resourcePolicies", schedule.name, "The disk does not have that snapshot schedule.")
    return _schedule(call, "removeResourcePolicies", volumes.path(call.project, place, name), row, schedule)


def _scheduled(call: Call) -> tuple[Place, str, Row, Schedule]:
    """The disk of the URL, and the one schedule that the body names."""
    place, name, row = volumes.located(call.caller, call.params["zone"], call.params["disk"])
    given = call.body.get("resourcePolicies") or []
    if len(given) != 1:
        raise invalid("resourcePolicies", len(given), "Exactly one resource policy must be given.")
    alias = call.params["project"]
    schedule = schedules.referenced(call.caller, given[0], "resourcePolicies[0]", region=place.region, alias=alias)
    return place, name, row, schedule


def _schedule(call: Call, verb: str, path: str, row: Row, schedule: Schedule) -> dict[str, Any]:
    plan = {"volume": row["id"], "disk": path.rpartition("/")[2], "schedule": schedule.stored()}
    number = numeric_id(row["id"])
    return engine.start(call, f"op.disks.{verb}", type=verb, target=path, target_id=number, plan=plan)


def _masked(call: Call) -> dict[str, Any]:
    """The members of the body that ``paths`` or ``updateMask`` name, all of them where neither is given."""
    named = [*(call.params.get("paths") or []), *(call.params.get("updateMask") or "").split(",")]
    fields = {field.strip() for field in named if field.strip()}
    unknown = sorted(fields - MASKED)
    if unknown:
        raise invalid("paths", unknown[0], f"What can be changed is {', '.join(sorted(MASKED))}.")
    if not fields:
        return call.body
    needed = fields | ({"labelFingerprint"} if "labels" in fields else set())
    found = {member: value for member, value in call.body.items() if member in needed}
    return found | ({"labels": {}} if "labels" in fields and "labels" not in found else {})
