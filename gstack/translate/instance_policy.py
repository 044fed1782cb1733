"""What is done with each member of an instance that a client describes: honoured, remembered, refused.

Apart because three requests hold such a description: an instance, a template for instances, and many instances at once.
The surprising thing: a description inside of another has fewer members, so each takes those that its schema has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gstack.protocol.discovery import document
from gstack.protocol.policy import Policy
from gstack.translate import reasons, scheduling

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
    "advancedMachineFeatures": reasons.HARDWARE,
    "canIpForward": "CloudStack filters the addresses a machine may send from.",
    "confidentialInstanceConfig": reasons.HARDWARE,
    "disks[].diskEncryptionKey": reasons.ENCRYPTION,
    "disks[].forceAttach": "A disk is attached to one instance only.",
    "disks[].guestOsFeatures": reasons.HARDWARE,
    "disks[].initializeParams.enableConfidentialCompute": reasons.HARDWARE,
    "disks[].initializeParams.licenses": reasons.LICENSES,
    "disks[].initializeParams.onUpdateAction": "It is for groups of instances.",
    "disks[].initializeParams.provisionedIops": reasons.SPEED,
    "disks[].initializeParams.provisionedThroughput": reasons.SPEED,
    "disks[].initializeParams.replicaZones": reasons.ONE_ZONE,
    "disks[].initializeParams.resourceManagerTags": reasons.RESOURCE_MANAGER_TAGS,
    "disks[].initializeParams.sourceImageEncryptionKey": reasons.ENCRYPTION,
    "disks[].initializeParams.sourceSnapshotEncryptionKey": reasons.ENCRYPTION,
    "disks[].initializeParams.storagePool": reasons.STORAGE_POOL,
    "displayDevice": reasons.DISPLAY,
    "guestAccelerators": reasons.HARDWARE,
    "instanceEncryptionKey": reasons.ENCRYPTION,
    "localSsdEncryptionMode": reasons.ENCRYPTION,
    "minCpuPlatform": reasons.HARDWARE,
    "networkInterfaces[].accessConfigs[].publicPtrDomainName": reasons.REVERSE_DNS,
    "networkInterfaces[].accessConfigs[].setPublicPtr": reasons.REVERSE_DNS,
    "networkInterfaces[].accessConfigs[].securityPolicy": reasons.CLOUD_ARMOR,
    "networkInterfaces[].accessConfigs[].externalIpv6": reasons.IPV6,
    "networkInterfaces[].accessConfigs[].externalIpv6PrefixLength": reasons.IPV6,
    "networkInterfaces[].aliasIpRanges[].subnetworkRangeName": reasons.ONE_RANGE,
    "networkInterfaces[].ipv6AccessConfigs": reasons.IPV6,
    "networkInterfaces[].ipv6Address": reasons.IPV6,
    "networkInterfaces[].internalIpv6PrefixLength": reasons.IPV6,
    "networkInterfaces[].networkAttachment": "Private Service Connect has no counterpart in CloudStack.",
    "networkInterfaces[].queueCount": reasons.HARDWARE,
    "networkPerformanceConfig": reasons.HARDWARE,
    "params": reasons.RESOURCE_MANAGER_TAGS,
    "resourcePolicies": reasons.NO_POLICIES,
    **{f"scheduling.{member}": why for member, why in scheduling.REFUSED.items()},
    "shieldedInstanceConfig": reasons.HARDWARE,
    "shieldedInstanceIntegrityPolicy": reasons.HARDWARE,
    "sourceMachineImage": reasons.MACHINE_IMAGES,
    "sourceMachineImageEncryptionKey": reasons.ENCRYPTION,
    "workloadIdentityConfig": "Guests get no Google identity here.",
    "resourceManagerTags": reasons.RESOURCE_MANAGER_TAGS,
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
