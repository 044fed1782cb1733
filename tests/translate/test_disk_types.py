"""Disk offerings as disk types."""

from __future__ import annotations

import pytest

from gstack.translate.disk_types import DiskTypes


def offering(name, size=0, created="2026-11-21T08:23:34+0000", **members):
    row = {
        "id": f"id-{name}",
        "name": name,
        "disksize": size,
        "iscustomized": not size,
        "storagetype": "shared",
    }
    return row | {"created": created} | members


OFFERINGS = [
    offering("ssd-custom", created="2026-11-21T08:28:50+0000"),
    offering("Small", 5),
    offering("Custom"),
    offering("Small", 9, created="2027-01-01T00:00:00+0000", id="89abcdef"),
]


@pytest.mark.parametrize("name", ["pd-standard", "pd-balanced", "pd-ssd"])
def test_googles_types_stand_for_the_oldest_offering_of_custom_size(name):
    found = DiskTypes(OFFERINGS).get(name)
    assert (found.name, found.id, found.custom_size, found.alias) == (name, "id-Custom", True, True)


def test_settings_choose_another():
    types = DiskTypes(OFFERINGS, {"pd-ssd": "ssd-custom", "pd-extreme": "ssd-custom", "pd-balanced": "none"})
    assert types.get("pd-ssd").id == types.get("pd-extreme").id == "id-ssd-custom"
    assert types.get("pd-balanced") is None
    assert types.of_volume({"diskofferingid": "id-ssd-custom"}) == "ssd-custom"


def test_offerings_are_listed_besides():
    assert [one.name for one in DiskTypes(OFFERINGS).listed()] == [
        "custom", "pd-balanced", "pd-ssd", "pd-standard", "small", "small-89abcdef", "ssd-custom",
    ]  # fmt: skip


def test_a_fixed_offering_has_its_size():
    found = DiskTypes(OFFERINGS).get("small")
    assert (found.size_gb, found.custom_size, found.alias) == (5, False, False)


def test_local_ssd_needs_an_offering_on_local_storage():
    assert DiskTypes(OFFERINGS).get("local-ssd") is None
    local = offering("scratch", storagetype="local")
    assert DiskTypes([*OFFERINGS, local]).get("local-ssd").id == "id-scratch"


def test_local_storage_and_named_iops_never_stand_for_a_persistent_disk():
    rows = [offering("scratch", storagetype="local"), offering("iops", iscustomizediops=True)]
    assert DiskTypes(rows).get("pd-standard") is None


def test_an_offering_that_bears_googles_name_is_itself():
    assert DiskTypes([*OFFERINGS, offering("pd-ssd", 7)]).get("pd-ssd").size_gb == 7


def test_an_offering_bound_to_a_zone_is_in_that_only():
    rows = [offering("near", 5, zoneid="z1")]
    assert DiskTypes(rows, zoneid="z1").get("near") is not None
    assert DiskTypes(rows, zoneid="z2").listed() == ()


def test_a_volume_shows_its_offering():
    assert DiskTypes(OFFERINGS).of_volume({"diskofferingid": "id-Small"}) == "small"
    assert DiskTypes(OFFERINGS).of_volume({"diskofferingid": "gone", "diskofferingname": "Was Fast"}) == "was-fast"
    assert DiskTypes(OFFERINGS).of_volume({}) == "pd-standard"
