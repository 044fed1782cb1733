"""httpHealthChecks and httpsHealthChecks: the kinds of GCE's first years, rows of gstack's store. Pools know no other.

Visible difference: they are kept, and not carried out, as healthChecks are. Upstream calls: none.
"""

from __future__ import annotations

from typing import Any

from gstack.operations.kept import Collection, unchanged
from gstack.protocol.call import Call
from gstack.protocol.methods import method
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.translate import balancing, health, kept, permissions

PORTS = {"httpHealthChecks": 80, "httpsHealthChecks": 443}
BODY = Policy(honoured=("name",), remembered=("description", "host", "requestPath", "port", *health.TIMES))


@method("compute.httpHealthChecks.get")
@method("compute.httpsHealthChecks.get")
def get(call: Call) -> dict[str, Any]:
    """One health check, by name or number."""
    return _checks(call).get(call)


@method("compute.httpHealthChecks.list")
@method("compute.httpsHealthChecks.list")
def list_(call: Call) -> dict[str, Any]:
    """All of them."""
    return _checks(call).list(call)


@method("compute.httpHealthChecks.insert", needs=balancing.BALANCES, body=BODY)
@method("compute.httpsHealthChecks.insert", needs=balancing.BALANCES, body=BODY)
def insert(call: Call) -> dict[str, Any]:
    """Keep a health check."""
    return _checks(call).insert(call, health.complete_old(BODY.remember(call.body), _port(call)))


@method("compute.httpHealthChecks.patch", needs=balancing.BALANCES, body=BODY)
@method("compute.httpsHealthChecks.patch", needs=balancing.BALANCES, body=BODY)
def patch(call: Call) -> dict[str, Any]:
    """Change the members that the body names."""
    checks = _checks(call)
    row = checks.found(call)
    unchanged(call, row)
    return checks.change(call, row, health.complete_old({**row["body"], **BODY.remember(call.body)}, _port(call)))


@method("compute.httpHealthChecks.update", needs=balancing.BALANCES, body=BODY)
@method("compute.httpsHealthChecks.update", needs=balancing.BALANCES, body=BODY)
def update(call: Call) -> dict[str, Any]:
    """Put the body in the place of a health check."""
    checks = _checks(call)
    row = checks.found(call)
    unchanged(call, row)
    return checks.change(call, row, health.complete_old(BODY.remember(call.body), _port(call)))


@method("compute.httpHealthChecks.delete", needs=balancing.BALANCES)
@method("compute.httpsHealthChecks.delete", needs=balancing.BALANCES)
def delete(call: Call) -> dict[str, Any]:
    """Forget a health check that no target pool has."""
    checks = _checks(call)
    row = checks.found(call)
    balancing.check_unused(call.caller.project, kept.path(checks.name, row))
    return checks.delete(call, row)


@method("compute.httpHealthChecks.testIamPermissions", body=permissions.ASKED)
@method("compute.httpsHealthChecks.testIamPermissions", body=permissions.ASKED)
def test_iam_permissions(call: Call) -> dict[str, Any]:
    """Those of the permissions that the caller has on a health check."""
    _checks(call).found(call)
    return permissions.held(call)


def view(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    """A health check."""
    body, said = row["body"], _checks(call).shown(call, row)
    for place in ("region", "zone"):
        del said[place]
    return render(
        TEMPLATES[call.method.resource],
        **said,
        host=body.get("host"),
        request_path=body["requestPath"],
        port=body["port"],
        check_interval_sec=body["checkIntervalSec"],
        timeout_sec=body["timeoutSec"],
        healthy_threshold=body["healthyThreshold"],
        unhealthy_threshold=body["unhealthyThreshold"],
    )


CHECKS = {name: Collection(name, name.removesuffix("s"), view) for name in PORTS}
TEMPLATES = {"httpHealthChecks": "http_health_check", "httpsHealthChecks": "https_health_check"}


def _checks(call: Call) -> Collection:
    return CHECKS[call.method.resource]


def _port(call: Call) -> int:
    return PORTS[call.method.resource]
