"""targetPools: rows of gstack's store, which forwarding rules lead to.

What a pool means for CloudStack is done where a forwarding rule leads to it: see forwarding_rules.py. An instance need
not be there to be in a pool, as in GCE; one that comes later under its name is led to from then on. Session affinity is
CloudStack's choice by the client's address. Visible differences: there are no backup pools; health checks are kept and
not carried out. Upstream calls: none, one for getHealth, two for instances of a pool that is balanced.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import invalid, required
from gstack.operations import balancing_changes
from gstack.operations.kept import Collection
from gstack.protocol.call import Call
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.translate import balancing, kept, permissions, reasons

_NO_BACKUP = "CloudStack's balancers have no second pool to fall back to."
MOST_CHECKS = 1  # GCE's limit for a pool
BODY = Policy(
    honoured=("name", "instances"),
    remembered=("description", "healthChecks"),
    only={"sessionAffinity": balancing.AFFINITIES},
    refused={"backupPool": _NO_BACKUP, "failoverRatio": _NO_BACKUP},
)
INSTANCES = Policy(honoured=("instances[].instance",))
CHECKS = Policy(honoured=("healthChecks[].healthCheck",))
ASKED = Policy(honoured=("instance",))
READS, CHANGES = ("listVirtualMachines",), ("listVirtualMachines", "assignToLoadBalancerRule")

refused("compute.targetPools.setBackup", _NO_BACKUP)
refused("compute.targetPools.setSecurityPolicy", reasons.CLOUD_ARMOR)


@method("compute.targetPools.get")
def get(call: Call) -> dict[str, Any]:
    """One pool, by name or number."""
    return POOLS.get(call)


@method("compute.targetPools.list")
def list_(call: Call) -> dict[str, Any]:
    """The pools of one region."""
    return POOLS.list(call)


@method("compute.targetPools.aggregatedList")
def aggregated_list(call: Call) -> dict[str, Any]:
    """All pools."""
    return POOLS.aggregated(call, "regions")


@method("compute.targetPools.insert", needs=balancing.BALANCES, body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Make a pool, which no forwarding rule leads to yet."""
    given = call.body.get("instances") or []
    checks = call.body.get("healthChecks") or []
    if len(checks) > MOST_CHECKS:
        raise invalid("resource.healthChecks", len(checks), "A target pool has one health check at most.")
    body = {
        "description": call.body.get("description"),
        "sessionAffinity": call.body.get("sessionAffinity", "NONE"),
        "healthChecks": [_check(call, link, f"resource.healthChecks[{n}]") for n, link in enumerate(checks)],
        "instances": [_instance(call, link, f"resource.instances[{n}]") for n, link in enumerate(given)],
    }
    balancing.hold(call.caller.project, body)
    return POOLS.insert(call, body)


@method("compute.targetPools.delete", needs=balancing.BALANCES)
def delete(call: Call) -> dict[str, Any]:
    """Delete a pool that no forwarding rule leads to."""
    row = POOLS.found(call)
    balancing.check_unused(call.caller.project, kept.path(POOLS.name, row))
    return POOLS.delete(call, row)


@method("compute.targetPools.addInstance", needs=CHANGES, body=INSTANCES)
def add_instance(call: Call) -> dict[str, Any]:
    """Put instances into a pool."""
    row, given = POOLS.found(call), _given(call)
    path = kept.path(POOLS.name, row)
    balancing.check_members(call.caller, path, given, "instances[0].instance")
    return balancing_changes.start(call, POOLS.name, row, add={"instances": given})


@method("compute.targetPools.removeInstance", needs=("removeFromLoadBalancerRule",), body=INSTANCES)
def remove_instance(call: Call) -> dict[str, Any]:
    """Take instances out of a pool."""
    row, given = POOLS.found(call), _given(call)
    for index, one in enumerate(given):
        if one not in row["body"]["instances"]:
            where = f"instances[{index}].instance"
            raise invalid(where, one["path"], f"It is not in the target pool '{row['name']}'.")
    return balancing_changes.start(call, POOLS.name, row, remove={"instances": given})


@method("compute.targetPools.addHealthCheck", needs=balancing.BALANCES, body=CHECKS)
def add_health_check(call: Call) -> dict[str, Any]:
    """Give a pool a health check."""
    row, given = POOLS.found(call), _checks(call)
    if len({*row["body"]["healthChecks"], *given}) > MOST_CHECKS:
        raise invalid("healthChecks", given[-1], "A target pool has one health check at most.")
    return balancing_changes.start(call, POOLS.name, row, add={"healthChecks": given})


@method("compute.targetPools.removeHealthCheck", needs=balancing.BALANCES, body=CHECKS)
def remove_health_check(call: Call) -> dict[str, Any]:
    """Take a health check away from a pool."""
    row, given = POOLS.found(call), _checks(call)
    for one in given:
        if one not in row["body"]["healthChecks"]:
            raise invalid("healthChecks[0].healthCheck", one, f"The target pool '{row['name']}' does not have it.")
    return balancing_changes.start(call, POOLS.name, row, remove={"healthChecks": given})


@method("compute.targetPools.getHealth", needs=READS, body=ASKED)
def get_health(call: Call) -> dict[str, Any]:
    """Whether an instance of a pool runs. Of a port that does not answer CloudStack tells nobody."""
    row = POOLS.found(call)
    one = _instance(call, str(call.body.get("instance") or ""), "instance")
    if one not in row["body"]["instances"]:
        raise invalid("instance", one["path"], f"It is not in the target pool '{row['name']}'.")
    return render("target_pool_health", status=balancing.health(call.caller.cloud, [one], _below(call)))


@method("compute.targetPools.testIamPermissions", body=permissions.ASKED)
def held_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a pool."""
    POOLS.found(call)
    return permissions.held(call)


def view(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """A pool."""
    body, said = row["body"], POOLS.shown(call, row)
    del said["zone"]
    below = _below(call)
    return render(
        "target_pool",
        **said,
        session_affinity=body["sessionAffinity"],
        health_checks=[f"{below}/{path}" for path in body["healthChecks"]],
        instances=[f"{below}/{one['path']}" for one in body["instances"]],
    )


POOLS = Collection(balancing.POOLS, "targetPool", view)


def _given(call: Call) -> list[dict[str, Any]]:
    if "instances" not in call.body:
        raise required("instances")
    links = [str(one.get("instance") or "") for one in call.body["instances"]]  # Terraform sends empty lists
    return [_instance(call, link, f"instances[{index}].instance") for index, link in enumerate(links)]


def _instance(call: Call, link: str, where: str) -> dict[str, Any]:
    return balancing.instance(call.caller, link, where, region=call.params["region"])


def _checks(call: Call) -> list[str]:
    if "healthChecks" not in call.body:
        raise required("healthChecks")
    links = [str(one.get("healthCheck") or "") for one in call.body["healthChecks"]]
    return [_check(call, link, f"healthChecks[{index}].healthCheck") for index, link in enumerate(links)]


def _check(call: Call, link: str, where: str) -> str:
    return balancing.referenced(call.caller, link, "httpHealthChecks", where)


def _below(call: Call) -> str:
    """What comes before a path of the project in a link."""
    return call.links.absolute(f"projects/{call.project}")
