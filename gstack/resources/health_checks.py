"""healthChecks and regionHealthChecks: rows of gstack's store.

See translate/health.py for what is filled in. Visible difference: they are kept, and not carried out. CloudStack's
router asks each member of a balancer whether its port answers; backend services with a health check say so when they
come to be used. Upstream calls: none.
"""

from __future__ import annotations

from typing import Any

from gstack.operations.kept import Collection, unchanged
from gstack.protocol.call import Call
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.translate import balancing, health, kept, permissions

MEMBERS = ("type", "description", *health.TIMES, *(member for member, _ in health.TYPES.values()))
BODY = Policy(
    honoured=("name",),
    remembered=(*MEMBERS, "logConfig"),
    refused={"sourceRegions": "CloudStack's own routers ask, not machines of Google's regions."},
)


@method("compute.healthChecks.get")
@method("compute.regionHealthChecks.get")
def get(call: Call) -> dict[str, Any]:
    """One health check, by name or number."""
    return CHECKS.get(call)


@method("compute.healthChecks.list")
@method("compute.regionHealthChecks.list")
def list_(call: Call) -> dict[str, Any]:
    """The health checks of all regions, or those of one."""
    return CHECKS.list(call)


@method("compute.healthChecks.aggregatedList")
def aggregated_list(call: Call) -> dict[str, Any]:
    """All health checks."""
    return CHECKS.aggregated(call, "global", "regions")


@method("compute.healthChecks.insert", needs=balancing.BALANCES, body=BODY)
@method("compute.regionHealthChecks.insert", needs=balancing.BALANCES, body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Keep a health check, for all regions or for one."""
    return CHECKS.insert(call, health.complete(BODY.remember(call.body)))


@method("compute.healthChecks.patch", needs=balancing.BALANCES, body=BODY)
@method("compute.regionHealthChecks.patch", needs=balancing.BALANCES, body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Change the members that the body names."""
    row = CHECKS.found(call)
    unchanged(call, row)
    before = row["body"]
    if call.body.get("type", before["type"]) != before["type"]:
        before = {member: value for member, value in before.items() if member != health.TYPES[before["type"]][0]}
    return CHECKS.change(call, row, health.complete(health.merged(before, BODY.remember(call.body))))


@method("compute.healthChecks.update", needs=balancing.BALANCES, body=BODY)
@method("compute.regionHealthChecks.update", needs=balancing.BALANCES, body=BODY)
def update(call: Call) -> dict[str, Any]:
    """Put the body in the place of a health check."""
    row = CHECKS.found(call)
    unchanged(call, row)
    return CHECKS.change(call, row, health.complete(BODY.remember(call.body)))


@method("compute.healthChecks.delete", needs=balancing.BALANCES)
@method("compute.regionHealthChecks.delete", needs=balancing.BALANCES)
def delete(call: Call) -> dict[str, Any]:
    """Forget a health check that nothing uses."""
    row = CHECKS.found(call)
    balancing.check_unused(call.caller.project, kept.path(CHECKS.name, row))
    return CHECKS.delete(call, row)


@method("compute.healthChecks.testIamPermissions", body=permissions.ASKED)
@method("compute.regionHealthChecks.testIamPermissions", body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a health check."""
    CHECKS.found(call)
    return permissions.held(call)


def view(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """A health check."""
    body, said = row["body"], CHECKS.shown(call, row)
    del said["zone"]
    return render(
        "health_check",
        **said,
        type=body["type"],
        check_interval_sec=body["checkIntervalSec"],
        timeout_sec=body["timeoutSec"],
        healthy_threshold=body["healthyThreshold"],
        unhealthy_threshold=body["unhealthyThreshold"],
        tcp_health_check=body.get("tcpHealthCheck"),
        ssl_health_check=body.get("sslHealthCheck"),
        http_health_check=body.get("httpHealthCheck"),
        https_health_check=body.get("httpsHealthCheck"),
        http2_health_check=body.get("http2HealthCheck"),
        grpc_health_check=body.get("grpcHealthCheck"),
        grpc_tls_health_check=body.get("grpcTlsHealthCheck"),
        log_config=body.get("logConfig"),
    )


CHECKS = Collection("healthChecks", "healthCheck", view)
