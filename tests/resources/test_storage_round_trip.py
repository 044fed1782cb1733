"""Whatever an insert of storage accepts reads back equal, so that Terraform sees no drift.

Held over Google's schema: a field that a policy begins to accept must get a value here, or the first test fails.
"""

from __future__ import annotations

from typing import Any

import pytest

from gstack.protocol.discovery import document
from gstack.protocol.methods import HANDLERS
from gstack.protocol.policy import REFUSED
from gstack.resources import load_handlers

load_handlers()
HERE = "projects/tenant/zones/ch-gva-2"
SCHEDULE = {
    "schedule": {"weeklySchedule": {"dayOfWeeks": [{"day": "FRIDAY", "startTime": "05:00"}]}},
    "retentionPolicy": {"maxRetentionDays": 14, "onSourceDiskDelete": "KEEP_AUTO_SNAPSHOTS"},
    "snapshotProperties": {"labels": {"by": "clock"}},
}
POLICY = "projects/tenant/regions/ch-gva/resourcePolicies/nightly"
COMMON: dict[str, Any] = {"name": "new", "description": "of mine", "labels": {"tier": "gold", "empty": ""}}
DISK = {**COMMON, "sizeGb": "60", "type": f"{HERE}/diskTypes/pd-ssd", "physicalBlockSizeBytes": "4096"} | {
    "accessMode": "READ_WRITE_SINGLE",
    "architecture": "X86_64",
}
# Several bodies where members exclude one another; the path to insert at, and to read from.
CASES: dict[str, tuple[str, str, list[dict[str, Any]]]] = {
    "disks": (
        "zones/{zone}/disks",
        "zones/{zone}/disks/new",
        [
            DISK,
            {**DISK, "sourceSnapshot": "projects/tenant/global/snapshots/snap", "resourcePolicies": [POLICY]},
            {**DISK, "sourceDisk": f"{HERE}/disks/web"},
            {**DISK, "sourceImage": "projects/debian-cloud/global/images/linux-debian-12-64-bit"},
        ],
    ),
    "snapshots": (
        "global/snapshots",
        "global/snapshots/new",
        [{**COMMON, "sourceDisk": f"{HERE}/disks/web", "snapshotType": "STANDARD", "storageLocations": ["ch-gva"]}],
    ),
    "images": (
        "global/images",
        "global/images/new",
        [
            {**COMMON, "family": "mine", "sourceDisk": f"{HERE}/disks/web", "architecture": "X86_64"},
            {**COMMON, "family": "mine", "sourceSnapshot": "projects/tenant/global/snapshots/snap"},
            {**COMMON, "family": "mine", "rawDisk": {"source": "https://images.test/a.qcow2", "containerType": "TAR"}},
            {**COMMON, "sourceImage": "projects/tenant/global/images/golden", "sourceType": "RAW"},
        ],
    ),
    "resourcePolicies": (
        "regions/ch-gva/resourcePolicies",
        "regions/ch-gva/resourcePolicies/new",
        [{"name": "new", "description": "of mine", "snapshotSchedulePolicy": SCHEDULE}],
    ),
}
BODIES = [(collection, body) for collection, (_, _, bodies) in CASES.items() for body in bodies]
# What an insert takes as read, and what GCE answers without having been told.
NOT_SHOWN = {
    "disks": {"labelFingerprint"},
    "snapshots": {"labelFingerprint"},
    "images": {"labelFingerprint"},
    "resourcePolicies": set[str](),
}


@pytest.fixture
def full(gateway: Any) -> Any:
    """A gateway with what new things are made of."""
    row = gateway.deploy("web")
    gateway.cloudstack("stopVirtualMachine", id=row["id"])
    gateway.simulator.settle()
    gateway.run("POST", "zones/{zone}/disks/web/createSnapshot", {"name": "snap"})
    gateway.run("POST", "regions/ch-gva/resourcePolicies", {"name": "nightly", "snapshotSchedulePolicy": SCHEDULE})
    gateway.run("POST", "global/images", {"name": "golden", "rawDisk": {"source": "https://images.test/g.qcow2"}})
    return gateway


@pytest.mark.parametrize("collection", CASES)
def test_every_field_that_is_accepted_has_a_value_here(collection: str) -> None:
    policy = HANDLERS[f"compute.{collection}.insert"].body
    assert policy is not None
    accepted = {path.partition(".")[0].removesuffix("[]") for path, state, _ in policy.table() if state != REFUSED}
    given = {member for body in CASES[collection][2] for member in body}
    assert accepted - NOT_SHOWN[collection] == given
    schema = str(HANDLERS[f"compute.{collection}.get"].method.response)
    assert given <= set(document().schemas[schema]["properties"])


@pytest.mark.parametrize(("collection", "body"), BODIES, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_accepted_reads_back_equal(full: Any, collection: str, body: dict[str, Any]) -> None:
    made, path, _ = CASES[collection]
    full.run("POST", made, body)
    shown = full.get(path)
    # Links come back whole.
    root = f"https://{full.host}/compute/v1/"
    plain = {member: _plain(value, root) for member, value in shown.items() if member in body}
    assert plain == body


def _plain(value: Any, root: str) -> Any:
    if isinstance(value, list):
        return [_plain(entry, root) for entry in value]
    return value.removeprefix(root) if isinstance(value, str) else value
