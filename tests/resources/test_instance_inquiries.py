"""What a client asks of an instance beside its description, and what no instance here does."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.cloudstack.catalogue import Catalogue
from gstack.resources.instance_inquiries import REASONS

INSTANCES = "zones/{zone}/instances"
WEB = f"{INSTANCES}/web"


def test_the_serial_port_is_empty_and_its_next_byte_is_the_first(gateway: Any) -> None:
    gateway.deploy("web")
    for more in ({}, {"port": 2}, {"start": 100}):
        answer = gateway.get(f"{WEB}/serialPort", **more)
        assert (answer["contents"], answer["start"], answer["next"]) == ("", "0", "0")
    assert answer["selfLink"].endswith("/instances/web/serialPort")
    gateway.refuse("GET", f"{WEB}/serialPort", port=5)


def test_a_guest_has_written_no_attributes(gateway: Any) -> None:
    gateway.deploy("web")
    message = gateway.refuse("GET", f"{WEB}/getGuestAttributes", status=404, queryPath="hostkeys/")
    assert message == "The resource 'hostkeys/' of type 'Guest Attribute' was not found."


def test_nothing_refers_to_an_instance_that_is_in_no_group(gateway: Any) -> None:
    gateway.deploy("web")
    for name in ("web", "-"):
        answer = gateway.get(f"{INSTANCES}/{name}/referrers")
        assert (answer["kind"], "items" in answer) == ("compute#instanceListReferrers", False)


def test_an_instance_has_no_policy_of_its_own(gateway: Any) -> None:
    gateway.deploy("web")
    assert "bindings" not in gateway.get(f"{WEB}/getIamPolicy")


def test_permissions_are_those_of_the_callers_role(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.deploy("web")
    asked = [
        "compute.instances.get",
        "compute.instances.create",
        "compute.instances.setMachineType",
        "compute.instances.suspend",
        "compute.disks.get",
        "compute.instances.nonsense",
    ]
    answer = gateway.call("POST", f"{WEB}/testIamPermissions", {"permissions": asked})
    assert answer["permissions"] == asked[:3]

    known = Catalogue.apis
    lost = {"changeServiceForVirtualMachine"}
    monkeypatch.setattr(Catalogue, "apis", lambda self, cloud, **more: known(self, cloud, **more) - lost)
    answer = gateway.call("POST", f"{WEB}/testIamPermissions", {"permissions": asked})
    assert answer["permissions"] == asked[:2]


@pytest.mark.parametrize("path", ["serialPort", "getGuestAttributes", "referrers", "getIamPolicy"])
def test_what_is_not_there_cannot_be_asked(gateway: Any, path: str) -> None:
    assert gateway.refuse("GET", f"{WEB}/{path}", status=404).endswith("/instances/web' was not found")


@pytest.mark.parametrize("verb", ["suspend", "resume", "simulateMaintenanceEvent", "sendDiagnosticInterrupt"])
def test_what_no_machine_does_is_refused_with_the_reason(gateway: Any, verb: str) -> None:
    gateway.deploy("web")
    assert gateway.refuse("POST", f"{WEB}/{verb}", status=501).endswith(REASONS[verb])
