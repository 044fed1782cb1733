"""What an operation says when there is not enough: of the quota, or of the cloud itself.

Apart because every workflow may meet either, and clients look for GCE's own shape of them: ``quotaInfo`` and
``ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS``. The surprising thing: which quota it was stands in CloudStack's sentence
and nowhere else; a sentence of another form goes through as it is.

Source: https://cloud.google.com/compute/docs/troubleshooting/troubleshooting-vm-creation and the schema of Operation.
"""

from __future__ import annotations

import re
from typing import Any

from gstack.errors import GceError
from gstack.operations.failures import pack, unpack
from gstack.operations.identity import place

_EXCEEDED = re.compile(
    r"Maximum amount of resources of Type = '(?P<kind>\w+)'.*? Resource Limit = (?:\([^)]*\) )?(?P<limit>\d+)"
)
# CloudStack's types of resources -> GCE's quotas. The limit of storage is in bytes.
METRICS = {
    "user_vm": "INSTANCES",
    "cpu": "CPUS",
    "gpu": "GPUS_ALL_REGIONS",
    "primary_storage": "DISKS_TOTAL_GB",
    "public_ip": "IN_USE_ADDRESSES",
    "snapshot": "SNAPSHOTS",
    "template": "IMAGES",
    "network": "NETWORKS",
}
GLOBAL = frozenset({"SNAPSHOTS", "IMAGES", "NETWORKS", "GPUS_ALL_REGIONS"})
GIB = 2**30


def explained(error: GceError, target: str) -> GceError:
    """``error`` of an operation on ``target`` in GCE's words, with its details and CloudStack's own sentence."""
    if error.kind == "quotaExceeded":
        return _quota(error, _region(target))
    if error.kind == "stockout":
        return _stockout(error, target)
    return error


def _region(target: str) -> str | None:
    kind, _, name = place(target).scope.partition("/")
    return {"regions": name, "zones": name[:-2]}.get(kind)  # a zone's name is its region's and two characters


def _quota(error: GceError, region: str | None) -> GceError:
    found = _EXCEEDED.search(error.message)
    if found is None:
        return error
    metric, limit = METRICS.get(found["kind"]), float(found["limit"])
    if metric is None:  # CloudStack counts more than GCE does: volumes, memory, projects …
        return _with(error, error.message, {"quotaInfo": {"limitName": found["kind"], "limit": limit}})
    if found["kind"] == "primary_storage":
        limit /= GIB
    everywhere = metric in GLOBAL or region is None
    info = {
        "metricName": f"compute.googleapis.com/{metric.lower()}",
        "limitName": f"{metric.replace('_', '-')}-per-project{'' if everywhere else '-region'}",
        "dimensions": {"global": "global"} if everywhere else {"region": region},
        "limit": limit,
    }
    where = "globally" if everywhere else f"in region {region}"
    return _with(error, f"Quota '{metric}' exceeded.  Limit: {limit} {where}. {error.message}", {"quotaInfo": info})


def _stockout(error: GceError, target: str) -> GceError:
    at = place(target)
    if not at.scope.startswith("zones/"):
        return error
    message = (
        f"The zone 'projects/{at.project}/{at.scope}' does not have enough resources available to fulfill the request. "
        f"{error.message}"
    )
    info = {
        "reason": "resource_availability",
        "domain": "compute.googleapis.com",
        "metadatas": {"zone": at.scope.partition("/")[2]},
    }
    return _with(error, message, {"errorInfo": info}, {"localizedMessage": {"locale": "en-US", "message": message}})


def _with(error: GceError, message: str, *details: dict[str, Any]) -> GceError:
    return unpack(pack(error) | {"message": message, "details": list(details)})
