"""Resource tags, which labels and marks are kept in. See gstack.translate.tags."""

from __future__ import annotations

import pytest

UNKNOWN = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def tagged(cloud):
    """A security group, the cheapest thing that has tags."""
    return cloud.group()


def _create(cloud, row, tags, run=None, kind="SecurityGroup"):
    pairs = [{"key": key, "value": value} for key, value in tags.items()]
    return (run or cloud.run)("createTags", resourceids=[row["id"]], resourcetype=kind, tags=pairs)


def _delete(cloud, row, tags, run=None, kind="SecurityGroup"):
    pairs = [{"key": key, "value": value} for key, value in tags.items()]
    return (run or cloud.run)("deleteTags", resourceids=[row["id"]], resourcetype=kind, tags=pairs)


def _tags(cloud, row, command="listSecurityGroups"):
    return {tag["key"]: tag["value"] for tag in cloud.one(command, id=row["id"])["tags"]}


AWKWARD = {
    "gstack:marks": '{"a":[1,"ü ✓"]}',
    "gstack-tag:web": "true",
    "equals": "=",
    "plain": "a/b, c; d*~ 'e' <f> g%h+i?[j]\\k|l",
    "lines": "one\ntwo",
}


def test_many_awkward_tags_are_kept_as_they_were_sent(cloud, tagged):
    _create(cloud, tagged, AWKWARD)
    assert _tags(cloud, tagged) == AWKWARD


@pytest.mark.parametrize(("kind", "command"), [("UserVm", "listVirtualMachines"), ("uservm", "listVirtualMachines")])
def test_a_running_machine_is_tagged_under_any_spelling_of_its_type(cloud, machine, kind, command):
    _create(cloud, machine, {"env": "prod"}, kind=kind)
    try:
        assert _tags(cloud, machine, command) == {"env": "prod"}
    finally:
        _delete(cloud, machine, {"env": "prod"}, kind="UserVm")


def test_volumes_and_snapshots_are_tagged(cloud, machine):
    [root] = cloud.list("listVolumes", virtualmachineid=machine["id"], type="ROOT")
    _create(cloud, root, {"env": "prod"}, kind="Volume")
    assert _tags(cloud, root, "listVolumes") == {"env": "prod"}
    _delete(cloud, root, {"env": "prod"}, kind="Volume")


def test_an_unknown_type_is_refused(cloud, machine):
    assert _create(cloud, machine, {"a": "b"}, run=_either(cloud), kind="VirtualMachine") in (431, 530)


def test_a_key_that_is_there_is_not_overwritten(cloud, tagged):
    _create(cloud, tagged, {"env": "prod"})
    error = _create(cloud, tagged, {"env": "test"}, run=cloud.failed)
    assert (error.code, error.kind) == (530, "alreadyExists")
    assert _tags(cloud, tagged) == {"env": "prod"}


def test_keys_that_differ_in_case_only_are_one(cloud, tagged):
    _create(cloud, tagged, {"env": "prod"})
    assert _create(cloud, tagged, {"ENV": "test"}, run=cloud.failed).kind == "alreadyExists"


def test_one_bad_tag_keeps_all_of_a_call_out(cloud, tagged):
    _create(cloud, tagged, {"env": "prod"})
    _create(cloud, tagged, {"first": "1", "env": "2"}, run=cloud.failed)
    assert _tags(cloud, tagged) == {"env": "prod"}


def test_an_empty_value_fails_the_job(cloud, tagged):
    assert _create(cloud, tagged, {"env": ""}, run=cloud.failed).code == 431


def test_a_character_beyond_the_basic_plane_fails_the_job(cloud, tagged):
    assert _create(cloud, tagged, {"env": "\U0001f600"}, run=cloud.failed).code == 530
    assert _tags(cloud, tagged) == {}


def test_what_is_too_long_is_cut_without_a_word(cloud, tagged):
    _create(cloud, tagged, {"k" * 260: "v" * 260})
    assert _tags(cloud, tagged) == {"k" * 255: "v" * 255}


def test_a_tag_is_changed_by_deleting_and_creating(cloud, tagged):
    _create(cloud, tagged, {"env": "prod", "stays": "1"})
    _delete(cloud, tagged, {"env": "prod"})
    _create(cloud, tagged, {"env": "test"})
    assert _tags(cloud, tagged) == {"env": "test", "stays": "1"}


def test_deleting_with_another_value_or_an_absent_key_fails_the_job(cloud, tagged):
    _create(cloud, tagged, {"env": "prod"})
    assert _delete(cloud, tagged, {"env": "other"}, run=cloud.failed).code == 530
    assert _delete(cloud, tagged, {"absent": "1"}, run=cloud.failed).code == 530
    assert _tags(cloud, tagged) == {"env": "prod"}


def test_deleting_takes_what_is_there_and_passes_over_the_rest(cloud, tagged):
    _create(cloud, tagged, {"env": "prod", "stays": "1"})
    _delete(cloud, tagged, {"env": "prod", "absent": "1", "stays": "2"})
    assert _tags(cloud, tagged) == {"stays": "1"}


def test_deleting_from_what_is_not_there_or_has_no_tags_fails_the_job(cloud, tagged):
    for key in (tagged["id"], UNKNOWN):
        assert cloud.failed("deleteTags", resourceids=[key], resourcetype="SecurityGroup").code == 530


def test_deleting_without_tags_deletes_all(cloud, tagged):
    _create(cloud, tagged, {"env": "prod", "two": "2"})
    cloud.run("deleteTags", resourceids=[tagged["id"]], resourcetype="SecurityGroup")
    assert _tags(cloud, tagged) == {}


def test_objects_are_found_by_any_of_several_tags(cloud):
    one, two, neither = cloud.group(), cloud.group(), cloud.group()
    mark = cloud.name("mark")
    _create(cloud, one, {"gsc-a": mark})
    _create(cloud, two, {"gsc-b": mark})
    _create(cloud, neither, {"gsc-b": "x"})
    wanted = [{"key": "gsc-a", "value": mark}, {"key": "gsc-b", "value": mark}]
    assert {row["id"] for row in cloud.list("listSecurityGroups", tags=wanted)} == {one["id"], two["id"]}


def test_a_destroyed_machines_tags_do_not_keep_a_new_one_from_having_them(cloud):
    first = cloud.machine(startvm=False)
    _create(cloud, first, {"env": "prod"}, kind="UserVm")
    cloud.run("destroyVirtualMachine", id=first["id"])
    second = cloud.machine(startvm=False)
    _create(cloud, second, {"env": "prod"}, kind="UserVm")
    assert _tags(cloud, second, "listVirtualMachines") == {"env": "prod"}


def test_another_accounts_object_is_not_tagged_and_keeps_its_tags(cloud, stranger, tagged):
    _create(cloud, tagged, {"env": "prod"})
    assert _create(stranger, tagged, {"two": "2"}, run=_either(stranger)) in (530, 531)
    assert _delete(stranger, tagged, {"env": "prod"}, run=_either(stranger)) in (530, 531)
    assert _tags(cloud, tagged) == {"env": "prod"}


def _either(cloud):
    """The error code, at once or of the job."""

    def run(command, **params):
        from gstack.cloudstack.errors import CloudStackError

        try:
            answer = cloud.call(command, **params)
        except CloudStackError as error:
            return error.code
        error = cloud.wait(answer).error
        return error and error.code

    return run
