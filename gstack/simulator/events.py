"""The audit trail: which event each command leaves.

Apart, because it hangs on every state-changing command and belongs to none. Surprising: one action is three
events, Scheduled, Started and Completed, of which the later two name the first as their parent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import events_network, events_owned
from .model import Entity, Event

if TYPE_CHECKING:
    from .call import Call

KEPT = 20_000

# command → event type, resource type, what the description says
TYPES: dict[str, tuple[str, str, str]] = {
    **events_network.TYPES,
    **events_owned.TYPES,
    "deployVirtualMachine": ("VM.CREATE", "VirtualMachine", "starting Vm. Vm Id: {}"),
    "startVirtualMachine": ("VM.START", "VirtualMachine", "starting Vm. Vm Id: {}"),
    "stopVirtualMachine": ("VM.STOP", "VirtualMachine", "stopping Vm. Vm Id: {}"),
    "rebootVirtualMachine": ("VM.REBOOT", "VirtualMachine", "rebooting Vm. Vm Id: {}"),
    "destroyVirtualMachine": ("VM.DESTROY", "VirtualMachine", "destroying Vm. Vm Id: {}"),
    "expungeVirtualMachine": ("VM.EXPUNGE", "VirtualMachine", "expunging Vm. Vm Id: {}"),
    "recoverVirtualMachine": ("VM.RECOVER", "VirtualMachine", "recovering Vm. Vm Id: {}"),
    "updateVirtualMachine": ("VM.UPDATE", "VirtualMachine", "updating Vm. Vm Id: {}"),
    "scaleVirtualMachine": ("VM.UPGRADE", "VirtualMachine", "scaling Vm. Vm Id: {}"),
    "changeServiceForVirtualMachine": ("VM.UPGRADE", "VirtualMachine", "upgrading Vm. Vm Id: {}"),
    "resetSSHKeyForVirtualMachine": (
        "VM.RESETSSHKEY",
        "VirtualMachine",
        "resetting the SSH key of Vm. Vm Id: {}",
    ),
    "resetPasswordForVirtualMachine": (
        "VM.RESETPASSWORD",
        "VirtualMachine",
        "resetting the password of Vm. Vm Id: {}",
    ),
    "restoreVirtualMachine": ("VM.RESTORE", "VirtualMachine", "restoring Vm. Vm Id: {}"),
    "createVolume": ("VOLUME.CREATE", "Volume", "creating volume. Volume Id: {}"),
    "attachVolume": ("VOLUME.ATTACH", "Volume", "attaching volume. Volume Id: {}"),
    "detachVolume": ("VOLUME.DETACH", "Volume", "detaching volume. Volume Id: {}"),
    "resizeVolume": ("VOLUME.RESIZE", "Volume", "resizing volume. Volume Id: {}"),
    "deleteVolume": ("VOLUME.DELETE", "Volume", "deleting volume. Volume Id: {}"),
    "createSnapshot": ("SNAPSHOT.CREATE", "Snapshot", "creating snapshot. Snapshot Id: {}"),
    "deleteSnapshot": ("SNAPSHOT.DELETE", "Snapshot", "deleting snapshot. Snapshot Id: {}"),
    "createTemplate": ("TEMPLATE.CREATE", "Template", "creating template. Template Id: {}"),
    "registerTemplate": ("TEMPLATE.CREATE", "Template", "creating template"),
    "extractTemplate": ("TEMPLATE.EXTRACT", "Template", "extracting template. Template Id: {}"),
    "deleteTemplate": ("TEMPLATE.DELETE", "Template", "deleting template. Template Id: {}"),
    "registerSSHKeyPair": ("REGISTER.SSH.KEYPAIR", "SSHKeyPair", "registering keypair"),
    "createSecurityGroup": ("SG.CREATE", "SecurityGroup", "creating security group"),
    "deleteSecurityGroup": ("SG.DELETE", "SecurityGroup", "deleting security group"),
    "authorizeSecurityGroupIngress": ("SG.AUTH.INGRESS", "SecurityGroup", "adding ingress rule to group: {}"),
    "authorizeSecurityGroupEgress": ("SG.AUTH.EGRESS", "SecurityGroup", "adding egress rule to group: {}"),
    "revokeSecurityGroupIngress": (
        "SG.REVOKE.INGRESS",
        "SecurityGroup",
        "revoking ingress rule of group: {}",
    ),
    "revokeSecurityGroupEgress": ("SG.REVOKE.EGRESS", "SecurityGroup", "revoking egress rule of group: {}"),
    "createTags": ("CREATE_TAGS", "ResourceTag", "creating resource tags"),
    "deleteTags": ("DELETE_TAGS", "ResourceTag", "deleting resource tags"),
    "addIpToNic": ("NIC.SECONDARY.IP.ASSIGN", "Nic", "associating ip to nic: {}"),
    "removeIpFromNic": ("NIC.SECONDARY.IP.UNASSIGN", "Nic", "removing ip from nic: {}"),
    "registerUserKeys": ("REGISTER.USER.KEY", "User", "registering user keys"),
}


def emit(
    call: Call, target: Entity | None, state: str, parent: str | None = None, failed: bool = False
) -> Event | None:
    known = TYPES.get(call.api.name)
    if known is None:
        return None
    world = call.world
    kind, resource, phrase = known
    phrase = phrase.format(target.id if target is not None else "")
    leads = {"Scheduled": "", "Started": "", "Completed": "Successfully completed "}
    lead = "Error while " if failed else leads[state]
    owner = getattr(target, "account", None) or call.account.id
    event = Event(
        id=world.uuid(),
        number=world.event.take_number(),
        type=kind,
        level="ERROR" if failed else "INFO",
        description=(lead + phrase) if state != "Started" else phrase[:1].upper() + phrase[1:],
        state=state,
        user=call.user.id,
        account=owner,
        created=world.now(),
        resourceid=target.id if target is not None else None,
        resourcetype=resource,
        resourcename=getattr(target, "displayname", None) or getattr(target, "name", None),
        parent=parent,
    )
    world.event.add(event)
    if len(world.event) > KEPT:
        world.event.remove(next(iter(world.event)), leave_trace=False)
    return event


def scheduled(call: Call, target: Entity | None) -> str | None:
    first = emit(call, target, "Scheduled")
    if first is None:
        return None
    if call.api.name != "deployVirtualMachine" or call.flag("startvm", True):
        emit(call, target, "Started", first.id)
    return first.id


def completed(call: Call, target: Entity | None, parent: str | None, ok: bool) -> None:
    emit(call, target, "Completed", parent, failed=not ok)
