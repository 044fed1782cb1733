"""Lists: their envelopes, their pages, what a filter finds. What gstack.cloudstack.client and all look-ups rest on."""

from __future__ import annotations

import pytest

ABSENT = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def groups(subject):
    """Three groups whose names begin alike."""
    before = len(subject.made)
    stem = subject.name("page")
    yield [subject.group(name=f"{stem}-{letter}") for letter in "abc"]
    subject.remove(before)


def test_an_empty_list_has_neither_count_nor_array(cloud):
    assert cloud.call("listVolumes", keyword="gsc-no-such-volume") == {}


def test_a_page_past_the_end_has_a_count_and_no_array(cloud, groups):
    answer = cloud.call("listSecurityGroups", keyword=groups[0]["name"][:-2], page=9, pagesize=2)
    assert answer == {"count": 3}


def test_count_is_of_all_matches_and_not_of_the_page(cloud, groups):
    rows, count = cloud.cloud.page("listSecurityGroups", 2, 2, keyword=groups[0]["name"][:-2])
    assert (len(rows), count) == (1, 3)


def test_pages_together_are_the_whole_list(cloud, groups):
    stem = groups[0]["name"][:-2]
    pages = [cloud.cloud.page("listSecurityGroups", number, 1, keyword=stem)[0][0]["name"] for number in (1, 2, 3)]
    assert sorted(pages) == [row["name"] for row in groups]


@pytest.mark.parametrize("params", [{"page": 1}, {"pagesize": 10}, {"page": 1, "pagesize": 501}])
def test_half_a_page_and_too_large_a_page_are_refused(cloud, params):
    assert cloud.refused("listVolumes", **params).code == 431


def test_a_name_is_matched_whole_and_without_case(cloud, machine):
    names = [machine["name"], machine["name"].upper()]
    assert [len(cloud.list("listVirtualMachines", name=name)) for name in names] == [1, 1]
    assert cloud.list("listVirtualMachines", name=machine["name"][:-1]) == []


@pytest.mark.parametrize(
    ("command", "more"),
    [("listZones", {}), ("listServiceOfferings", {}), ("listTemplates", {"templatefilter": "featured"})],
)
def test_catalogues_are_found_by_whole_names(cloud, command, more):
    name = cloud.list(command, **more)[0]["name"]
    assert {row["name"].lower() for row in cloud.list(command, name=name.upper(), **more)} == {name.lower()}
    assert cloud.list(command, name=name[:-1] + "\u2713", **more) == []


def test_a_security_group_is_found_by_securitygroupname_only(cloud, groups):
    name = groups[0]["name"]
    assert [row["id"] for row in cloud.list("listSecurityGroups", securitygroupname=name)] == [groups[0]["id"]]
    assert cloud.list("listSecurityGroups", securitygroupname=name[:-1]) == []


def test_a_keyword_is_found_inside_a_name(cloud, groups):
    assert len(cloud.list("listSecurityGroups", keyword=groups[0]["name"][4:-2])) == 3


def test_an_unknown_id_is_refused_and_not_an_empty_list(cloud):
    for command in ("listVirtualMachines", "listVolumes", "listSecurityGroups", "listSnapshots"):
        error = cloud.refused(command, id=ABSENT)
        assert (error.code, error.kind) == (431, "notFound"), command


def test_several_ids_give_their_rows_and_an_unknown_one_spoils_them(cloud, machine):
    assert len(cloud.list("listVirtualMachines", ids=[machine["id"]])) == 1
    assert cloud.refused("listVirtualMachines", ids=[machine["id"], ABSENT]).code == 431


def test_another_accounts_objects_are_not_listed_and_not_to_be_touched(cloud, stranger, machine):
    assert stranger.list("listVirtualMachines", id=machine["id"]) == []
    assert stranger.list("listVolumes", virtualmachineid=machine["id"]) == []
    error = stranger.refused("stopVirtualMachine", id=machine["id"])
    assert (error.code, error.kind) == (531, "forbidden")


def test_another_accounts_group_is_not_to_be_touched(cloud, stranger):
    group = cloud.group()
    assert stranger.list("listSecurityGroups", id=group["id"]) == []
    assert stranger.refused("deleteSecurityGroup", id=group["id"]).code == 531


def test_filters_of_machines_are_anded_and_states_ignore_case(cloud, machine):
    zone = cloud.zone["id"]
    assert cloud.list("listVirtualMachines", zoneid=zone, name=machine["name"], state="running")
    assert cloud.list("listVirtualMachines", zoneid=zone, name=machine["name"], state="Stopped") == []


def test_a_machine_has_the_parts_that_were_asked_for(cloud, machine):
    nics = cloud.one("listVirtualMachines", id=machine["id"], details=["nics"])
    assert nics["nic"][0]["macaddress"]
    assert "templatename" not in nics
    assert cloud.refused("listVirtualMachines", details=["everything"]).code == 431


def test_templates_need_a_filter_and_are_listed_once_for_each_zone(cloud):
    assert cloud.refused("listTemplates", id=cloud.template["id"]).code == 431
    rows = cloud.list("listTemplates", templatefilter="featured", id=cloud.template["id"])
    assert len({row["zoneid"] for row in rows}) == len(rows)
