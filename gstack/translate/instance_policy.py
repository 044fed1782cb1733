"""What is done with each member of an instance that a client describes: honoured, remembered, refused.

Apart because three requests hold such a description: an instance, a template for instances, and many instances at once.
The surprising thing: a description inside of another has fewer members, so each takes those that its schema has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gstack.protocol.discovery import document
from gstack.protocol.policy import Policy
from gstack.translate import scheduling

_ENCRYPTION = "CloudStack encrypts by offering, with keys of its own."
NO_MACHINE_IMAGES = "There are no machine images; make images or snapshots of an instance's disks."
_HARDWARE = "What a machine's hardware offers is decided by CloudStack's offerings and templates."
_IPV6 = "Only IPv4 is supported."

HONOURED = (
    "name",
    "machineType",
    "disks[].boot",
    "disks[].autoDelete",
    "disks[].source",
    "disks[].diskSizeGb",
    "disks[].initializeParams.sourceImage",
    "disks[].initializeParams.sourceSnapshot",
    "disks[].initializeParams.diskSizeGb",
    "disks[].initializeParams.diskType",
    "disks[].initializeParams.diskName",
    "disks[].initializeParams.labels",
    "disks[].initializeParams.resourcePolicies",
    "networkInterfaces[].network",
    "networkInterfaces[].subnetwork",
    "networkInterfaces[].networkIP",
    "networkInterfaces[].accessConfigs[].natIP",
    "networkInterfaces[].aliasIpRanges[].ipCidrRange",
    "labels",
    "tags",
    "metadata",
    "hostname",
    "deletionProtection",
)
REMEMBERED = (
    "description",
    "serviceAccounts",
    *(f"scheduling.{member}" for member in scheduling.REMEMBERED),
    "disks[].deviceName",
    "disks[].initializeParams.description",
    "disks[].initializeParams.architecture",
    "networkInterfaces[].accessConfigs[].name",
    # Proofs that a client read something first, which for an insert there is not.
    "fingerprint",
    "labelFingerprint",
    "networkInterfaces[].fingerprint",
)
ONLY: dict[str, tuple[Any, ...]] = {
    "disks[].type": ("PERSISTENT",),
    "disks[].mode": ("READ_WRITE",),
    "disks[].interface": ("SCSI",),
    "disks[].initializeParams.architecture": ("X86_64", "ARCHITECTURE_UNSPECIFIED"),
    "networkInterfaces[].stackType": ("IPV4_ONLY", "UNSPECIFIED_STACK_TYPE"),
    "networkInterfaces[].nicType": ("VIRTIO_NET", "UNSPECIFIED_NIC_TYPE"),
    "networkInterfaces[].accessConfigs[].type": ("ONE_TO_ONE_NAT",),
    "networkInterfaces[].accessConfigs[].networkTier": ("PREMIUM",),
    **{f"scheduling.{member}": values for member, values in scheduling.ONLY.items()},
    "reservationAffinity.consumeReservationType": ("ANY_RESERVATION", "NO_RESERVATION", "UNSPECIFIED"),
    "keyRevocationActionType": ("NONE", "KEY_REVOCATION_ACTION_TYPE_UNSPECIFIED"),
    "privateIpv6GoogleAccess": ("INHERIT_FROM_SUBNETWORK",),
}
REFUSED = {
    "advancedMachineFeatures": _HARDWARE,
    "canIpForward": "CloudStack filters the addresses a machine may send from.",
    "confidentialInstanceConfig": _HARDWARE,
    "disks[].diskEncryptionKey": _ENCRYPTION,
    "disks[].forceAttach": "A disk is attached to one instance only.",
    "disks[].guestOsFeatures": _HARDWARE,
    "disks[].initializeParams.enableConfidentialCompute": _HARDWARE,
    "disks[].initializeParams.licenses": "There are no licences to be paid for.",
    "disks[].initializeParams.onUpdateAction": "It is for groups of instances.",
    "disks[].initializeParams.provisionedIops": "Disk types say how fast a disk is.",
    "disks[].initializeParams.provisionedThroughput": "Disk types say how fast a disk is.",
    "disks[].initializeParams.replicaZones": "Disks live in one zone.",
    "disks[].initializeParams.resourceManagerTags": "Resource manager tags have no counterpart in CloudStack.",
    "disks[].initializeParams.sourceImageEncryptionKey": _ENCRYPTION,
    "disks[].initializeParams.sourceSnapshotEncryptionKey": _ENCRYPTION,
    "disks[].initializeParams.storagePool": "Disk types say where a disk is kept.",
    "displayDevice": "Every machine has a display; it cannot be taken away or added.",
    "guestAccelerators": _HARDWARE,
    "instanceEncryptionKey": _ENCRYPTION,
    "localSsdEncryptionMode": _ENCRYPTION,
    "minCpuPlatform": _HARDWARE,
    "networkInterfaces[].accessConfigs[].publicPtrDomainName": "CloudStack keeps no reverse DNS.",
    "networkInterfaces[].accessConfigs[].setPublicPtr": "CloudStack keeps no reverse DNS.",
    "networkInterfaces[].accessConfigs[].securityPolicy": "Google Cloud Armor has no counterpart in CloudStack.",
    "networkInterfaces[].accessConfigs[].externalIpv6": _IPV6,
    "networkInterfaces[].accessConfigs[].externalIpv6PrefixLength": _IPV6,
    "networkInterfaces[].aliasIpRanges[].subnetworkRangeName": "A CloudStack network has one range.",
    "networkInterfaces[].ipv6AccessConfigs": _IPV6,
    "networkInterfaces[].ipv6Address": _IPV6,
    "networkInterfaces[].internalIpv6PrefixLength": _IPV6,
    "networkInterfaces[].networkAttachment": "Private Service Connect has no counterpart in CloudStack.",
    "networkInterfaces[].queueCount": _HARDWARE,
    "networkPerformanceConfig": _HARDWARE,
    "params": "Resource manager tags have no counterpart in CloudStack.",
    "resourcePolicies": "The resource policies there are, are snapshot schedules, which disks have.",
    **{f"scheduling.{member}": why for member, why in scheduling.REFUSED.items()},
    "shieldedInstanceConfig": _HARDWARE,
    "shieldedInstanceIntegrityPolicy": _HARDWARE,
    "sourceMachineImage": NO_MACHINE_IMAGES,
    "sourceMachineImageEncryptionKey": _ENCRYPTION,
    "workloadIdentityConfig": "Guests get no Google identity here.",
    "resourceManagerTags": "Resource manager tags have no counterpart in CloudStack.",
}


def of(
    schema: str,
    prefix: str = "",
    *,
    honoured: Iterable[str] = (),
    remembered: Iterable[str] = (),
    only: Mapping[str, tuple[Any, ...]] | None = None,
    refused: Mapping[str, str] | None = None,
) -> Policy:
    """The policy of a request in which an object of ``schema`` stands under ``prefix`` (``properties.``), and the other
    members as given."""
    known = document().schemas[schema]["properties"]

    def there(path: str) -> bool:
        return path.partition(".")[0].removesuffix("[]") in known

    return Policy(
        honoured=[*honoured, *(prefix + path for path in HONOURED if there(path))],
        remembered=[*remembered, *(prefix + path for path in REMEMBERED if there(path))],
        only={**(only or {}), **{prefix + path: values for path, values in ONLY.items() if there(path)}},
        refused={**(refused or {}), **{prefix + path: why for path, why in REFUSED.items() if there(path)}},
    )
