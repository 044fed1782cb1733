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
ACTION = "instanceTerminationAction"
UNSPECIFIED = "INSTANCE_TERMINATION_ACTION_UNSPECIFIED"
REMEMBERED = (
    "automaticRestart",
    ACTION,
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


def changed(kept: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """... of one that changes those ``kept``: with what belongs to a preemptible instance where it becomes one, and to
    a standard one where it ceases to be."""
    wanted = given.get("preemptible")
    if wanted is None and "provisioningModel" in given:
        wanted = given["provisioningModel"] == SPOT or (_is_preemptible(kept) and kept.get("provisioningModel") != SPOT)
    if wanted is None or wanted == _is_preemptible(kept):
        return said(given)
    return (_PREEMPTIBLE if wanted else _STANDARD | {ACTION: UNSPECIFIED}) | said(given)


def shown(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The scheduling of an instance that said ``kept``, with what GCE adds (cloud.google.com, Compute Engine,
    "Preemptible VM instances" and "Spot VMs")."""
    whole = {**(_PREEMPTIBLE if _is_preemptible(kept) else _STANDARD), **kept}
    return {member: value for member, value in whole.items() if value != UNSPECIFIED}


def check(given: Mapping[str, Any], where: str) -> None:
    """Raise GceError invalid for members of a scheduling, at ``where``, that GCE does not take together."""
    whole = shown(given)
    if whole["provisioningModel"] == SPOT and not whole["preemptible"]:
        raise invalid(f"{where}.preemptible", "false", "An instance of the provisioning model SPOT is preemptible.")
    if whole["preemptible"] and whole["automaticRestart"]:
        why = "Scheduling must have preemptible be false when AutomaticRestart is true."
        raise invalid(f"{where}.preemptible", "true", why)
    if whole["preemptible"] and whole["onHostMaintenance"] != "TERMINATE":
        why = "Scheduling must have preemptible be false when OnHostMaintenance isn't TERMINATE."
        raise invalid(f"{where}.preemptible", "true", why)
    if ACTION in whole and whole["provisioningModel"] != SPOT:
        why = "Only an instance of the provisioning model SPOT has a termination action."
        raise invalid(f"{where}.{ACTION}", whole[ACTION], why)


def _is_preemptible(given: Mapping[str, Any]) -> bool:
    return bool(given.get("preemptible")) or given.get("provisioningModel") == SPOT
