"""Templates that a user makes, which images are."""

from __future__ import annotations

import pytest

from gstack.operations.images import ALL_USERS, USERS

GB = 2**30


@pytest.fixture
def stopped(cloud):
    """A machine that ran and was stopped, with its root volume."""
    machine = cloud.machine()
    cloud.run("stopVirtualMachine", id=machine["id"])
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    return machine, root


def _template(cloud, **params):
    made = {"name": cloud.name("image"), "displaytext": "Made by a test", "ostypeid": cloud.template["ostypeid"]}
    answer = cloud.call("createTemplate", **(made | params))
    cloud.made.append(("template", answer))
    job = cloud.wait(answer)
    assert job.done, job.error
    return cloud.one("listTemplates", templatefilter="self", id=answer["id"])


def test_a_template_is_made_from_a_stopped_machines_root_volume(cloud, stopped):
    made = _template(cloud, volumeid=stopped[1]["id"])
    assert (made["isready"], made["ispublic"], made["isfeatured"]) == (True, False, False)
    assert made["displaytext"] == "Made by a test"
    assert (made["zoneid"], made["ostypeid"]) == (cloud.zone["id"], cloud.template["ostypeid"])


def test_a_running_machines_root_volume_makes_no_template_and_the_reason_is_hidden(cloud, machine):
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    names = {"name": cloud.name("image"), "displaytext": "x", "ostypeid": cloud.template["ostypeid"]}
    assert cloud.refused("createTemplate", volumeid=root["id"], **names).code == 530
    assert cloud.list("listTemplates", templatefilter="self", name=names["name"]) == []


def test_a_snapshot_makes_a_template_while_its_machine_runs(cloud, machine):
    cloud.may("createSnapshot")
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    snapshot = cloud.snapshot(volumeid=root["id"], name=cloud.name("snap"))
    assert _template(cloud, snapshotid=snapshot["id"])["isready"] is True


def test_a_template_of_ones_own_has_tags(cloud, stopped):
    made = _template(cloud, volumeid=stopped[1]["id"])
    cloud.run(
        "createTags", resourceids=[made["id"]], resourcetype="Template", tags=[{"key": "gstack:family", "value": "x"}]
    )
    [tag] = cloud.one("listTemplates", templatefilter="self", id=made["id"])["tags"]
    assert (tag["key"], tag["value"]) == ("gstack:family", "x")


def test_a_public_template_is_not_a_users_to_tag(cloud):
    tags = [{"key": "env", "value": "x"}]
    answer = cloud.call("createTags", resourceids=[cloud.template["id"]], resourcetype="Template", tags=tags)
    assert cloud.wait(answer).error.code == 530


def test_a_machine_is_made_from_a_template_of_ones_own_and_keeps_it_from_being_deleted(cloud, stopped):
    made = _template(cloud, volumeid=stopped[1]["id"])
    machine = cloud.machine(templateid=made["id"])
    assert machine["templatename"] == made["name"]
    assert cloud.wait(cloud.call("deleteTemplate", id=made["id"])).error.code == 431


def test_the_machines_that_keep_a_template_are_named_with_their_states_and_keep_nothing_from_force(cloud, stopped):
    made = _template(cloud, volumeid=stopped[1]["id"])
    machine = cloud.machine(templateid=made["id"])
    said = cloud.wait(cloud.call("deleteTemplate", id=made["id"])).error.text
    assert (USERS.findall(said), said.endswith(ALL_USERS)) == (["Running"], True)
    cloud.run("destroyVirtualMachine", id=machine["id"])
    said = cloud.wait(cloud.call("deleteTemplate", id=made["id"])).error.text
    assert USERS.findall(said) == ["Destroyed"]
    cloud.run("deleteTemplate", id=made["id"], forced=True)
    assert cloud.list("listTemplates", templatefilter="self", name=made["name"]) == []


def test_a_deleted_template_is_listed_no_more(cloud, stopped):
    made = _template(cloud, volumeid=stopped[1]["id"])
    cloud.run("deleteTemplate", id=made["id"])
    assert cloud.list("listTemplates", templatefilter="self", name=made["name"]) == []


def test_a_template_is_its_owners_alone(cloud, stranger, stopped):
    made = _template(cloud, volumeid=stopped[1]["id"])
    assert stranger.list("listTemplates", templatefilter="executable", name=made["name"]) == []
    assert stranger.refused("updateTemplate", id=made["id"], displaytext="mine").code == 531
    assert stranger.failed("deleteTemplate", id=made["id"]).code == 530
    assert cloud.one("listTemplates", templatefilter="self", id=made["id"])["displaytext"] == "Made by a test"


def test_a_public_template_is_not_a_users_to_change(cloud):
    if cloud.has("listHosts"):
        pytest.skip("the account may do everything")
    assert cloud.refused("updateTemplate", id=cloud.template["id"], displaytext="mine").code == 531


def test_the_root_volume_of_a_stopped_machine_grows(cloud, stopped):
    size = stopped[1]["size"] // GB + 2
    cloud.run("resizeVolume", id=stopped[1]["id"], size=size)
    assert cloud.one("listVolumes", id=stopped[1]["id"])["size"] == size * GB


def test_the_root_volume_of_a_running_machine_grows(cloud):
    machine = cloud.machine()
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    size = root["size"] // GB + 2
    cloud.run("resizeVolume", id=root["id"], size=size)
    assert cloud.one("listVolumes", id=root["id"])["size"] == size * GB


SOURCE = "http://192.0.2.1/gsc/disk.{}"
ENDINGS = {"VHD": "vhd", "QCOW2": "qcow2", "OVA": "ova", "RAW": "raw", "VHDX": "vhdx"}


def _register(cloud, run=None, **params):
    """A template of a URL, of the kind that the cloud's own are."""
    cloud.may("registerTemplate")
    kind, asked = cloud.template["format"], {"name": cloud.name("image"), "displaytext": "contract"}
    asked |= {"format": kind, "url": SOURCE.format(ENDINGS[kind]), "hypervisor": cloud.template["hypervisor"]}
    asked |= {"zoneid": cloud.zone["id"], "ostypeid": cloud.template["ostypeid"], "isextractable": True}
    answer = (run or cloud.call)("registerTemplate", **(asked | params))
    if run is None:
        cloud.made.append(("template", answer["template"][0]))
    return answer


def test_a_template_of_a_url_is_there_at_once_without_a_job(cloud):
    answer = _register(cloud)
    [made] = answer["template"]
    assert (answer["count"], made["zoneid"], made["templatetype"]) == (1, cloud.zone["id"], "USER")
    row = cloud.one("listTemplates", templatefilter="self", id=made["id"])
    assert (row["url"], row["ispublic"], row["isextractable"]) == (made["url"], False, True)
    assert isinstance(row["isready"], bool)
    assert row["status"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"url": "http://192.0.2.1/gsc/disk.txt"}, "Please specify a valid"),
        ({"url": "ftp://192.0.2.1/gsc/disk.vhd"}, "Unsupported scheme for url: ftp://192.0.2.1/gsc/disk.vhd"),
        ({"url": "http://localhost/gsc/disk.vhd"}, "Illegal host specified in URL."),
        ({"url": "http://gsc.invalid/disk.vhd"}, "Unable to resolve gsc.invalid."),
        ({"url": "http://192.0.2.1/a disk.vhd"}, "Invalid URL: http://192.0.2.1/a disk.vhd"),
        ({"format": "FLOPPY"}, "Image format: FLOPPY is incorrect."),
        ({"hypervisor": "Nope"}, "Hypervisor Type: Nope is invalid."),
    ],
    ids=str,
)
def test_a_url_that_cannot_be_is_refused_at_once_and_why(cloud, wrong, words):
    error = _register(cloud, run=cloud.refused, **wrong)
    assert (error.code, error.text[: len(words)]) == (431, words)


def test_a_template_that_its_owner_gives_out_has_a_url_for_everybody(cloud, stranger):
    [made] = _register(cloud)["template"]
    row = cloud.one("listTemplates", templatefilter="self", id=made["id"])
    if not row["isready"]:
        pytest.skip("nothing is downloaded here")
    asked = {"id": made["id"], "zoneid": cloud.zone["id"], "mode": "HTTP_DOWNLOAD"}
    given = cloud.run("extractTemplate", **asked)
    assert (given["id"], given["state"]) == (made["id"], "DOWNLOAD_URL_CREATED")
    assert given["url"].startswith(("http://", "https://"))
    assert stranger.failed("extractTemplate", **asked).code == 530
    [kept] = _register(cloud, isextractable=False)["template"]
    assert cloud.failed("extractTemplate", **(asked | {"id": kept["id"]})).code == 431
