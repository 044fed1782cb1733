"""How the lost answer of each CloudStack command is recovered, so that none is carried out twice.

One table, because the question has to be answered for every command that a workflow sends, and a missing
answer must stop the workflow in its first test. The surprising thing: sending again is right for most
commands; ``find`` is for those that would make a second object.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Recovery:
    """``again``: the command may be sent again. ``find``: whoever sends it looks for what it may have made
    first.

    ``removes`` marks commands that are done when CloudStack answers that their object does not exist.
    """

    how: Literal["again", "find"]
    why: str
    removes: bool = False


def _again(why: str) -> Recovery:
    return Recovery("again", why)


def _find(why: str) -> Recovery:
    return Recovery("find", why)


_REMOVES = Recovery("again", "what is gone already is gone", removes=True)
_STATE = _again("the second one meets the state that it asks for")
_SETS = _again("it sets values and makes nothing")

# Sources: CloudStack's recorded behaviour for repeated and racing commands.
RECOVERY: dict[str, Recovery] = {
    "deployVirtualMachine": _find("by the name that the operation claims"),
    "startVirtualMachine": _find("a VM that runs already is refused: look at its state"),
    "stopVirtualMachine": _STATE,
    "rebootVirtualMachine": _again("a second reboot harms no more than the first"),
    "destroyVirtualMachine": _REMOVES,
    "updateVirtualMachine": _SETS,
    "changeServiceForVirtualMachine": _SETS,
    "addNicToVirtualMachine": _find("by the NIC in that network"),
    "removeNicFromVirtualMachine": _REMOVES,
    "addIpToNic": _find("by the addresses of the NIC"),
    "removeIpFromNic": _REMOVES,
    "updateVmNicIp": _SETS,
    "createVolume": _find("by the name that the operation claims"),
    "attachVolume": _find("by the VM that the volume is attached to"),
    "detachVolume": _find("by the VM that the volume is no longer attached to"),
    "deleteVolume": _REMOVES,
    "resizeVolume": _find("by the size of the volume"),
    "createSnapshot": _find("by the tags in the call"),
    "deleteSnapshot": _REMOVES,
    "createSnapshotPolicy": _again("a volume has one of each interval: the second one changes the first"),
    "deleteSnapshotPolicies": _REMOVES,
    "createTemplate": _find("by the name that the operation claims"),
    "registerTemplate": _find("by the name that the operation claims"),
    "extractTemplate": _again("a second link to a template harms no more than the first"),
    "updateTemplate": _SETS,
    "deleteTemplate": _REMOVES,
    "createTags": _find("by the tags of the object: a second one of the same key is refused"),
    "deleteTags": _STATE,
    "createSecurityGroup": _find("by its name, unique in the account"),
    "deleteSecurityGroup": _REMOVES,
    "authorizeSecurityGroupIngress": _find("by the difference between the rules wanted and there"),
    "authorizeSecurityGroupEgress": _find("by the difference between the rules wanted and there"),
    "revokeSecurityGroupIngress": _REMOVES,
    "revokeSecurityGroupEgress": _REMOVES,
    "associateIpAddress": _find("by the address that was asked for"),
    "disassociateIpAddress": _find(
        "by whether the address is still the caller's; a free one is refused like another's"
    ),
    "reserveIpAddress": _again("who reserves an address twice is answered alike; its tags say which operation has it"),
    "enableStaticNat": _find("by the VM that the address stands for"),
    "disableStaticNat": _STATE,
    "createFirewallRule": _find("by the difference between the rules wanted and there"),
    "deleteFirewallRule": _REMOVES,
    "createEgressFirewallRule": _find("by the difference between the rules wanted and there"),
    "deleteEgressFirewallRule": _REMOVES,
    "createLoadBalancerRule": _find("by the name that the operation claims"),
    "deleteLoadBalancerRule": _REMOVES,
    "assignToLoadBalancerRule": _find("by the rule's instances"),
    "removeFromLoadBalancerRule": _STATE,
    "createNetwork": _find("by the name that the operation claims"),
    "deleteNetwork": _REMOVES,
    "createNetworkACL": _find("by list and number"),
    "deleteNetworkACL": _REMOVES,
    "createNetworkACLList": _find("by its name in the VPC"),
    "deleteNetworkACLList": _REMOVES,
    "createVPC": _find("by the name that the operation claims"),
    "deleteVPC": _REMOVES,
    "createStaticRoute": _find("by its CIDR in the VPC"),
    "deleteStaticRoute": _REMOVES,
}


def recovery(command: str, find: object) -> Recovery:
    """The row of ``command``. Raises ValueError where there is none, or one that asks for ``find`` and gets None."""
    row = RECOVERY.get(command)
    if row is None or (row.how == "find" and find is None):
        raise ValueError(f"{command} has no row in RECOVERY, or one that asks for find")
    return row
