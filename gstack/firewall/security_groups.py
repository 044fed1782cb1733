"""The enforcer for zones with security groups: brings what the groups of a project's instances allow to what
its GCE firewalls say.

Apart from the compiler, which is pure, and from the workflows, which give it their steps. The surprising
thing: VMs never join the group that defines a firewall. Each joins two groups that only gstack writes: the
one of its project and network, with what every member gets, and its own, with the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def join(
    run: Any, *, network: str, zone: str, instance: str, tags: Sequence[str], service_accounts: Sequence[str]
) -> list[str]:
    """Before an instance is deployed: make sure of its two groups and of the rules in them.

    A step of ``run`` (call it outside of steps). ``network``, ``zone`` and ``instance`` are GCE names,
    ``tags`` its network tags, ``service_accounts`` e-mail addresses. The ids are for ``securitygroupids`` of
    deployVirtualMachine: the network's group, then the instance's own. Registers the undo of its own group;
    safe to repeat.
    """
    raise NotImplementedError


def converge(run: Any) -> None:
    """After anything changed that firewalls depend on: an instance was deployed (its address is known now),
    started, got other tags, or was deleted; a firewall came, changed or went.

    A step of ``run``. Reads everything again and authorizes what is missing, revokes what is too much, in all
    groups that gstack writes. What CloudStack cannot express becomes a warning of the operation.
    """
    raise NotImplementedError


def leave(run: Any, *, zone: str, instance: str) -> bool:
    """After an instance was destroyed: take its own group out of all rules and delete it. A step of ``run``.

    False while CloudStack still counts the VM as a member (until it is expunged); the workflow
    ``op.firewalls.sweep`` (``run.later("op.firewalls.sweep", {}, delay=...)``) then takes it away later.
    """
    raise NotImplementedError
