"""Whatever an instance template accepts is read back as it was said, and an instance made of it has it.

Held over Google's schema, as tests/resources/test_instances_round_trip.py, whose samples these are.
"""

from __future__ import annotations

from typing import Any

import pytest

from gstack.resources.instance_templates import BODY
from tests.resources.test_instances_round_trip import ACCOUNTS, BOOT, DEBIAN, ELSEWHERE, OBJECTS, OF_DISKS, SAMPLES

TEMPLATES, INSTANCES = "global/instanceTemplates", "zones/{zone}/instances"
PREFIX = "properties."
# What is the template's own, and what an instance has in another form than a template.
OWN = {"name", "description", "sourceInstance"} | {
    f"sourceInstanceParams.diskConfigs[].{member}"
    for member in ("deviceName", "autoDelete", "customImage", "instantiateFrom")
}
FIXED = {"disks[].boot", "machineType", "networkInterfaces[].network"}  # the base of every sample
# Properties of a template name no zone: https://cloud.google.com/compute/docs/reference/rest/v1/instanceTemplates
BASE = {
    "machineType": "n1-standard-1",
    "disks": [BOOT],
    "networkInterfaces": [{"network": "global/networks/default"}],
}
HERE = {path: members for path, (members, _) in SAMPLES.items() if members and path not in FIXED}


def _said(given: Any, shown: Any) -> bool:
    """Whether all that was given is shown; GCE adds to it."""
    if isinstance(given, dict):
        return all(_said(value, shown.get(name)) for name, value in given.items())
    if isinstance(given, list):
        return len(given) == len(shown) and all(map(_said, given, shown))
    return bool(str(shown).endswith(given)) if isinstance(given, str) and "/" in given else bool(given == shown)


def test_every_property_that_is_accepted_is_tried() -> None:
    accepted = {path for path, state, _ in BODY.table() if state != "refused"}
    of_disks = {f"disks[].initializeParams.{member}" for member in (*OF_DISKS, *OBJECTS)}
    properties = {path.removeprefix(PREFIX) for path in accepted if path.startswith(PREFIX)}
    assert properties <= SAMPLES.keys() | ELSEWHERE.keys() | of_disks
    assert {path for path in accepted if not path.startswith(PREFIX)} == OWN
    assert len(properties & HERE.keys()) > 15


@pytest.mark.parametrize(
    "path", sorted(path for path in HERE if path not in ("name", "hostname", "deletionProtection"))
)
def test_a_property_is_read_back_as_it_was_said(gateway: Any, path: str) -> None:
    properties = BASE | HERE[path]
    gateway.run("POST", TEMPLATES, {"name": "like", "properties": properties})
    assert _said(properties, gateway.get(f"{TEMPLATES}/like")["properties"])


@pytest.mark.parametrize("member", OF_DISKS)
def test_a_property_of_a_disk_is_read_back_as_it_was_said(gateway: Any, member: str) -> None:
    value = "pd-ssd" if member == "diskType" else OF_DISKS[member][0]
    properties = BASE | {"disks": [BOOT | {"initializeParams": {"sourceImage": DEBIAN, member: value}}]}
    gateway.run("POST", TEMPLATES, {"name": "like", "properties": properties})
    assert _said(properties, gateway.get(f"{TEMPLATES}/like")["properties"])


def test_an_instance_of_a_template_has_all_that_was_said_of_it(gateway: Any) -> None:
    said = {
        "description": "of a template",
        "labels": {"a": "b"},
        "tags": {"items": ["http"]},
        "metadata": {"items": [{"key": "k", "value": "v"}]},
        "serviceAccounts": ACCOUNTS,
        "scheduling": {"automaticRestart": False},
    }
    disk = {"deviceName": "system", "initializeParams": {"sourceImage": DEBIAN, "diskType": "pd-ssd"}}
    gateway.run("POST", TEMPLATES, {"name": "like", "properties": BASE | said | {"disks": [BOOT | disk]}})
    gateway.run("POST", INSTANCES, {"name": "web"}, sourceInstanceTemplate=f"{TEMPLATES}/like")
    shown = gateway.get(f"{INSTANCES}/web")
    assert _said(said, shown)
    assert shown["disks"][0]["deviceName"] == "system"
    assert gateway.get("zones/{zone}/disks/web")["type"].endswith("/diskTypes/pd-ssd")
