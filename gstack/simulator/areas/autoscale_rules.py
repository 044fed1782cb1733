"""Automatic scaling, first half: counters, conditions on them, and policies made of conditions.

Apart from the groups that follow the policies. Written from CloudStack's source and listApis, for no
recorded line calls these. Surprising: a condition belongs to no policy until one names it, several policies
may name it, and what uses it cannot be deleted.
"""

from __future__ import annotations

from ..call import Call
from ..errors import in_use, invalid
from ..jobs import Steps
from ..lists import ID_FILTERS, Filters, check_page, name_is, page, same_id, same_name, select, visible_accounts
from ..model import Row
from ..model_owned import Condition, Counter, ScalePolicy
from ..registry import command

OPERATORS = ("EQ", "GT", "LT", "GE", "LE")
ACTIONS = ("SCALEUP", "SCALEDOWN")
QUIET_SECONDS = 300


def counter_view(counter: Counter) -> Row:
    row: Row = {"id": counter.id, "name": counter.name, "source": counter.source.upper(), "value": counter.value}
    return {**row, "provider": counter.provider}


COUNTER_FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "source": lambda counter, wanted: same_name(counter.source, wanted),
    "provider": lambda counter, wanted: same_name(counter.provider, wanted),
}


@command("listCounters", "counter")
def list_counters(call: Call) -> Row:
    check_page(call)
    rows = select(call, list(call.world.counter), COUNTER_FILTERS, lambda counter: (counter.name,))
    return page(call, "counter", rows, counter_view)


def condition_view(call: Call, condition: Condition) -> Row:
    counter = call.world.counter[condition.counter]
    row: Row = {"id": condition.id, "threshold": condition.threshold, "relationaloperator": condition.operator}
    row.update(counterid=counter.id, countername=counter.name, counter=counter_view(counter))
    return {**row, **call.world.owner(condition.account)}


def wanted_rule(call: Call) -> tuple[str, int]:
    operator, threshold = (call.text("relationaloperator") or "").upper(), call.number("threshold") or 0
    if operator not in OPERATORS:
        raise invalid(f"The Operator {operator} does not exist; one of {', '.join(OPERATORS)} is wanted")
    if threshold < 0:
        raise invalid(f"The threshold {threshold} must be equal to or greater than 0.")
    return operator, threshold


@command("createCondition")
def create_condition(call: Call) -> Row:
    owner, counter = call.owner(), call.need("counterid", Counter)
    operator, threshold = wanted_rule(call)
    world, table = call.world, call.world.condition
    made = Condition(world.uuid(), table.take_number(), owner.id, counter.id, operator, threshold)
    condition = table.add(made)

    def work() -> Steps:
        yield 0.1
        return {"condition": condition_view(call, condition)}

    return {"id": condition.id, "jobid": call.submit(work, condition).id}


@command("updateCondition", "condition")
def update_condition(call: Call) -> Row:
    condition = call.need("id", Condition)
    operator, threshold = wanted_rule(call)

    def work() -> Steps:
        yield 0.1
        check_unwatched(call, {p.id for p in call.world.scale_policy if condition.id in p.conditions})
        condition.operator, condition.threshold = operator, threshold
        return {"condition": condition_view(call, condition)}

    return call.later(work, condition)


def check_unwatched(call: Call, policies: set[str]) -> None:
    """What a group follows changes only while that group is disabled."""
    for group in call.world.scale_group:
        if policies & {*group.up, *group.down} and group.state != "DISABLED":
            raise invalid("The AutoScale Vm Group that follows it has to be disabled in state first")


@command("deleteCondition", "condition")
def delete_condition(call: Call) -> Row:
    condition = call.need("id", Condition)

    def work() -> Steps:
        yield 0.1
        if any(condition.id in policy.conditions for policy in call.world.scale_policy):
            raise in_use("Cannot delete Condition when it is in use by one or more AutoScale Policies.")
        call.world.condition.remove(condition)
        return {"success": True}

    return call.later(work, condition)


CONDITION_FILTERS: Filters = {**ID_FILTERS, "counterid": same_id("counter")}


@command("listConditions", "condition")
def list_conditions(call: Call) -> Row:
    check_page(call)
    mine, policy = visible_accounts(call), call.args.get("policyid")
    rows = [condition for condition in call.world.condition if mine(condition.account)]
    if isinstance(policy, ScalePolicy):
        rows = [condition for condition in rows if condition.id in policy.conditions]
    rows = select(call, rows, CONDITION_FILTERS, lambda condition: (condition.operator,))
    return page(call, "condition", rows, lambda condition: condition_view(call, condition))


def policy_view(call: Call, policy: ScalePolicy) -> Row:
    row: Row = {"id": policy.id}
    if policy.name:
        row["name"] = policy.name
    row.update(action=policy.action, duration=policy.duration, quiettime=policy.quiettime)
    row["conditions"] = [condition_view(call, call.world.condition[key]) for key in policy.conditions]
    return {**row, **call.world.owner(policy.account)}


def wanted_conditions(call: Call) -> list[str] | None:
    conditions = call.entities("conditionids", Condition)
    if conditions is None:
        return None
    if not conditions:
        raise invalid("AutoScale policy must have at least one condition")
    for condition in conditions:
        call.check_access(condition)
    counters = [condition.counter for condition in conditions]
    if len(set(counters)) < len(counters):
        raise invalid("Two conditions of one policy cannot be on the same counter")
    return [condition.id for condition in conditions]


def wanted_times(call: Call, duration: int, quiet: int) -> tuple[int, int]:
    duration = duration if (given := call.number("duration")) is None else given
    quiet = quiet if (given := call.number("quiettime")) is None else given
    if duration <= 0:
        raise invalid(f"duration is an invalid value: {duration}")
    if quiet < 0:
        raise invalid(f"quietTime is an invalid value: {quiet}")
    return duration, quiet


@command("createAutoScalePolicy")
def create_policy(call: Call) -> Row:
    action = (call.text("action") or "").upper()
    if action not in ACTIONS:
        raise invalid(f"action is invalid. Supported actions are: [{', '.join(ACTIONS)}]")
    duration, quiet = wanted_times(call, 0, QUIET_SECONDS)
    conditions = wanted_conditions(call) or []
    world, table = call.world, call.world.scale_policy
    owner = world.condition[conditions[0]].account if conditions else call.account.id
    number, name = table.take_number(), call.text("name") or ""
    policy = table.add(ScalePolicy(world.uuid(), number, name, owner, action, duration, quiet, conditions))

    def work() -> Steps:
        yield 0.1
        return {"autoscalepolicy": policy_view(call, policy)}

    return {"id": policy.id, "jobid": call.submit(work, policy).id}


@command("updateAutoScalePolicy", "scale_policy")
def update_policy(call: Call) -> Row:
    policy = call.need("id", ScalePolicy)

    def work() -> Steps:
        yield 0.1
        check_unwatched(call, {policy.id})
        policy.duration, policy.quiettime = wanted_times(call, policy.duration, policy.quiettime)
        policy.conditions = wanted_conditions(call) or policy.conditions
        policy.name = call.text("name") or policy.name
        return {"autoscalepolicy": policy_view(call, policy)}

    return call.later(work, policy)


@command("deleteAutoScalePolicy", "scale_policy")
def delete_policy(call: Call) -> Row:
    policy = call.need("id", ScalePolicy)

    def work() -> Steps:
        yield 0.1
        if any(policy.id in (*group.up, *group.down) for group in call.world.scale_group):
            raise invalid("Cannot delete AutoScale Policy when it is in use by one or more AutoScale Vm Groups")
        call.world.scale_policy.remove(policy)
        return {"success": True}

    return call.later(work, policy)


POLICY_FILTERS: Filters = {
    **ID_FILTERS,
    "name": name_is,
    "action": lambda policy, wanted: same_name(policy.action, wanted),
    "conditionid": lambda policy, wanted: getattr(wanted, "id", None) in policy.conditions,
}


@command("listAutoScalePolicies", "scale_policy")
def list_policies(call: Call) -> Row:
    check_page(call)
    mine, group = visible_accounts(call), call.args.get("vmgroupid")
    rows = [policy for policy in call.world.scale_policy if mine(policy.account)]
    if group is not None:
        followed = {*getattr(group, "up", ()), *getattr(group, "down", ())}
        rows = [policy for policy in rows if policy.id in followed]
    rows = select(call, rows, POLICY_FILTERS, lambda policy: (policy.name, policy.action))
    return page(call, "autoscalepolicy", rows, lambda policy: policy_view(call, policy))
