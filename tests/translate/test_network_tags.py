"""Network tags of machines, and names of their disks' devices."""

from __future__ import annotations

from gstack.translate import machines, volumes

OURS = {"name": "gstack:network:default"}
TAG = {"key": "gstack-tag:http", "value": "true"}


def test_a_machine_of_ours_wears_the_tags_it_was_given() -> None:
    row = {"securitygroup": [OURS, {"name": "theirs"}], "tags": [TAG]}
    assert (machines.network_tags(row), machines.foreign_tags(row)) == (["http"], set())


def test_a_machine_of_another_tool_wears_the_names_of_its_groups_as_well() -> None:
    row = {"securitygroup": [{"name": "Their Group"}], "tags": [TAG]}
    (foreign,) = machines.foreign_tags(row)
    assert machines.network_tags(row) == sorted(["http", foreign])


def test_a_machine_without_groups_wears_no_more_than_its_tags() -> None:
    assert machines.network_tags({"tags": [TAG]}) == ["http"]


def test_the_boot_disk_comes_first_whatever_its_place() -> None:
    data = {"id": "d", "type": "DATADISK", "virtualmachineid": "m", "deviceid": 0}
    more = {"id": "e", "type": "DATADISK", "virtualmachineid": "m", "deviceid": 2}
    root = {"id": "r", "type": "ROOT", "virtualmachineid": "m", "deviceid": 9}
    assert [row["id"] for row in volumes.in_order([more, data, root])] == ["r", "d", "e"]


def test_a_device_is_called_as_it_was_asked_for_or_after_its_place() -> None:
    assert volumes.device_name({"deviceName": "logs"}, 1) == "logs"
    assert volumes.device_name({}, 1) == "persistent-disk-1"
