"""instances.update: the whole instance, as it is to be."""

from __future__ import annotations

from typing import Any

import pytest

INSTANCES = "zones/{zone}/instances"
WEB = f"{INSTANCES}/web"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"


@pytest.fixture
def web(gateway: Any) -> dict[str, Any]:
    """A running instance as it is read."""
    disk = {"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN}}
    said = {"labels": {"a": "b"}, "tags": {"items": ["http"]}, "description": "d"}
    body = {"name": "web", "machineType": "tiny", "disks": [disk], "networkInterfaces": [{}]} | said
    gateway.run("POST", INSTANCES, body)
    return dict(gateway.get(WEB))


def machine(gateway: Any) -> dict[str, Any]:
    (row,) = gateway.cloudstack("listVirtualMachines")
    return dict(row)


def test_what_was_read_changes_nothing(gateway: Any, web: dict[str, Any]) -> None:
    operation = gateway.run("PUT", WEB, web, mostDisruptiveAllowedAction="NO_EFFECT")
    assert (operation["operationType"], gateway.get(WEB)) == ("update", web)


def test_everything_that_can_change_does_in_one_request(gateway: Any, web: dict[str, Any]) -> None:
    said = {
        "labels": {"c": "d"},
        "tags": web["tags"] | {"items": ["https"]},
        "metadata": web["metadata"] | {"items": [{"key": "startup-script", "value": "echo hi"}]},
        "scheduling": web["scheduling"] | {"automaticRestart": False},
        "deletionProtection": True,
        "description": "e",
        "machineType": "zones/ch-gva-2/machineTypes/small",
        "serviceAccounts": [{"email": "a@b.iam.gserviceaccount.com", "scopes": ["s"]}],
    }
    gateway.run("PUT", WEB, web | said)
    now, row = gateway.get(WEB), machine(gateway)
    assert (now["status"], row["serviceofferingname"], row["deleteprotection"]) == ("RUNNING", "Small", True)
    assert (now["labels"], now["tags"]["items"], now["description"]) == ({"c": "d"}, ["https"], "e")
    assert now["scheduling"]["automaticRestart"] is False and now["metadata"]["items"] == said["metadata"]["items"]
    assert now["serviceAccounts"] == said["serviceAccounts"]
    assert {tag["key"] for tag in row["tags"]} == {"c", "gstack-tag:https"}


def test_a_running_instance_does_not_become_preemptible_by_an_update(gateway: Any, web: dict[str, Any]) -> None:
    why = gateway.refuse("PUT", WEB, web | {"scheduling": {"provisioningModel": "SPOT", "preemptible": True}})
    assert "while the instance is stopped" in why


def test_what_is_left_out_is_taken_away(gateway: Any, web: dict[str, Any]) -> None:
    body = {name: value for name, value in web.items() if name not in ("labels", "tags", "description")}
    gateway.run("PUT", WEB, body)
    now = gateway.get(WEB)
    assert "labels" not in now and "items" not in now["tags"] and "description" not in now


def test_a_restart_that_is_not_allowed_is_refused_and_nothing_changes(gateway: Any, web: dict[str, Any]) -> None:
    body = web | {"machineType": "zones/ch-gva-2/machineTypes/small"}
    message = gateway.refuse("PUT", WEB, body, mostDisruptiveAllowedAction="REFRESH")
    assert "mostDisruptiveAllowedAction" in message and "RESTART" in message
    assert gateway.get(WEB) == web
    gateway.run("POST", f"{WEB}/stop")
    body |= {"fingerprint": gateway.get(WEB)["fingerprint"]}
    gateway.run("PUT", WEB, body, mostDisruptiveAllowedAction="REFRESH")
    assert (machine(gateway)["serviceofferingname"], machine(gateway)["state"]) == ("Small", "Stopped")


def test_a_restart_can_be_asked_for(gateway: Any, web: dict[str, Any]) -> None:
    gateway.simulator.faults.add("status", "stopVirtualMachine", code=530, text="no luck")
    assert "no luck" in gateway.fail("PUT", WEB, web, minimalAction="RESTART")["message"]
    gateway.run("PUT", WEB, web, minimalAction="RESTART")
    assert machine(gateway)["state"] == "Running"


@pytest.mark.parametrize(
    ("command", "after"),
    [("stopVirtualMachine", 0), ("startVirtualMachine", 0), ("createTags", 0), ("updateVirtualMachine", 0)],
)
def test_an_update_that_fails_leaves_all_as_it_was(gateway: Any, web: dict[str, Any], command: str, after: int) -> None:
    said = {
        "labels": {"c": "d"},
        "machineType": "zones/ch-gva-2/machineTypes/small",
        "serviceAccounts": [{"email": "a@b.iam.gserviceaccount.com"}],
        "metadata": web["metadata"] | {"items": [{"key": "k", "value": "v"}]},
        "deletionProtection": True,
    }
    gateway.simulator.faults.add("status", command, after=after, code=530, text="no luck")
    assert "no luck" in gateway.fail("PUT", WEB, web | said)["message"]
    now = gateway.get(WEB)
    for member in ("labels", "machineType", "metadata", "deletionProtection", "status", "serviceAccounts"):
        assert now.get(member) == web.get(member), member


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("name", "other", "Use setName"),
        ("disks", [], "Use attachDisk"),
        ("networkInterfaces", [{"networkIP": "1.2.3.4"}], "Use addAccessConfig"),
        ("hostname", "x.example.com", "resource.hostname"),
        ("minCpuPlatform", "Intel Haswell", "minCpuPlatform"),
    ],
)
def test_what_no_update_changes_is_refused_by_name(
    gateway: Any, web: dict[str, Any], member: str, value: Any, words: str
) -> None:
    assert words in gateway.refuse("PUT", WEB, web | {member: value})
    assert gateway.get(WEB) == web


@pytest.mark.parametrize("seen", ["AAAAAAAAAAA=", None])
def test_an_instance_that_the_client_has_not_seen_is_not_changed(
    gateway: Any, web: dict[str, Any], seen: str | None
) -> None:
    gateway.refuse("PUT", WEB, web | {"fingerprint": seen, "labels": {}}, status=412)


def test_an_update_of_nothing_is_not_found(gateway: Any, web: dict[str, Any]) -> None:
    gateway.refuse("PUT", f"{INSTANCES}/none", web, status=404)
