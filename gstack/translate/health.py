"""Health checks: what GCE demands of one and fills in, for the new kind and for the two old ones.

Apart because three collections agree on it. The surprising thing: nothing is probed by them. CloudStack's virtual
router asks each member of a balancer whether its port answers, and refuses to be told otherwise (the policy of a health
check is a 430), so they are kept, and whoever uses one is told.

Source: https://cloud.google.com/compute/docs/reference/rest/v1/healthChecks
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gstack.errors import invalid, required

Body = dict[str, Any]

# Member, least, most, and what stands where nothing is said.
TIMES = {
    "checkIntervalSec": (1, 300, 5),
    "timeoutSec": (1, 300, 5),
    "healthyThreshold": (1, 10, 2),
    "unhealthyThreshold": (1, 10, 2),
}
# What a type is asked with: its member of the body, and the port where none is said (gRPC has none).
TYPES: dict[str, tuple[str, int | None]] = {
    "TCP": ("tcpHealthCheck", 80),
    "SSL": ("sslHealthCheck", 443),
    "HTTP": ("httpHealthCheck", 80),
    "HTTPS": ("httpsHealthCheck", 443),
    "HTTP2": ("http2HealthCheck", 443),
    "GRPC": ("grpcHealthCheck", None),
    "GRPC_WITH_TLS": ("grpcTlsHealthCheck", None),
}
WITH_PATH = ("HTTP", "HTTPS", "HTTP2")
FIXED_PORT = "USE_FIXED_PORT"


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> Body:
    """What a PATCH with ``new`` leaves of ``old``: members of objects one by one, all else as a whole."""
    found = dict(old)
    for member, value in new.items():
        before = old.get(member)
        found[member] = merged(before, value) if isinstance(value, dict) and isinstance(before, dict) else value
    return found


def complete(body: Mapping[str, Any]) -> Body:
    """A health check with what GCE fills in. Raises GceError required or invalid."""
    kind = body.get("type")
    if not kind or kind not in TYPES:
        raise required("resource.type")
    own, port = TYPES[kind]
    for member, _ in TYPES.values():
        if member != own and body.get(member):
            raise invalid(f"resource.{member}", body[member], f"It is not for a health check of type {kind}.")
    return _timed(body) | {own: _probe(dict(body.get(own) or {}), kind, port, f"resource.{own}")}


def complete_old(body: Mapping[str, Any], port: int) -> Body:
    """An HTTP or HTTPS health check of the old kind with what GCE fills in. Raises GceError invalid."""
    found = {"port": port, "requestPath": "/", **_timed(body)}
    _check_port(found["port"], "resource.port")
    return found


def _probe(given: Body, kind: str, port: int | None, where: str) -> Body:
    specification = given.get("portSpecification", FIXED_PORT)
    if specification == FIXED_PORT and "portName" not in given:
        if port is None and "port" not in given:
            raise required(f"{where}.port")
        given.setdefault("port", port)
        _check_port(given["port"], f"{where}.port")
    elif specification == "USE_SERVING_PORT" and (given.get("port") or given.get("portName")):
        raise invalid(f"{where}.portSpecification", specification, "Neither port nor portName goes with it.")
    if kind in WITH_PATH:
        given.setdefault("requestPath", "/")
    return given if port is None else {"proxyHeader": "NONE", **given}


def _timed(body: Mapping[str, Any]) -> Body:
    found = {member: default for member, (_, _, default) in TIMES.items()} | dict(body)
    for member, (least, most, _) in TIMES.items():
        if not least <= found[member] <= most:
            raise invalid(f"resource.{member}", found[member], f"Must be from {least} to {most}.")
    if found["timeoutSec"] > found["checkIntervalSec"]:
        raise invalid("resource.timeoutSec", found["timeoutSec"], "Must not be greater than checkIntervalSec.")
    return found


def _check_port(port: int, where: str) -> None:
    if not 1 <= port <= 65535:
        raise invalid(where, port, "Must be from 1 to 65535.")
