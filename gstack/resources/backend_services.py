"""regionBackendServices: external passthrough ones, rows of gstack's store that lead to unmanaged instance groups; and
the lists of backendServices, which show them.

What a service means for CloudStack is done where a forwarding rule leads to it: see forwarding_rules.py. Visible
differences: TCP only; a backend has no share, as CloudStack's router gives all members of all groups the same; health
checks, times and draining are kept and not carried out (the router lets connections to a member that goes end by
themselves). There are no global services, as CloudStack balances inside one zone. Upstream calls: none, one for
getHealth, two for a change of backends that are balanced.
"""

from __future__ import annotations

from typing import Any

from gstack.errors import invalid, required
from gstack.operations import balancing_changes
from gstack.operations.kept import Collection, unchanged
from gstack.protocol.call import Call
from gstack.protocol.fingerprints import fingerprint
from gstack.protocol.methods import method, refused
from gstack.protocol.policy import Policy
from gstack.protocol.rendering import render
from gstack.translate import balancing, kept, permissions, places, reasons

Row = dict[str, Any]

_PROXY = "There are no proxies: a service passes connections on."
_INTERNAL = "There are no internal balancers."
_SAME = "CloudStack's router gives all members the same."
_GLOBAL = "CloudStack balances inside one zone: there are no global backend services."
MOST_CHECKS = 1  # GCE's limit for a passthrough service
BODY = Policy(
    honoured=("name", "backends[].group", "fingerprint"),
    remembered=(
        "description",
        "backends[].description",
        "backends[].capacityScaler",
        "connectionDraining.drainingTimeoutSec",
        "healthChecks",
        "timeoutSec",
    ),
    only={
        "backends[].balancingMode": ("CONNECTION",),
        "backends[].capacityScaler": (1.0,),
        "loadBalancingScheme": ("EXTERNAL",),
        "protocol": ("TCP", "UNSPECIFIED"),
        "sessionAffinity": balancing.AFFINITIES,
        "subsetting.policy": ("NONE",),
    },
    refused={
        "affinityCookieTtlSec": _PROXY,
        "backends[].customMetrics": _PROXY,
        "backends[].failover": "CloudStack's balancers have no second group to fall back to.",
        "backends[].maxConnections": _SAME,
        "backends[].maxConnectionsPerEndpoint": _SAME,
        "backends[].maxConnectionsPerInstance": _SAME,
        "backends[].maxInFlightRequests": _PROXY,
        "backends[].maxInFlightRequestsPerEndpoint": _PROXY,
        "backends[].maxInFlightRequestsPerInstance": _PROXY,
        "backends[].maxRate": _PROXY,
        "backends[].maxRatePerEndpoint": _PROXY,
        "backends[].maxRatePerInstance": _PROXY,
        "backends[].maxUtilization": _PROXY,
        "backends[].orchestrationInfo": _PROXY,
        "backends[].preference": _SAME,
        "backends[].trafficDuration": _PROXY,
        "cdnPolicy": _PROXY,
        "circuitBreakers": _PROXY,
        "compressionMode": _PROXY,
        "connectionTrackingPolicy": "CloudStack's router tracks connections in its own way.",
        "consistentHash": _PROXY,
        "customMetrics": _PROXY,
        "customRequestHeaders": _PROXY,
        "customResponseHeaders": _PROXY,
        "dynamicForwarding": _PROXY,
        "enableCDN": _PROXY,
        "externalManagedMigrationState": _PROXY,
        "externalManagedMigrationTestingPercentage": _PROXY,
        "failoverPolicy": "CloudStack's balancers have no second group to fall back to.",
        "haPolicy": "CloudStack's balancers have no second group to fall back to.",
        "iap": _PROXY,
        "ipAddressSelectionPolicy": _PROXY,
        "localityLbPolicies": _PROXY,
        "localityLbPolicy": "CloudStack's router takes one member after the other, or by the client's address.",
        "logConfig": "CloudStack's balancers keep no log for their users.",
        "maxStreamDuration": _PROXY,
        "metadatas": _PROXY,
        "network": _INTERNAL,
        "networkPassThroughLbTrafficPolicy": _INTERNAL,
        "orchestrationInfo": _PROXY,
        "outlierDetection": _PROXY,
        "params": reasons.RESOURCE_MANAGER_TAGS,
        "port": _PROXY,
        "portName": _PROXY,
        "securitySettings": _PROXY,
        "serviceBindings": _PROXY,
        "serviceLbPolicy": _PROXY,
        "strongSessionAffinityCookie": _PROXY,
        "tlsSettings": _PROXY,
    },
)
ASKED = Policy(honoured=("group",))
READS, CHANGES = ("listVirtualMachines",), ("listVirtualMachines", "assignToLoadBalancerRule")
# What an update puts in the place of what is there.
MEMBERS = ("description", "backends", "healthChecks", "sessionAffinity", "protocol", "timeoutSec", "drainingTimeoutSec")

for _verb in (
    "addSignedUrlKey",
    "delete",
    "deleteSignedUrlKey",
    "getEffectiveSecurityPolicies",
    "getHealth",
    "getIamPolicy",
    "insert",
    "patch",
    "setEdgeSecurityPolicy",
    "setIamPolicy",
    "setSecurityPolicy",
    "testIamPermissions",
    "update",
):
    refused(f"compute.backendServices.{_verb}", _GLOBAL)
refused("compute.regionBackendServices.setSecurityPolicy", reasons.CLOUD_ARMOR)
refused("compute.regionBackendServices.setIamPolicy", permissions.NO_OWN_POLICY)


@method("compute.backendServices.get")
@method("compute.regionBackendServices.get")
def get(call: Call) -> Row:
    """One service, by name or number."""
    return SERVICES.get(call)


@method("compute.backendServices.list")
@method("compute.backendServices.listUsable")
@method("compute.regionBackendServices.list")
@method("compute.regionBackendServices.listUsable")
def list_(call: Call) -> Row:
    """The services of one region; of all regions there are none."""
    return SERVICES.list(call)


@method("compute.backendServices.aggregatedList")
def aggregated_list(call: Call) -> Row:
    """All services."""
    return SERVICES.aggregated(call, "global", "regions")


@method("compute.regionBackendServices.insert", needs=balancing.BALANCES, body=BODY)
def insert(call: Call) -> Row:
    """Make a service, which no forwarding rule leads to yet."""
    body = _whole(call, call.body)
    balancing.hold(call.caller.project, body)
    return SERVICES.insert(call, body)


@method("compute.regionBackendServices.patch", needs=CHANGES, body=BODY)
def patch(call: Call) -> Row:
    """Change the members that the body names."""
    row = SERVICES.found(call)
    said = {member: call.body[member] for member in (*MEMBERS[:-1], "connectionDraining") if member in call.body}
    whole = _whole(call, said)
    draining = ("drainingTimeoutSec",) if "connectionDraining" in said else ()
    return _changed(call, row, {member: whole[member] for member in (*(said.keys() & set(MEMBERS)), *draining)})


@method("compute.regionBackendServices.update", needs=CHANGES, body=BODY)
def update(call: Call) -> Row:
    """Put the body in the place of a service."""
    row = SERVICES.found(call)
    return _changed(call, row, balancing_changes.all_of(_whole(call, call.body), MEMBERS))


@method("compute.regionBackendServices.delete", needs=balancing.BALANCES)
def delete(call: Call) -> Row:
    """Delete a service that no forwarding rule leads to."""
    row = SERVICES.found(call)
    balancing.check_unused(call.caller.project, kept.path(SERVICES.name, row))
    return SERVICES.delete(call, row)


@method("compute.regionBackendServices.getHealth", needs=READS, body=ASKED)
def get_health(call: Call) -> Row:
    """Which instances of a group of the service run. Of a port that does not answer CloudStack tells nobody."""
    row = SERVICES.found(call)
    path = _group(call, str(call.body.get("group") or ""), "group")
    if path not in [one["group"] for one in row["body"]["backends"]]:
        raise invalid("group", path, f"It is no backend of the service '{row['name']}'.")
    project, service = call.caller.project, kept.path(SERVICES.name, row)
    members = balancing.of_groups(project, [path])
    found = balancing.health(call.caller.cloud, members, _below(call)) if members else []
    rules = [rule for rule in kept.rows(project, balancing.RULES) if balancing.target(rule) == service]
    at = [
        {
            "forwardingRule": f"{_below(call)}/{kept.path(balancing.RULES, rule)}",
            "forwardingRuleIp": rule["body"]["IPAddress"],
            "port": balancing.ports(rule["body"])[0],
        }
        for rule in rules
    ]
    return render("backend_service_health", status=[{**one, **where} for where in at or [{}] for one in found])


@method("compute.regionBackendServices.getIamPolicy")
def get_iam_policy(call: Call) -> Row:
    """The policy of a service, which has none."""
    SERVICES.found(call)
    return permissions.policy()


@method("compute.regionBackendServices.testIamPermissions", body=permissions.ASKED)
def held_permissions(call: Call) -> Row:
    """Those of the permissions that the caller has on a service."""
    SERVICES.found(call)
    return permissions.held(call)


def view(call: Call, row: Row) -> Row:
    """A service."""
    body, said, below = row["body"], SERVICES.shown(call, row), _below(call)
    del said["zone"]
    rules = balancing.users(call.caller.project, kept.path(SERVICES.name, row))
    return render(
        "backend_service",
        **said,
        backends=[
            {**one, "group": f"{below}/{one['group']}", "balancingMode": "CONNECTION"} for one in body["backends"]
        ],
        health_checks=[f"{below}/{path}" for path in body["healthChecks"]],
        timeout_sec=body["timeoutSec"],
        protocol=body["protocol"],
        session_affinity=body["sessionAffinity"],
        connection_draining={"drainingTimeoutSec": body["drainingTimeoutSec"]},
        used_by=[{"reference": f"{below}/{path}"} for path in rules],
        fingerprint=fingerprint(body),
    )


SERVICES = Collection(balancing.SERVICES, "backendService", view)


def _whole(call: Call, said: Row) -> Row:
    """A body as it is kept, with what GCE fills in. Raises GceError."""
    backends = [_backend(call, one, f"resource.backends[{n}]") for n, one in enumerate(said.get("backends") or [])]
    groups = [one["group"] for one in backends]
    for index, group in enumerate(groups):
        if group in groups[:index]:
            raise invalid(f"resource.backends[{index}].group", group, "It is named twice.")
    checks = [
        _check(call, link, f"resource.healthChecks[{n}]") for n, link in enumerate(said.get("healthChecks") or [])
    ]
    if len(checks) > MOST_CHECKS:
        raise invalid("resource.healthChecks", len(checks), "A backend service has one health check at most.")
    return {
        "description": said.get("description"),
        "backends": backends,
        "healthChecks": checks,
        "sessionAffinity": said.get("sessionAffinity", "NONE"),
        "protocol": said.get("protocol", "TCP"),
        "timeoutSec": said.get("timeoutSec", 30),
        "drainingTimeoutSec": (said.get("connectionDraining") or {}).get("drainingTimeoutSec", 0),
    }


def _changed(call: Call, row: Row, put: Row) -> Row:
    """The operation of a change that has been checked. GCE demands the fingerprint of who changes a service."""
    unchanged(call, row)
    balancing_changes.check_seen(row["body"], None, str(call.body.get("fingerprint") or ""))
    if "backends" in put:
        members = balancing.of_groups(call.caller.project, [one["group"] for one in put["backends"]])
        path = kept.path(SERVICES.name, row)
        if balancing.led_to_by(call.caller.project, path):
            balancing.home(call.caller, members, "resource.backends")
    seen = (None, str(call.body["fingerprint"]))
    return balancing_changes.start(call, SERVICES.name, row, put=put, seen=seen)


def _backend(call: Call, one: Row, where: str) -> Row:
    group = _group(call, str(one.get("group") or ""), f"{where}.group")
    return {"group": group} | {name: one[name] for name in ("description", "capacityScaler") if name in one}


def _group(call: Call, link: str, where: str) -> str:
    """The path of a group that a field names. Raises GceError."""
    if not link:
        raise required(where)
    path = balancing.referenced(call.caller, link, balancing.GROUPS, where)
    place = places.zone_of(call.caller, path.split("/")[1])
    if place is None or place.region != call.params["region"]:
        raise invalid(where, link, f"It must be in region {call.params['region']}.")
    return path


def _check(call: Call, link: str, where: str) -> str:
    """The path of a health check of the region, or of all regions."""
    path = balancing.referenced(call.caller, link, "healthChecks", where, region=str(call.params["region"]))
    if path.startswith("regions/") and path.split("/")[1] != call.params["region"]:
        raise invalid(where, link, f"It must be in region {call.params['region']}.")
    return path


def _below(call: Call) -> str:
    """What comes before a path of the project in a link."""
    return call.links.absolute(f"projects/{call.project}")
