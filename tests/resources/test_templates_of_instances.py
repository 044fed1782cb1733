"""Instance templates made of an instance: what another one made of them shares with it, and what is its own."""

from __future__ import annotations

from typing import Any

import pytest

from gstack.translate import networks

TEMPLATES, OF_REGION = "global/instanceTemplates", "regions/ch-gva/instanceTemplates"
INSTANCES = "zones/{zone}/instances"
WEB = "projects/tenant/zones/ch-gva-2/instances/web"
DEBIAN = "projects/debian-cloud/global/images/family/debian-12"
UBUNTU = "projects/ubuntu-os-cloud/global/images/family/ubuntu-2404-lts"
PARAMS = "resource.sourceInstanceParams.diskConfigs[0]"
MODEL = {
    "name": "web",
    "machineType": "n1-standard-1",
    "description": "the model",
    "labels": {"env": "x"},
    "tags": {"items": ["http"]},
    "metadata": {"items": [{"key": "a", "value": "b"}]},
    "scheduling": {"automaticRestart": False},
    "serviceAccounts": [{"email": "a@b.test", "scopes": ["s"]}],
    "deletionProtection": True,
    "disks": [
        {
            "boot": True,
            "autoDelete": True,
            "deviceName": "system",
            "initializeParams": {"sourceImage": DEBIAN, "diskSizeGb": "20", "diskName": "own"},
        },
        {"deviceName": "data", "initializeParams": {"sourceImage": UBUNTU, "diskType": "pd-ssd", "diskName": "more"}},
        {"autoDelete": True, "initializeParams": {"diskSizeGb": "3", "diskName": "empty"}},
    ],
    "networkInterfaces": [{"accessConfigs": [{"name": "nat", "type": "ONE_TO_ONE_NAT"}]}],
}


@pytest.fixture
def web(gateway: Any) -> Any:
    """A gateway with an instance of three disks."""
    gateway.run("POST", INSTANCES, MODEL)
    return gateway


def made(gateway: Any, *configs: dict[str, Any], path: str = TEMPLATES) -> dict[str, Any]:
    """The properties of a template made of the instance."""
    params = {"sourceInstanceParams": {"diskConfigs": list(configs)}} if configs else {}
    gateway.run("POST", path, {"name": "like", "sourceInstance": WEB, **params})
    return dict(gateway.get(f"{path}/like")["properties"])


def images(said: dict[str, Any]) -> list[str]:
    """The sources of the disks, by the last words of their links; an empty disk has none."""
    return [disk["initializeParams"].get("sourceImage", "").partition("/images/")[2] for disk in said["disks"]]


@pytest.mark.parametrize("path", [TEMPLATES, OF_REGION])
def test_a_template_of_an_instance_has_what_another_one_is_to_share(web: Any, path: str) -> None:
    said = made(web, path=path)
    shared = ("machineType", "description", "labels", "serviceAccounts")
    assert {name: said[name] for name in shared} == {name: MODEL[name] for name in shared}
    assert (said["tags"]["items"], said["metadata"]["items"]) == (["http"], [{"key": "a", "value": "b"}])
    assert said["scheduling"]["automaticRestart"] is False
    nic = said["networkInterfaces"][0]
    assert nic["network"].endswith("/projects/tenant/global/networks/default") and "networkIP" not in nic
    assert [config["name"] for config in nic["accessConfigs"]] == ["nat"]
    disks = [(disk["boot"], disk["autoDelete"], disk["deviceName"]) for disk in said["disks"]]
    assert disks == [(True, True, "system"), (False, False, "data"), (False, True, "persistent-disk-2")]
    assert [disk["initializeParams"]["diskSizeGb"] for disk in said["disks"]][::2] == ["20", "3"]
    assert said["disks"][1]["initializeParams"]["diskType"] == "pd-ssd"
    boot, data, empty = images(said)
    assert (boot.startswith("linux-debian-12"), data.startswith("linux-ubuntu-24"), empty) == (True, True, "")
    assert web.get(f"{path}/like")["sourceInstance"].endswith(f"/compute/v1/{WEB}")


def test_an_instance_is_made_of_the_template_of_another_that_is_gone(web: Any) -> None:
    made(web)
    web.run("POST", f"{INSTANCES}/web/setDeletionProtection", deletionProtection="false")
    web.run("DELETE", f"{INSTANCES}/web")
    web.run("POST", INSTANCES, {"name": "next"}, sourceInstanceTemplate=f"{TEMPLATES}/like")
    found = web.get(f"{INSTANCES}/next")
    assert (found["labels"], found["machineType"].rpartition("/")[2]) == ({"env": "x"}, "n1-standard-1")
    assert [disk["deviceName"] for disk in found["disks"]] == ["system", "data", "persistent-disk-2"]
    assert [disk["diskSizeGb"] for disk in found["disks"]][::2] == ["20", "3"]


def test_what_is_said_of_a_disk_stands_in_the_place_of_what_it_is(web: Any) -> None:
    configs = (
        {"deviceName": "system", "instantiateFrom": "SOURCE_IMAGE_FAMILY", "autoDelete": False},
        {"deviceName": "data", "instantiateFrom": "CUSTOM_IMAGE", "customImage": "global/images/golden"},
        {"deviceName": "persistent-disk-2", "instantiateFrom": "DO_NOT_INCLUDE"},
    )
    said = made(web, *configs)
    assert [disk["initializeParams"]["sourceImage"].partition("images/")[2] for disk in said["disks"]] == [
        "family/debian-12",
        "golden",
    ]
    assert said["disks"][0]["autoDelete"] is False
    assert web.get(f"{TEMPLATES}/like")["sourceInstanceParams"] == {"diskConfigs": list(configs)}


def test_a_disk_can_be_empty_in_the_template(web: Any) -> None:
    assert images(made(web, {"deviceName": "data", "instantiateFrom": "BLANK"}))[1] == ""


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"deviceName": "none"}, f"{PARAMS}.deviceName"),
        ({"deviceName": "system", "instantiateFrom": "BLANK"}, f"{PARAMS}.instantiateFrom"),
        ({"deviceName": "system", "instantiateFrom": "DO_NOT_INCLUDE"}, f"{PARAMS}.instantiateFrom"),
        ({"deviceName": "data", "instantiateFrom": "CUSTOM_IMAGE"}, f"{PARAMS}.customImage"),
        ({"deviceName": "data", "customImage": "global/images/golden"}, f"{PARAMS}.customImage"),
        ({"deviceName": "data", "instantiateFrom": "ATTACH_READ_ONLY"}, f"{PARAMS}.instantiateFrom"),
        (
            {"deviceName": "persistent-disk-2", "instantiateFrom": "SOURCE_IMAGE"},
            "'persistent-disk-2' was made of no image",
        ),
    ],
)
def test_what_no_disk_can_be_is_refused_by_its_field(web: Any, config: dict[str, Any], field: str) -> None:
    body = {"name": "like", "sourceInstance": WEB, "sourceInstanceParams": {"diskConfigs": [config]}}
    assert field in web.refuse("POST", TEMPLATES, body)
    assert web.names(TEMPLATES) == []


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"sourceInstance": WEB + "9"}, 404, "web9"),
        ({"sourceInstance": WEB.replace("/tenant/", "/other/")}, 400, "another project"),
        ({"sourceInstance": "web"}, 400, "resource.sourceInstance"),
        ({"sourceInstance": WEB, "properties": {"machineType": "tiny"}}, 400, "not of both"),
        ({"sourceInstanceParams": {"diskConfigs": [{"deviceName": "data"}]}}, 400, PARAMS[:-3]),
    ],
)
def test_a_model_that_is_not_there_or_not_alone_is_refused(gateway: Any, body: Any, status: int, part: str) -> None:
    assert part in gateway.refuse("POST", TEMPLATES, {"name": "like", **body}, status=status)


def test_a_machine_of_another_tool_can_be_the_model(gateway: Any) -> None:
    gateway.deploy("web")
    said = made(gateway)
    assert (said["machineType"], len(said["disks"]), "metadata" in said) == ("tiny", 1, True)
    gateway.run("POST", INSTANCES, {"name": "next"}, sourceInstanceTemplate=f"{TEMPLATES}/like")


def test_a_network_that_another_process_made_a_moment_ago_is_known(web: Any, monkeypatch: Any) -> None:
    of_caller = networks.of_caller
    stale = [networks.Networks([])]
    monkeypatch.setattr(
        networks, "of_caller", lambda *args, **more: of_caller(*args, **more) if more or not stale else stale.pop()
    )
    assert made(web)["networkInterfaces"][0]["network"].endswith("/default")
