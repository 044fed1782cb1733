"""The monitor of automatic scaling: keeps groups at their least size, and grows and shrinks them by their policies.

Apart from the groups, which users change. Surprising: nothing is measured in this cloud, so what a counter reads is
what a test said it does (:meth:`Simulator.measure`); one machine comes or goes at a time, the youngest first, and a
policy that did something rests for its quiet time (CloudStack's `AutoScaleManagerImpl`).
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from ..errors import ApiError
from ..model import Machine
from ..model_owned import ScaleGroup, ScalePolicy
from ..own_calls import call_as
from . import machines_deploy, machines_lifecycle
from .autoscale_groups import PREFIX, members

if TYPE_CHECKING:
    from ..simulator import Simulator

OPERATORS = {"EQ": operator.eq, "GT": operator.gt, "LT": operator.lt, "GE": operator.ge, "LE": operator.le}


def tend(simulator: Simulator) -> None:
    now = simulator.world.now()
    for group in simulator.world.scale_group:
        if group.state != "ENABLED" or now < group.due:
            continue
        held = members(simulator, group)
        balance(simulator, group, held)
        try:
            for _ in range(group.minmembers - len(held)):
                deploy_member(simulator, group)
            if now >= group.looked + group.interval:
                group.looked = now
                scale(simulator, group, held)
        except ApiError:
            group.due = now + group.interval  # no room or no quota now; the monitor tries again


def balance(simulator: Simulator, group: ScaleGroup, held: list[Machine]) -> None:
    """Machines that came up go behind the load balancer."""
    rule = simulator.world.net_rule.get(group.rule)
    for machine in held:
        nic = simulator.world.nic[machine.nics[0]] if machine.nics else None
        if rule is not None and machine.state == "Running" and nic is not None and nic.ip:
            rule.members.setdefault(machine.id, [nic.ip])
            rule.state = "Active"


def scale(simulator: Simulator, group: ScaleGroup, held: list[Machine]) -> None:
    """What the first policy that is fulfilled asks for, within the group's bounds."""
    world = simulator.world
    for policy in (world.scale_policy[key] for key in (*group.up, *group.down)):
        rested = world.now() - group.quiet.get(policy.id, 0.0) >= policy.quiettime
        if not rested or not fulfilled(simulator, group, policy):
            continue
        if policy.action == "SCALEUP" and len(held) < group.maxmembers:
            deploy_member(simulator, group)
        elif policy.action == "SCALEDOWN" and len(held) > group.minmembers:
            machines_lifecycle.expunge(simulator, held[-1])
        else:
            continue
        group.quiet[policy.id] = world.now()
        return


def fulfilled(simulator: Simulator, group: ScaleGroup, policy: ScalePolicy) -> bool:
    """Whether all its conditions have held for as long as it asks."""
    world = simulator.world
    for condition in (world.condition[key] for key in policy.conditions):
        counter = world.counter[condition.counter].value
        value, since = simulator.measured.get((group.id, counter), (None, 0.0))
        if value is None or world.now() - since < policy.duration:
            return False
        if not OPERATORS[condition.operator](value, condition.threshold):
            return False
    return True


def deploy_member(simulator: Simulator, group: ScaleGroup) -> None:
    world = simulator.world
    profile, rule, user = world.scale_profile[group.profile], world.net_rule[group.rule], world.user[group.user]
    suffix = f"{world.random.getrandbits(24):06x}"
    raw = {"zoneid": profile.zone, "serviceofferingid": profile.offering, "templateid": profile.template}
    raw.update(name=f"{PREFIX}{group.number}-{suffix}", networkids=rule.network, **profile.deploy)
    project = world.account[group.account].project
    if project:
        raw["projectid"] = project
    if profile.userdata:
        raw["userdata"] = profile.userdata
    made = machines_deploy.deploy(call_as(simulator, user, "deployVirtualMachine", None, **raw))
    world.machine[str(made["id"])].scale_group = group.id
