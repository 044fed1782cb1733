"""What can be attached to a load balancer rule: stickiness, and health checks, which virtual routers refuse.

Apart from the rules. Surprising: a rule keeps only its newest stickiness policy, listings answer one row for the
rule with its policies inside, and a health check is refused with code 430.
"""

from __future__ import annotations

from ..call import Call
from ..errors import ApiError, invalid
from ..jobs import Steps
from ..lists import check_page
from ..model import Row
from ..model_network import NetRule, Stickiness
from ..registry import command
from . import net_rules

# method → its parameters, as the services of a recorded network list them
METHODS = {
    "LbCookie": {"cookie-name", "mode", "nocache", "indirect", "postonly", "domain"},
    "AppCookie": {"cookie-name", "length", "holdtime", "request-learn", "prefix", "mode"},
    "SourceBased": {"tablesize", "expire"},
}


def need_balancer(call: Call) -> NetRule:
    rule = call.need("lbruleid", NetRule)
    if rule.purpose != net_rules.BALANCING:
        raise invalid(f"Failed: LB rule id: {rule.number} not present ")
    return rule


def head(call: Call, rule: NetRule) -> Row:
    owner = call.world.owner(rule.account)
    owner.pop("domainpath")
    return {"lbruleid": rule.id, **owner}


def policy_row(policy: Stickiness) -> Row:
    row: Row = {"id": policy.id, "name": policy.name}
    if policy.description is not None:
        row["description"] = policy.description
    return {**row, "methodname": policy.method, "params": policy.params}


def view(call: Call, rule: NetRule) -> Row:
    held = [policy_row(one) for one in call.world.stickiness if one.rule == rule.id]
    return {**head(call, rule), "stickinesspolicy": held}


@command("createLBStickinessPolicy")
def create(call: Call) -> Row:
    rule, method, world = need_balancer(call), call.text("methodname") or "", call.world
    known = next((name for name in METHODS if name.lower() == method.lower()), None)
    if known is None:
        raise invalid(f"Failed to match Stickiness method name for LB rule:{rule.number}")
    params = {pair.get("name", ""): pair.get("value", "") for pair in call.maps("param")}
    for name in params:
        if name not in METHODS[known]:
            raise invalid(f"Failed : Stickiness policy does not support param name :{name}")
    number, name = world.stickiness.take_number(), call.text("name") or ""
    policy = Stickiness(world.uuid(), number, rule.id, rule.account, name, known, params, call.text("description"))
    world.stickiness.add(policy)

    def work() -> Steps:
        yield 0.1
        for other in [one for one in world.stickiness if one.rule == rule.id and one.id != policy.id]:
            world.stickiness.remove(other, leave_trace=False)
        return {"stickinesspolicies": view(call, rule)}

    def undo() -> None:
        world.stickiness.remove(policy, leave_trace=False)

    job = call.submit(work, policy, key=rule.network, on_failure=undo)
    return {"id": policy.id, "jobid": job.id}


@command("listLBStickinessPolicies", "stickiness")
def list_policies(call: Call) -> Row:
    check_page(call)
    named = "lbruleid" in call.args
    rule = need_balancer(call) if named else call.world.net_rule[call.need("id", Stickiness).rule]
    return {"count": 1, "stickinesspolicies": [view(call, rule)]}


@command("updateLBStickinessPolicy", "stickiness")
def update(call: Call) -> Row:
    policy = call.need("id", Stickiness)

    def work() -> Steps:
        yield 0.1
        return {"stickinesspolicies": view(call, call.world.net_rule[policy.rule])}

    return call.later(work, policy)


@command("deleteLBStickinessPolicy", "stickiness")
def delete(call: Call) -> Row:
    policy = call.need("id", Stickiness)

    def work() -> Steps:
        yield 0.1
        if policy.id in call.world.stickiness.rows:
            call.world.stickiness.remove(policy, leave_trace=False)
        return {"success": True}

    return call.later(work, policy)


@command("createLBHealthCheckPolicy")
def create_check(call: Call) -> Row:
    rule = need_balancer(call)
    shown = (
        f'LoadBalancer {{"name":"{rule.name}","id":{rule.number},"purpose":"{rule.purpose}",'
        f'"state":"{rule.state}","uuid":"{rule.id}"}}'
    )
    text = f"Validation Failed (HealthCheck Policy is not supported by LB Provider for the LB rule:{shown})"
    raise ApiError(430, f"Failed to create HealthCheck policy: {text}", 9999)


@command("updateLBHealthCheckPolicy")
@command("deleteLBHealthCheckPolicy")
def no_check(call: Call) -> Row:
    """There is none whose id could be given, so the parameter layer has refused it before."""
    raise invalid("Invalid HealthCheck policy id value")


@command("listLBHealthCheckPolicies")
def list_checks(call: Call) -> Row:
    check_page(call)
    rule = need_balancer(call)
    return {"count": 1, "healthcheckpolicies": [{**head(call, rule), "healthcheckpolicy": []}]}
