"""Service offerings as machine types."""

from __future__ import annotations

import pytest

from gstack.errors import GceError
from gstack.translate.machine_types import MachineTypes, shapes


def fixed(name, cpus, memory, speed=1000, **members):
    row = {"id": f"id-{name}", "name": name, "cpunumber": cpus, "memory": memory, "cpuspeed": speed}
    return row | {"created": "2026-11-21T08:28:31+0000", "iscustomized": False} | members


def custom(name, **members):
    return {
        "id": f"id-{name}",
        "name": name,
        "created": "2026-11-21T08:28:31+0000",
        "iscustomized": True,
    } | members


LIMITS = {"mincpunumber": "1", "maxcpunumber": "8", "minmemory": "512", "maxmemory": "16384"}
# As recorded from CloudStack 4.22.
OFFERINGS = [
    fixed("Small Instance", 1, 512, 500, created="2026-11-21T08:23:34+0000"),
    fixed("Tiny", 1, 1024),
    fixed("Small", 2, 2048),
    fixed("Medium", 2, 4096),
    fixed("Large", 4, 8192),
    custom("custom-unconstrained"),
    custom("custom-constrained", cpuspeed=1000, serviceofferingdetails=LIMITS),
    fixed("custom-iops", 1, 1024, iscustomizediops=True, created="2026-01-01T00:00:00+0000"),
    fixed("zoned", 1, 256, zoneid="z1,z2"),
]


@pytest.fixture
def types():
    return MachineTypes(OFFERINGS)


def test_fixed_offerings_are_listed_under_their_names(types):
    assert [one.name for one in types.listed()] == [
        "custom-iops", "large", "medium", "small", "small-instance", "tiny", "zoned",
    ]  # fmt: skip


@pytest.mark.parametrize("made", ["2026-01-01T00:00:00+0000", "2026-12-01T00:00:00+0000"])
def test_of_two_offerings_of_one_size_the_one_without_a_boot_disk_size_stands_in(made):
    types = MachineTypes([*OFFERINGS, fixed("Small-rootdisk50", 2, 2048, created=made, rootdisksize=50)])
    assert types.get("e2-small").id == "id-Small"


def test_an_offering_is_found_under_its_own_name(types):
    found = types.get("small-instance")
    assert (found.id, found.cpus, found.memory_mb, found.speed_mhz) == ("id-Small Instance", 1, 512, 500)
    assert (found.custom, found.alias, found.details) == (False, False, {})


def test_a_custom_size_uses_the_offering_that_has_a_speed(types):
    found = types.get("custom-2-4096")
    assert (found.id, found.custom, found.alias) == ("id-custom-constrained", True, False)
    assert found.details == {"cpuNumber": 2, "memory": 4096}


@pytest.mark.parametrize("name", ["custom-2-4096", "n2-custom-2-4096", "e2-custom-2-4096", "custom-2-4096-ext"])
def test_a_custom_size_keeps_the_name_it_was_asked_by(types, name):
    found = types.get(name)
    assert (found.name, found.cpus, found.memory_mb) == (name, 2, 4096)


def test_a_size_beyond_the_limits_takes_the_unlimited_offering_at_the_common_speed(types):
    found = types.get("custom-16-65536")
    assert found.id == "id-custom-unconstrained"
    assert found.details == {"cpuNumber": 16, "memory": 65536, "cpuSpeed": 1000}


def test_a_size_that_no_offering_allows_is_refused_with_the_limits():
    types = MachineTypes([custom("c", serviceofferingdetails=LIMITS)])
    with pytest.raises(GceError, match="1 to 8 CPUs with 512 to 16384 MB") as caught:
        types.get("custom-9-1024")
    assert caught.value.kind == "invalid"


def test_without_a_customizable_offering_there_is_no_custom_size():
    assert MachineTypes([fixed("a", 1, 1)]).get("custom-1-1024") is None


@pytest.mark.parametrize(
    ("name", "offering"),
    [
        ("f1-micro", "Tiny"),
        ("n1-standard-1", "Medium"),
        ("e2-medium", "Medium"),
        ("e2-small", "Small"),
        ("n2-standard-2", "Large"),
    ],
)
def test_googles_names_stand_for_the_smallest_offering_that_is_large_enough(types, name, offering):
    found = types.get(name)
    assert (found.name, found.id, found.alias) == (name, f"id-{offering}", True)


def test_a_googles_name_too_large_for_every_fixed_offering_is_made_to_size(types):
    found = types.get("n1-standard-16")
    assert (found.id, found.alias, found.custom) == ("id-custom-unconstrained", True, True)
    assert (found.cpus, found.memory_mb) == (16, 61440)


def test_a_googles_name_that_nothing_can_stand_for_is_unknown():
    assert MachineTypes([fixed("Tiny", 1, 1024)]).get("n1-standard-16") is None


def test_settings_come_before_googles_names_and_offerings():
    types = MachineTypes(OFFERINGS, {"e2-medium": "Large", "tiny": "Small Instance", "web": "nothing"})
    assert types.get("e2-medium").id == "id-Large"
    assert types.get("tiny").id == "id-Small Instance"
    assert types.get("web") is None


def test_settings_may_name_a_customizable_offering_for_googles_sizes():
    found = MachineTypes(OFFERINGS, {"e2-medium": "custom-unconstrained"}).get("e2-medium")
    assert found.details == {"cpuNumber": 2, "memory": 4096, "cpuSpeed": 1000}


def test_an_offering_that_bears_googles_name_is_itself():
    found = MachineTypes([fixed("e2-medium", 1, 512), fixed("Medium", 2, 4096)]).get("e2-medium")
    assert (found.id, found.alias) == ("id-e2-medium", False)


def test_other_names_are_unknown(types):
    assert types.get("custom-unconstrained") is None
    assert types.get("no-such") is None


def test_an_offering_bound_to_zones_is_in_those_only():
    assert MachineTypes(OFFERINGS, zoneid="z2").get("zoned") is not None
    assert MachineTypes(OFFERINGS, zoneid="z3").get("zoned") is None


def test_a_machine_shows_its_offering_or_its_own_size(types):
    machine = {"serviceofferingid": "id-Small", "cpunumber": 2, "memory": 2048}
    assert types.of_machine(machine).name == "small"
    machine = {"serviceofferingid": "id-custom-constrained", "cpunumber": 3, "memory": 1024}
    assert types.of_machine(machine).name == "custom-3-1024"


def test_a_machine_whose_offering_was_removed_is_still_described(types):
    machine = {"serviceofferingid": "gone", "serviceofferingname": "Old One", "cpunumber": 2, "memory": 512}
    found = types.of_machine(machine)
    assert (found.name, found.id, found.cpus, found.memory_mb) == ("old-one", "gone", 2, 512)


def test_shapes_are_as_google_answers_them():
    # From recorded machineTypes of GCE.
    recorded = {
        "f1-micro": (1, 614),
        "g1-small": (1, 1740),
        "n1-highcpu-8": (8, 7373),
        "n1-highmem-4": (4, 26624),
    }
    assert recorded.items() <= shapes().items()
