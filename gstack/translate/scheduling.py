"""GCE's scheduling options: which of them mean anything here, and which go together.

Apart because instances say them when they are made and when they are changed. The surprising thing: none of them
reaches CloudStack, where the service offering decides whether a machine is restarted when its host fails. A preemptible
instance, or a Spot one, may be stopped by GCE at any time; here that time does not come.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import invalid

_HOST = "CloudStack chooses hosts by its own rules."
_FOREVER = "An instance runs until somebody stops it."

SPOT = "SPOT"
UNSPECIFIED = "INSTANCE_TERMINATION_ACTION_UNSPECIFIED"
REMEMBERED = (
    "automaticRestart",
    "instanceTerminationAction",
    "onHostMaintenance",
    "preemptible",
    "provisioningModel",
)
ONLY = {"provisioningModel": ("STANDARD", SPOT)}
REFUSED = {
    "availabilityDomain": _HOST,
    "hostErrorTimeoutSeconds": _HOST,
    "localSsdRecoveryTimeout": _HOST,
    "locationHint": _HOST,
    "maxRunDuration": _FOREVER,
    "minNodeCpus": _HOST,
    "nodeAffinities": _HOST,
    "onInstanceStopAction": _FOREVER,
    "terminationTime": _FOREVER,
}
# What makes an instance preemptible: it can be changed only while the instance is stopped.
KIND = ("preemptible", "provisioningModel")
_STANDARD = {
    "onHostMaintenance": "MIGRATE",
    "automaticRestart": True,
    "preemptible": False,
    "provisioningModel": "STANDARD",
}
_PREEMPTIBLE = _STANDARD | {"onHostMaintenance": "TERMINATE", "automaticRestart": False, "preemptible": True}


def said(given: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a body's scheduling that are remembered."""
    return {member: given[member] for member in REMEMBERED if given.get(member) is not None}


def changed(given: Mapping[str, Any]) -> dict[str, Any]:
    """... of one that changes them: what makes a Spot instance goes where it becomes a standard one."""
    standard = given.get("provisioningModel") not in (None, SPOT)
    return ({"preemptible": False, "instanceTerminationAction": UNSPECIFIED} if standard else {}) | said(given)


def shown(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The scheduling of an instance that said ``kept``, with what GCE adds (cloud.google.com, Compute Engine,
    "Preemptible VM instances" and "Spot VMs")."""
    whole = {**(_PREEMPTIBLE if _is_preemptible(kept) else _STANDARD), **kept}
    return {member: value for member, value in whole.items() if value != UNSPECIFIED}


def check(given: Mapping[str, Any], where: str) -> None:
    """Raise GceError invalid for members of a scheduling, at ``where``, that GCE does not take together."""
    whole = shown(given)
    if whole["provisioningModel"] == SPOT and not whole["preemptible"]:
        raise invalid(f"{where}.preemptible", False, "An instance of the provisioning model SPOT is preemptible.")
    if whole["preemptible"] and whole["automaticRestart"]:
        why = "Scheduling must have preemptible be false when automaticRestart is true."
        raise invalid(f"{where}.automaticRestart", True, why)
    if whole["preemptible"] and whole["onHostMaintenance"] != "TERMINATE":
        why = "Scheduling must have preemptible be false when onHostMaintenance is not TERMINATE."
        raise invalid(f"{where}.onHostMaintenance", whole["onHostMaintenance"], why)
    if "instanceTerminationAction" in whole and whole["provisioningModel"] != SPOT:
        why = "Only an instance of the provisioning model SPOT has a termination action."
        raise invalid(f"{where}.instanceTerminationAction", whole["instanceTerminationAction"], why)


def _is_preemptible(given: Mapping[str, Any]) -> bool:
    return bool(given.get("preemptible")) or given.get("provisioningModel") == SPOT
