"""Automatic scaling, second half: groups of machines behind a load balancer, kept between two numbers.

Apart from the rules, and from the monitor that acts. Written from CloudStack's source and listApis. Surprising: the
machines come a while after the group does, deployed in the name of whoever made it, and a group's numbers change only
while it is disabled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..call import Call
from ..errors import invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_id, select, visible_accounts
from ..model import Machine, Row
from ..model_network import NetRule
from ..model_owned import ScaleGroup, ScalePolicy, ScaleProfile
from ..registry import command
from ..world import date
from . import autoscale_rules, machines_lifecycle

if TYPE_CHECKING:
    from ..simulator import Simulator

PREFIX = "autoScaleVm-"
INTERVAL_SECONDS = 30
AVAILABLE = frozenset({"Running", "Starting", "Stopping", "Migrating"})


def members(simulator: Simulator, group: ScaleGroup) -> list[Machine]:
    return [m for m in simulator.world.machine if m.scale_group == group.id and m.state not in ("Destroyed", "Error")]


def view(call: Call, group: ScaleGroup) -> Row:
    world, rule = call.world, call.world.net_rule.get(group.rule)
    row: Row = {"id": group.id, "name": group.name}
    if rule is not None:
        network, address = world.network[rule.network], world.public_ip.get(rule.ip)
        row.update(lbruleid=rule.id, associatednetworkname=network.name, associatednetworkid=network.id)
        row["lbprovider"] = "VpcVirtualRouter" if network.vpc else "VirtualRouter"
        if address is not None:
            row.update(publicipid=address.id, publicip=address.address)
            row.update(publicport=str(rule.start), privateport=str(rule.inner_start))
    row.update(vmprofileid=group.profile, minmembers=group.minmembers, maxmembers=group.maxmembers)
    row["availablevirtualmachinecount"] = sum(m.state in AVAILABLE for m in members(call.simulator, group))
    row.update(interval=group.interval, state=group.state)
    for name, keys in (("scaleuppolicies", group.up), ("scaledownpolicies", group.down)):
        row[name] = [autoscale_rules.policy_view(call, world.scale_policy[key]) for key in keys]
    row.update(world.owner(group.account), created=date(group.created), hasannotations=False)
    return row


def check_bounds(low: int, high: int, interval: int) -> None:
    if low < 0:
        raise invalid(f"minmembers is an invalid value: {low}")
    if high < 0:
        raise invalid(f"maxmembers is an invalid value: {high}")
    if low > high:
        raise invalid(f"minmembers ({low})cannot be greater than maxmembers ({high})")
    if interval < 0:
        raise invalid(f"interval is an invalid value: {interval}")


def policies(call: Call, name: str, action: str, interval: int) -> list[str]:
    found = call.entities(name, ScalePolicy) or []
    if not found:
        raise invalid(f"AutoScale VM group must have at least one policy in {name}")
    for policy in found:
        call.check_access(policy)
        if policy.action != action:
            raise invalid(f"Only {action.lower()} policies can be specified in {name}")
        if policy.duration < interval:
            text = f"duration : {policy.duration} specified in a policy cannot be less than vm group's interval"
            raise invalid(f"{text} : {interval}")
    return [policy.id for policy in found]


@command("createAutoScaleVmGroup")
def create(call: Call) -> Row:
    rule, profile, world = call.need("lbruleid", NetRule), call.need("vmprofileid", ScaleProfile), call.world
    low, high = call.number("minmembers") or 0, call.number("maxmembers") or 0
    interval = INTERVAL_SECONDS if (given := call.number("interval")) is None else given
    check_bounds(low, high, interval)
    up = policies(call, "scaleuppolicyids", "SCALEUP", interval)
    down = policies(call, "scaledownpolicyids", "SCALEDOWN", interval)
    if any(group.rule == rule.id for group in world.scale_group):
        raise invalid("an AutoScaleVmGroup is already attached to the lb rule, delete that vm group first")
    if rule.members:
        raise invalid("there are Vms already bound to the specified load balancing rule")
    group = ScaleGroup(
        id=world.uuid(),
        number=world.scale_group.take_number(),
        name=call.text("name") or f"{PREFIX}{rule.name}",
        account=rule.account,
        user=call.user.id,
        rule=rule.id,
        profile=profile.id,
        minmembers=low,
        maxmembers=high,
        interval=interval,
        up=up,
        down=down,
        created=world.now(),
        state="NEW",
    )
    world.scale_group.add(group)

    def work() -> Steps:
        yield 0.2
        group.state = "ENABLED"
        return {"autoscalevmgroup": view(call, group)}

    return {"id": group.id, "jobid": call.submit(work, group).id}


@command("updateAutoScaleVmGroup", "scale_group")
def update(call: Call) -> Row:
    group = call.need("id", ScaleGroup)

    def work() -> Steps:
        yield 0.1
        low, high, interval = (
            old if (given := call.number(name)) is None else given
            for name, old in (
                ("minmembers", group.minmembers),
                ("maxmembers", group.maxmembers),
                ("interval", group.interval),
            )
        )
        if (low, high, interval) != (group.minmembers, group.maxmembers, group.interval) and group.state != "DISABLED":
            text = "An AutoScale Vm Group can be updated with minMembers/maxMembers/Interval only when it is in"
            raise invalid(f"{text} disabled state")
        check_bounds(low, high, interval)
        if "scaleuppolicyids" in call.args:
            group.up = policies(call, "scaleuppolicyids", "SCALEUP", interval)
        if "scaledownpolicyids" in call.args:
            group.down = policies(call, "scaledownpolicyids", "SCALEDOWN", interval)
        group.minmembers, group.maxmembers, group.interval = low, high, interval
        group.name = call.text("name") or group.name
        return {"autoscalevmgroup": view(call, group)}

    return call.later(work, group)


def switched(call: Call, state: str, allowed: frozenset[str], refusal: str) -> Row:
    group = call.need("id", ScaleGroup)

    def work() -> Steps:
        yield 0.1
        if group.state not in allowed:
            raise invalid(refusal)
        group.state = state
        return {"autoscalevmgroup": view(call, group)}

    return call.later(work, group)


@command("enableAutoScaleVmGroup", "scale_group")
def enable(call: Call) -> Row:
    refusal = "Only a AutoScale Vm Group which is in Disabled state can be enabled."
    return switched(call, "ENABLED", frozenset({"DISABLED", "ENABLED"}), refusal)


@command("disableAutoScaleVmGroup", "scale_group")
def disable(call: Call) -> Row:
    refusal = "Only a AutoScale Vm Group which is in Enabled or Scaling state can be disabled."
    return switched(call, "DISABLED", frozenset({"DISABLED", "ENABLED", "SCALING"}), refusal)


@command("deleteAutoScaleVmGroup", "scale_group")
def delete(call: Call) -> Row:
    group, cleanup = call.need("id", ScaleGroup), call.flag("cleanup")

    def work() -> Steps:
        yield 0.2
        held = members(call.simulator, group)
        if held and not cleanup:
            text = f"Cannot delete autoscale vm group : {group.name} because there are {len(held)} VMs."
            raise invalid(f"{text} Please remove the VMs or pass cleanup=true flag which will destroy all VMs.")
        for machine in held:
            machines_lifecycle.expunge(call.simulator, machine)
        call.world.scale_group.remove(group)
        return {"success": True}

    return call.later(work, group)


FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "lbruleid": same_id("rule"),
    "vmprofileid": same_id("profile"),
    "policyid": lambda group, wanted: getattr(wanted, "id", None) in (*group.up, *group.down),
}


@command("listAutoScaleVmGroups", "scale_group")
def list_groups(call: Call) -> Row:
    check_page(call)
    mine, zone = visible_accounts(call), call.args.get("zoneid")
    rows = [group for group in call.world.scale_group if mine(group.account)]
    if zone is not None:
        rows = [g for g in rows if call.world.scale_profile[g.profile].zone == getattr(zone, "id", None)]
    rows = select(call, rows, FILTERS, lambda group: (group.name,))
    return page(call, "autoscalevmgroup", rows, lambda group: view(call, group))
