"""Instance templates: kept as they were given, and instances made of them."""

from __future__ import annotations

from typing import Any

import pytest

TEMPLATES = "global/instanceTemplates"
OF_REGION = "regions/ch-gva/instanceTemplates"
INSTANCES = "zones/{zone}/instances"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"


def template(name: str = "small", **properties: Any) -> dict[str, Any]:
    said = {
        "machineType": "tiny",
        "disks": [{"boot": True, "autoDelete": True, "initializeParams": {"sourceImage": DEBIAN, "diskSizeGb": "20"}}],
        "networkInterfaces": [{"network": "global/networks/default"}],
    }
    return {"name": name, "description": "a template", "properties": said | properties}


@pytest.mark.parametrize("path", [TEMPLATES, OF_REGION])
def test_a_template_is_read_back_as_it_was_given(gateway: Any, path: str) -> None:
    labels, metadata = {"env": "x"}, {"items": [{"key": "startup-script", "value": "echo secret"}]}
    made = gateway.run("POST", path, template(labels=labels, tags={"items": ["web"]}, metadata=metadata))
    found = gateway.get(f"{path}/small")
    assert (found["id"], found["selfLink"]) == (made["targetId"], made["targetLink"])
    said = found["properties"]
    assert (said["machineType"], said["labels"], said["tags"]) == ("tiny", labels, {"items": ["web"]})
    assert said["metadata"]["items"] == metadata["items"]
    assert said["disks"][0]["initializeParams"] == {"sourceImage": DEBIAN, "diskSizeGb": "20"}
    assert said["networkInterfaces"][0]["network"].endswith("/projects/tenant/global/networks/default")
    assert ("region" in found) == (path == OF_REGION)
    assert gateway.get(f"{path}/{found['id']}") == found
    assert gateway.upstream == []


def test_templates_are_listed_where_they_are(gateway: Any) -> None:
    gateway.run("POST", TEMPLATES, template("everywhere"))
    gateway.run("POST", OF_REGION, template("here"))
    assert (gateway.names(TEMPLATES), gateway.names(OF_REGION)) == (["everywhere"], ["here"])
    items = gateway.get("aggregated/instanceTemplates")["items"]
    found = {scope: [one["name"] for one in held.get("instanceTemplates", [])] for scope, held in items.items()}
    assert (found["global"], found["regions/ch-gva"]) == (["everywhere"], ["here"])


def test_a_name_is_taken_until_its_template_is_deleted(gateway: Any) -> None:
    gateway.run("POST", TEMPLATES, template())
    gateway.refuse("POST", TEMPLATES, template(), status=409)
    gateway.run("POST", OF_REGION, template())
    gateway.run("DELETE", f"{TEMPLATES}/small")
    assert gateway.refuse("GET", f"{TEMPLATES}/small", status=404).endswith("instanceTemplates/small' was not found")
    gateway.run("POST", TEMPLATES, template())


def test_templates_of_others_are_not_seen(gateway: Any) -> None:
    gateway.run("POST", TEMPLATES, template())
    assert gateway.as_user("other").names(TEMPLATES) == []


def test_metadata_of_a_template_is_sealed_at_rest(gateway: Any) -> None:
    gateway.run("POST", TEMPLATES, template(metadata={"items": [{"key": "a", "value": "hunter2-in-the-clear"}]}))
    assert b"hunter2-in-the-clear" not in (gateway.settings.folder / "gstack.db").read_bytes()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (template(canIpForward=True), "resource.properties.canIpForward"),
        (template(machineType=""), "resource.properties.machineType"),
        ({"name": "small"}, "resource.properties"),
        (
            template(scheduling={"preemptible": True, "automaticRestart": True}),
            "resource.properties.scheduling.preemptible",
        ),
        (template("No Name"), "resource.name"),
        ({"name": "small", "sourceInstance": "zones/ch-gva-2/instances/web", "properties": {"a": 1}}, "properties"),
        (template(metadata={"items": [{"key": "a"}, {"key": "a"}]}), "resource.properties.metadata.items[1].key"),
    ],
)
def test_what_no_template_can_hold_is_refused_by_name(gateway: Any, body: dict[str, Any], field: str) -> None:
    assert field in gateway.refuse("POST", TEMPLATES, body)


def test_an_instance_is_made_of_a_template(gateway: Any) -> None:
    metadata = {"items": [{"key": "a", "value": "b"}]}
    gateway.run("POST", TEMPLATES, template(labels={"env": "x"}, metadata=metadata, description="of a template"))
    link = f"https://gateway.test/compute/v1/projects/tenant/{TEMPLATES}/small"
    gateway.run("POST", INSTANCES, {"name": "web"}, sourceInstanceTemplate=link)
    web = gateway.get(f"{INSTANCES}/web")
    assert (web["labels"], web["metadata"]["items"], web["description"]) == (
        {"env": "x"},
        metadata["items"],
        "of a template",
    )
    assert (web["disks"][0]["diskSizeGb"], web["machineType"].rpartition("/")[2]) == ("20", "tiny")
    assert gateway.cloudstack("listVirtualMachines")[0]["serviceofferingname"] == "Tiny"


def test_what_the_request_says_stands_in_the_place_of_the_templates(gateway: Any) -> None:
    gateway.run("POST", OF_REGION, template(labels={"env": "x"}))
    said = {"name": "web", "machineType": "zones/ch-gva-2/machineTypes/small", "labels": {"a": "b"}}
    gateway.run("POST", INSTANCES, said, sourceInstanceTemplate=f"{OF_REGION}/small")
    web = gateway.get(f"{INSTANCES}/web")
    assert (web["labels"], web["machineType"].rpartition("/")[2]) == ({"a": "b"}, "small")


@pytest.mark.parametrize("name", ["missing", "regions/de-fra/instanceTemplates/small"])
def test_a_template_that_is_not_there_or_of_another_region_makes_nothing(gateway: Any, name: str) -> None:
    gateway.run("POST", "regions/de-fra/instanceTemplates", template())
    status = 404 if name == "missing" else 400
    gateway.refuse("POST", INSTANCES, {"name": "web"}, status=status, sourceInstanceTemplate=name)
    assert gateway.cloudstack("listVirtualMachines") == []


def test_a_template_that_was_made_anew_is_not_the_one_of_a_unique_id(gateway: Any) -> None:
    links = []
    for _ in range(2):
        gateway.run("POST", TEMPLATES, template())
        links.append(f"{TEMPLATES}/small?uniqueId={gateway.get(f'{TEMPLATES}/small')['id']}")
        if len(links) == 1:
            gateway.run("DELETE", f"{TEMPLATES}/small")
    gateway.refuse("POST", INSTANCES, {"name": "web"}, status=404, sourceInstanceTemplate=links[0])
    gateway.run("POST", INSTANCES, {"name": "web"}, sourceInstanceTemplate=links[1])


def test_permissions_on_a_template_are_those_of_the_role(gateway: Any) -> None:
    gateway.run("POST", TEMPLATES, template())
    asked = {"permissions": ["compute.instanceTemplates.get", "compute.instanceTemplates.nonsense"]}
    answer = gateway.call("POST", f"{TEMPLATES}/small/testIamPermissions", asked)
    assert answer["permissions"] == ["compute.instanceTemplates.get"]
    assert "bindings" not in gateway.get(f"{TEMPLATES}/small/getIamPolicy")
