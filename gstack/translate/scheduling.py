"""GCE's scheduling options: which of them mean anything here.

Apart because instances say them when they are made and when they are changed. The surprising thing: none of them
reaches CloudStack, where the service offering decides whether a machine is restarted when its host fails.
"""

from __future__ import annotations

_HOST = "CloudStack chooses hosts by its own rules."
_FOREVER = "An instance runs until somebody stops it."

REMEMBERED = ("automaticRestart", "onHostMaintenance")
ONLY = {"provisioningModel": ("STANDARD",)}
REFUSED = {
    "availabilityDomain": _HOST,
    "hostErrorTimeoutSeconds": _HOST,
    "instanceTerminationAction": "Instances are never terminated by the cloud.",
    "localSsdRecoveryTimeout": _HOST,
    "locationHint": _HOST,
    "maxRunDuration": _FOREVER,
    "minNodeCpus": _HOST,
    "nodeAffinities": _HOST,
    "onInstanceStopAction": _FOREVER,
    "preemptible": "All instances cost and live the same: there are no preemptible ones.",
    "terminationTime": _FOREVER,
}
DEFAULTS = {
    "onHostMaintenance": "MIGRATE",
    "automaticRestart": True,
    "preemptible": False,
    "provisioningModel": "STANDARD",
}
