"""Images made of disks and snapshots, changed, deprecated and deleted, with the effect looked at in CloudStack."""

from __future__ import annotations

from typing import Any

import pytest

IMAGES = "global/images"
DISK = "zones/ch-gva-2/disks/web"


@pytest.fixture
def web(gateway: Any) -> Any:
    """The gateway, with a stopped instance ``web``."""
    row = gateway.deploy("web", rootdisksize=20)
    gateway.cloudstack("stopVirtualMachine", id=row["id"])
    gateway.simulator.settle()
    return gateway


def templates(gateway: Any) -> list[dict[str, Any]]:
    """The user's templates."""
    return list(gateway.cloudstack("listTemplates", templatefilter="self"))


def made(gateway: Any, name: str = "golden", **body: Any) -> dict[str, Any]:
    """A new image, of the disk ``web`` where nothing else is said, as it is read back."""
    source = {} if "sourceSnapshot" in body else {"sourceDisk": DISK}
    gateway.run("POST", IMAGES, {"name": name, **source, **body})
    return dict(gateway.get(f"{IMAGES}/{name}"))


def test_an_image_of_a_disk_is_a_template_and_reads_back_as_it_was_asked_for(web: Any) -> None:
    image = made(web, description="of mine", family="mine", labels={"tier": "gold"})
    assert (image["status"], image["description"], image["family"]) == ("READY", "of mine", "mine")
    assert (image["labels"], image["diskSizeGb"]) == ({"tier": "gold"}, "20")
    disk = web.get(DISK)
    assert (image["sourceDisk"], image["sourceDiskId"]) == (disk["selfLink"], disk["id"])
    (row,) = templates(web)
    assert (row["name"], row["displaytext"], row["ispublic"]) == ("golden", "of mine", False)


def test_an_image_has_the_os_type_of_what_its_disk_was_made_of(web: Any) -> None:
    made(web)
    origin = web.cloudstack("listTemplates", templatefilter="featured", name="Linux Debian 12 64-bit")[0]
    assert templates(web)[0]["ostypeid"] == origin["ostypeid"]


def test_an_image_without_a_description_has_none(web: Any) -> None:
    assert "description" not in made(web)


def test_an_image_of_a_snapshot_knows_its_size(web: Any) -> None:
    web.run("POST", f"{DISK}/createSnapshot", {"name": "snap"})
    image = made(web, sourceSnapshot="global/snapshots/snap")
    snapshot = web.get("global/snapshots/snap")
    assert (image["sourceSnapshot"], image["sourceSnapshotId"]) == (snapshot["selfLink"], snapshot["id"])
    assert image["diskSizeGb"] == "20"
    assert web.get(IMAGES)["items"] == [image]


def test_an_instance_is_made_of_an_own_image_by_its_family(web: Any) -> None:
    made(web, family="mine")
    body = {
        "name": "copy",
        "machineType": "zones/ch-gva-2/machineTypes/tiny",
        "disks": [{"boot": True, "initializeParams": {"sourceImage": "global/images/family/mine"}}],
        "networkInterfaces": [{}],
    }
    web.run("POST", "zones/{zone}/instances", body)
    assert web.cloudstack("listVirtualMachines", name="copy")[0]["templatename"] == "golden"


def test_the_disk_of_a_running_instance_is_refused_as_gce_does(gateway: Any) -> None:
    gateway.deploy("web")
    body = {"name": "golden", "sourceDisk": DISK}
    answer = gateway.call("POST", IMAGES, body, status=400)
    assert answer["error"]["errors"][0]["reason"] == "resourceInUseByAnotherResource"
    assert answer["error"]["message"].endswith("already being used by 'projects/tenant/zones/ch-gva-2/instances/web'")
    assert "Make a snapshot" in gateway.refuse("POST", IMAGES, body, forceCreate="true")


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({"sourceDisk": DISK}, 400, "'resource.name' not specified"),
        ({"name": "Golden", "sourceDisk": DISK}, 400, "'resource.name': 'Golden'"),
        ({"name": "golden", "sourceDisk": DISK, "family": "No Family"}, 400, "resource.family"),
        ({"name": "golden"}, 400, "Exactly one of"),
        ({"name": "golden", "sourceDisk": DISK, "sourceSnapshot": "global/snapshots/a"}, 400, "Exactly one of"),
        ({"name": "golden", "sourceDisk": "zones/ch-gva-2/disks/none"}, 404, "disks/none' was not found"),
        ({"name": "golden", "sourceSnapshot": "global/snapshots/none"}, 404, "snapshots/none' was not found"),
        ({"name": "golden", "sourceImage": "global/images/other"}, 400, "resource.sourceImage"),
        ({"name": "golden", "sourceDisk": DISK, "storageLocations": ["eu"]}, 400, "resource.storageLocations"),
        ({"name": "golden", "sourceDisk": DISK, "diskSizeGb": "50"}, 400, "resource.diskSizeGb"),
    ],
)
def test_what_an_image_cannot_be_is_refused_by_name(web: Any, body: dict[str, Any], status: int, part: str) -> None:
    assert part in web.refuse("POST", IMAGES, body, status=status)
    assert templates(web) == []


def test_a_disk_that_was_never_attached_makes_no_image(gateway: Any) -> None:
    gateway.run("POST", "zones/{zone}/disks", {"name": "data", "sizeGb": "10"})
    body = {"name": "golden", "sourceDisk": "zones/ch-gva-2/disks/data"}
    assert "has never been attached" in gateway.refuse("POST", IMAGES, body)


def test_two_images_of_one_name_cannot_be_made(web: Any) -> None:
    made(web)
    message = web.refuse("POST", IMAGES, {"name": "golden", "sourceDisk": DISK}, status=409)
    assert message.endswith("global/images/golden' already exists")


@pytest.mark.parametrize("command", ["createTemplate", "createTags"])
def test_an_image_whose_answer_is_lost_is_made_once(web: Any, command: str) -> None:
    web.simulator.faults.add("lose", command)
    assert made(web, family="mine")["family"] == "mine"
    assert len(templates(web)) == 1


def test_an_image_that_fails_half_way_is_taken_back(web: Any) -> None:
    web.simulator.faults.add("fail-job", "createTags", text="no luck")
    error = web.fail("POST", IMAGES, {"name": "golden", "sourceDisk": DISK, "family": "mine"})
    assert "no luck" in error["message"] and "Undone: the image golden." in error["message"]
    assert templates(web) == []


def test_an_image_of_a_url_or_an_image_needs_a_command_that_a_cloudstack_may_lack(
    web: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(web)
    names = frozenset(api["name"] for api in web.cloudstack("listApis")) - {"registerTemplate"}
    monkeypatch.setattr("gstack.cloudstack.catalogue.Catalogue.apis", lambda *_, **__: names)
    sources = {"rawDisk": {"source": "https://images.test/golden.qcow2"}, "sourceImage": "global/images/golden"}
    for member, source in sources.items():
        assert "registerTemplate" in web.refuse("POST", IMAGES, {"name": "other", member: source}, status=501)


def test_an_image_survives_the_loss_of_the_database_but_for_its_source(web: Any) -> None:
    before = made(web, description="of mine", family="mine", labels={"tier": "gold"})
    web.forget_everything()
    lost = {"sourceDisk", "sourceDiskId"}
    assert web.get(f"{IMAGES}/golden") == {name: value for name, value in before.items() if name not in lost}


def test_labels_of_an_image_are_changed(web: Any) -> None:
    image = made(web, family="mine", labels={"tier": "gold"})
    body = {"labels": {"tier": "silver"}, "labelFingerprint": image["labelFingerprint"]}
    web.run("POST", f"{IMAGES}/golden/setLabels", body)
    changed = web.get(f"{IMAGES}/golden")
    assert (changed["labels"], changed["family"]) == ({"tier": "silver"}, "mine")
    web.refuse("POST", f"{IMAGES}/golden/setLabels", body, status=412)


def test_a_patch_changes_what_it_names_and_nothing_else(web: Any) -> None:
    image = made(web, description="of mine", family="mine", labels={"tier": "gold"})
    operation = web.run("PATCH", f"{IMAGES}/golden", {"family": "other", "description": "of ours"})
    assert operation["operationType"] == "patch"
    expected = {**image, "family": "other", "description": "of ours"}
    assert web.get(f"{IMAGES}/golden") == expected
    assert templates(web)[0]["displaytext"] == "of ours"
    body = {"labels": {"a": "b"}, "labelFingerprint": image["labelFingerprint"]}
    web.run("PATCH", f"{IMAGES}/golden", body)
    assert web.get(f"{IMAGES}/golden")["labels"] == {"a": "b"}


def test_a_patch_takes_a_family_and_a_description_away(web: Any) -> None:
    made(web, description="of mine", family="mine")
    web.run("PATCH", f"{IMAGES}/golden", {"family": "", "description": ""})
    assert not {"family", "description"} & web.get(f"{IMAGES}/golden").keys()


def test_a_patch_renames_nothing_and_labels_need_a_fingerprint(web: Any) -> None:
    made(web)
    assert "cannot be changed" in web.refuse("PATCH", f"{IMAGES}/golden", {"name": "other"})
    web.refuse("PATCH", f"{IMAGES}/golden", {"labels": {"a": "b"}}, status=412)


def test_a_patch_that_fails_half_way_is_taken_back(web: Any) -> None:
    image = made(web, description="of mine", family="mine")
    web.simulator.faults.add("fail-job", "createTags", text="no luck")
    web.fail("PATCH", f"{IMAGES}/golden", {"family": "other", "description": "of ours"})
    assert web.get(f"{IMAGES}/golden") == image


def test_a_deprecated_image_is_found_by_name_and_not_by_family(web: Any) -> None:
    made(web, family="mine")
    body = {"state": "DEPRECATED", "replacement": "projects/tenant/global/images/newer"}
    operation = web.run("POST", f"{IMAGES}/golden/deprecate", body)
    assert operation["operationType"] == "deprecate"
    image = web.get(f"{IMAGES}/golden")
    assert (image["deprecated"], image["family"]) == (body, "mine")
    web.refuse("GET", f"{IMAGES}/family/mine", status=404)
    web.run("POST", f"{IMAGES}/golden/deprecate", {"state": "ACTIVE"})
    assert "deprecated" not in web.get(f"{IMAGES}/golden")
    assert web.get(f"{IMAGES}/family/mine")["name"] == "golden"


def test_what_is_made_of_a_deprecated_image_is_made_and_warned_of(web: Any) -> None:
    made(web)
    body = {"state": "DEPRECATED", "replacement": "https://www.googleapis.com/compute/v1/projects/p/global/images/new"}
    web.run("POST", f"{IMAGES}/golden/deprecate", body)
    boot = {"boot": True, "initializeParams": {"sourceImage": "global/images/golden"}}
    body = {"name": "db", "machineType": "tiny", "disks": [boot], "networkInterfaces": [{}]}
    machine = web.run("POST", "zones/{zone}/instances", body)
    disk = web.run("POST", "zones/{zone}/disks", {"name": "d", "sourceImage": "global/images/golden"})
    golden, suggested = (
        "projects/tenant/global/images/golden",
        "A suggested replacement is 'projects/p/global/images/new'.",
    )
    data = [{"key": "resource_name", "value": golden}, {"key": "replacement_suggestion", "value": suggested}]
    warning = {
        "code": "DEPRECATED_RESOURCE_USED",
        "message": f"The resource '{golden}' is deprecated. {suggested}",
        "data": data,
    }
    assert machine["warnings"] == disk["warnings"] == [warning]


def test_nothing_is_made_of_an_image_that_is_out_of_use(web: Any) -> None:
    made(web)
    boot = {"boot": True, "initializeParams": {"sourceImage": "global/images/golden"}}
    machine = {"name": "db", "machineType": "tiny", "disks": [boot], "networkInterfaces": [{}]}
    for state in ("OBSOLETE", "DELETED"):
        web.run("POST", f"{IMAGES}/golden/deprecate", {"state": state})
        refusals = [
            web.refuse("POST", "zones/{zone}/instances", machine),
            web.refuse("POST", "zones/{zone}/disks", {"name": "d", "sourceImage": "global/images/golden"}),
            web.refuse("POST", IMAGES, {"name": "copy", "sourceImage": "global/images/golden"}),
        ]
        assert all(f"is {state} and can no longer be used" in refusal for refusal in refusals)
    web.run("POST", f"{IMAGES}/golden/deprecate", {"state": "ACTIVE"})
    assert "warnings" not in web.run("POST", "zones/{zone}/instances", machine)


def test_the_dates_of_a_deprecation_are_dates(web: Any) -> None:
    made(web)
    said = web.refuse("POST", f"{IMAGES}/golden/deprecate", {"state": "DEPRECATED", "deleted": "tomorrow"})
    assert "'deleted': 'tomorrow'. Must be an RFC 3339 timestamp." in said
    body = {"state": "DEPRECATED", "obsolete": "2029-12-31", "deleted": "2030-01-01T00:00:00Z"}
    web.run("POST", f"{IMAGES}/golden/deprecate", body)
    assert web.get(f"{IMAGES}/golden")["deprecated"] == body


def test_a_deprecation_survives_the_loss_of_the_database(web: Any) -> None:
    made(web)
    web.run("POST", f"{IMAGES}/golden/deprecate", {"state": "OBSOLETE"})
    web.forget_everything()
    assert web.get(f"{IMAGES}/golden")["deprecated"] == {"state": "OBSOLETE"}


@pytest.mark.parametrize("fault", ["lose", None])
def test_an_image_is_deleted(web: Any, fault: str | None) -> None:
    made(web)
    if fault:
        web.simulator.faults.add(fault, "deleteTemplate")
    web.run("DELETE", f"{IMAGES}/golden")
    assert templates(web) == []
    assert web.names(IMAGES) == []
    web.refuse("DELETE", f"{IMAGES}/golden", status=404)


def test_an_image_is_deleted_after_its_instances_and_disks(web: Any) -> None:
    made(web)
    template = templates(web)[0]["id"]
    machine = web.deploy("copy", templateid=template)
    web.run("DELETE", "zones/{zone}/instances/copy")
    web.run("POST", "zones/{zone}/disks", {"name": "d", "sourceImage": f"{IMAGES}/golden"})
    error = web.fail("DELETE", f"{IMAGES}/golden")
    assert (error["code"], "The disk 'd' was made of the image" in error["message"]) == (
        "RESOURCE_IN_USE_BY_ANOTHER_RESOURCE",
        True,
    )
    web.run("DELETE", "zones/{zone}/disks/d")
    web.run("DELETE", f"{IMAGES}/golden")
    assert templates(web) == []
    assert web.simulator.world.machine.rows[machine["id"]].state == "Destroyed"  # and not expunged


def test_an_image_with_more_users_than_cloudstack_names_stays(web: Any) -> None:
    made(web)
    template = templates(web)[0]["id"]
    for number in range(8):
        machine = web.deploy(f"copy-{number}", templateid=template)
        web.cloudstack("destroyVirtualMachine", id=machine["id"])
    web.simulator.settle()
    assert "because VM instances" in web.fail("DELETE", f"{IMAGES}/golden")["message"]


def test_an_image_that_an_instance_was_made_of_stays(web: Any) -> None:
    made(web)
    template = templates(web)[0]["id"]
    web.deploy("copy", templateid=template)
    error = web.fail("DELETE", f"{IMAGES}/golden")
    assert (error["code"], error["http"]) == ("RESOURCE_IN_USE_BY_ANOTHER_RESOURCE", 400)
    assert web.names(IMAGES) == ["golden"]


def test_an_image_of_all_tenants_cannot_be_changed_by_one(web: Any) -> None:
    public = "/compute/v1/projects/debian-cloud/global/images"
    name = web.names(public)[0]
    web.call("DELETE", f"{public}/{name}", status=None)
    assert web.status in (403, 404)
    assert name in web.names(public)
