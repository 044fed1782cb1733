"""Health checks of all kinds: what GCE fills in and refuses, how they change, and that CloudStack is never asked."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.store import overlay
from tests.conftest import Gateway

PLACES = ("global/healthChecks", "regions/de-fra/healthChecks")
OLD = ("global/httpHealthChecks", "global/httpsHealthChecks")
TCP = {"name": "hc", "type": "TCP"}


def shown(gateway: Gateway, path: str, *members: str) -> list[Any]:
    found = gateway.get(path)
    return [found.get(member) for member in members]


@pytest.mark.parametrize("place", PLACES)
def test_a_health_check_is_what_was_said_and_what_gce_fills_in(gateway: Gateway, place: str) -> None:
    operation = gateway.run("POST", place, {**TCP, "description": "d", "tcpHealthCheck": {"request": "hello"}})
    check = gateway.get(f"{place}/hc")
    assert (operation["targetId"], check["kind"]) == (check["id"], "compute#healthCheck")
    assert check["tcpHealthCheck"] == {"request": "hello", "port": 80, "proxyHeader": "NONE"}
    members = ("description", "checkIntervalSec", "timeoutSec", "healthyThreshold", "unhealthyThreshold")
    assert [check[member] for member in members] == ["d", 5, 5, 2, 2]
    assert gateway.upstream == []
    assert gateway.names(place) == ["hc"]
    assert gateway.get(f"{place}/{check['id']}") == check
    gateway.refuse("POST", place, TCP, status=409)
    gateway.run("DELETE", f"{place}/hc")
    gateway.refuse("GET", f"{place}/hc", status=404)


def test_the_places_of_health_checks_are_apart_and_listed_together(gateway: Gateway) -> None:
    for place in PLACES:
        gateway.run("POST", place, TCP)
    items = gateway.get("aggregated/healthChecks")["items"]
    assert {scope for scope, some in items.items() if "healthChecks" in some} == {"global", "regions/de-fra"}
    assert gateway.get(f"{PLACES[1]}/hc")["region"].endswith("/regions/de-fra")
    assert "region" not in gateway.get(f"{PLACES[0]}/hc")
    gateway.refuse("GET", "regions/nowhere/healthChecks", status=404)


def test_a_patch_changes_what_it_names_and_an_update_all(gateway: Gateway) -> None:
    path = f"{PLACES[0]}/hc"
    gateway.run("POST", PLACES[0], {**TCP, "tcpHealthCheck": {"port": 90, "request": "a"}, "timeoutSec": 3})
    gateway.run("PATCH", path, {"tcpHealthCheck": {"port": 91}})
    assert shown(gateway, path, "tcpHealthCheck", "timeoutSec") == [
        {"port": 91, "request": "a", "proxyHeader": "NONE"},
        3,
    ]
    gateway.run("PATCH", path, {"type": "HTTP", "httpHealthCheck": {"requestPath": "/ok"}})
    assert shown(gateway, path, "tcpHealthCheck", "httpHealthCheck") == [
        None,
        {"port": 80, "requestPath": "/ok", "proxyHeader": "NONE"},
    ]
    gateway.run("PUT", path, {"name": "hc", "type": "GRPC", "grpcHealthCheck": {"port": 7}})
    assert shown(gateway, path, "grpcHealthCheck", "timeoutSec", "httpHealthCheck") == [{"port": 7}, 5, None]
    assert "resource.name" in gateway.refuse("PATCH", path, {"name": "other"})


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "hc"}, "resource.type"),
        ({**TCP, "httpHealthCheck": {"port": 80}}, "resource.httpHealthCheck"),
        ({**TCP, "timeoutSec": 9}, "resource.timeoutSec"),
        ({**TCP, "checkIntervalSec": 301}, "resource.checkIntervalSec"),
        ({**TCP, "healthyThreshold": 0}, "resource.healthyThreshold"),
        ({**TCP, "tcpHealthCheck": {"port": 0}}, "resource.tcpHealthCheck.port"),
        ({**TCP, "tcpHealthCheck": {"port": 1, "portSpecification": "USE_SERVING_PORT"}}, "portSpecification"),
        ({"name": "hc", "type": "GRPC"}, "resource.grpcHealthCheck.port"),
        ({**TCP, "sourceRegions": ["a", "b", "c"]}, "resource.sourceRegions"),
        ({**TCP, "name": "HC"}, "resource.name"),
        ({"type": "TCP"}, "resource.name"),
    ],
)
def test_what_is_no_health_check_is_refused_by_name(gateway: Gateway, body: dict[str, Any], said: str) -> None:
    assert said in gateway.refuse("POST", PLACES[0], body)


def test_a_check_of_the_serving_port_has_no_port(gateway: Gateway) -> None:
    probe = {"portSpecification": "USE_SERVING_PORT"}
    gateway.run("POST", PLACES[0], {"name": "hc", "type": "HTTPS", "httpsHealthCheck": probe})
    assert shown(gateway, f"{PLACES[0]}/hc", "httpsHealthCheck") == [
        {**probe, "requestPath": "/", "proxyHeader": "NONE"}
    ]


@pytest.mark.parametrize(("place", "port"), [(OLD[0], 80), (OLD[1], 443)])
def test_the_old_kinds_have_ports_of_their_own(gateway: Gateway, place: str, port: int) -> None:
    gateway.run("POST", place, {"name": "hc", "host": "example.org"})
    assert shown(gateway, f"{place}/hc", "port", "requestPath", "host") == [port, "/", "example.org"]
    gateway.run("PATCH", f"{place}/hc", {"port": 81})
    assert shown(gateway, f"{place}/hc", "port", "host") == [81, "example.org"]
    gateway.run("PUT", f"{place}/hc", {"name": "hc", "requestPath": "/x"})
    assert shown(gateway, f"{place}/hc", "port", "host", "requestPath") == [port, None, "/x"]
    assert "resource.port" in gateway.refuse("PATCH", f"{place}/hc", {"port": 70000})
    assert gateway.names(place) == ["hc"]
    gateway.run("DELETE", f"{place}/hc")
    assert gateway.names(place) == []


def test_health_checks_of_another_account_are_not_seen(gateway: Gateway) -> None:
    gateway.run("POST", PLACES[0], TCP)
    other = gateway.as_user("other")
    assert other.names(PLACES[0]) == []
    other.refuse("DELETE", f"{PLACES[0]}/hc", status=404)


def test_a_check_that_is_deleted_while_it_changes_stays_deleted(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, change = PLACES[0], overlay.change
    gateway.run("POST", place, TCP)

    def meanwhile(*args: Any) -> bool:
        gateway.run("DELETE", f"{place}/hc")
        return change(*args)

    monkeypatch.setattr(overlay, "change", meanwhile)
    assert "was not found" in gateway.refuse("PUT", f"{place}/hc", TCP, status=404)
    assert gateway.names(place) == []
