"""CloudStack's resource limits as GCE quotas.

CloudStack counts per account or project, for all zones together; GCE per project and per region. Both of
GCE's show the same account-wide figures: a limit that holds for all regions holds for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.translate.caller import Caller

# GCE metric -> the prefix of CloudStack's ``...limit`` and ``...total`` members of an account or project.
PROJECT_METRICS = {
    "SNAPSHOTS": "snapshot",
    "NETWORKS": "network",
    "IMAGES": "template",
    "STATIC_ADDRESSES": "ip",
    "IN_USE_ADDRESSES": "ip",
    "CPUS_ALL_REGIONS": "cpu",
    "GPUS_ALL_REGIONS": "gpu",
}
REGION_METRICS = {
    "CPUS": "cpu",
    "DISKS_TOTAL_GB": "primarystorage",
    "STATIC_ADDRESSES": "ip",
    "IN_USE_ADDRESSES": "ip",
    "INSTANCES": "vm",
}
# How GCE writes a quota without a limit.
UNLIMITED = float(2**63)


def owner_row(caller: Caller) -> Mapping[str, Any]:
    """The account or project itself with its limits, in one call; empty where the role may not read it."""
    project = caller.project
    if project.cloudstack_id is not None:
        return caller.cloud.first("listProjects", id=project.cloudstack_id) or {}
    return caller.cloud.first("listAccounts", name=project.account, domainid=project.domain_id) or {}


def quotas(row: Mapping[str, Any], metrics: Mapping[str, str]) -> list[dict[str, Any]]:
    """GCE quotas for ``metrics`` from a row of listAccounts or listProjects. Numbers are floats, as in
    GCE."""
    return [
        {"metric": metric, "limit": _limit(row[f"{name}limit"]), "usage": float(row.get(f"{name}total", 0))}
        for metric, name in metrics.items()
        if f"{name}limit" in row
    ]


def _limit(value: str) -> float:
    return UNLIMITED if value == "Unlimited" else float(value)
