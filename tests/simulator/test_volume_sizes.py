"""How large volumes may be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sim_cloud import DEBIAN, MICRO, ZONE, Cloud

from gstack.simulator.areas.volume_sizes import readable
from gstack.simulator.limits import GIB

SSD_CUSTOM = "d258760a-086c-4f95-89d0-a8dd6ce7b5fa"
SSD_10 = "a9c4edda-f663-44c1-941f-f8bb76f27c59"
DEPLOY = {"zoneid": ZONE, "templateid": DEBIAN, "serviceofferingid": MICRO, "name": "vm", "startvm": "false"}
NO_ROOM = "Requested volume size is {}, but the maximum size allowed is {} GB."
OUTSIDE = "Volume size: {} GB is out of allowed range. Min: 1. Max: 1024"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"rootdisksize": 2001}, NO_ROOM.format("1.9541 TB", 2000)),
        ({"diskofferingid": SSD_CUSTOM, "size": 1025}, OUTSIDE.format(1025)),
        ({"diskofferingid": SSD_CUSTOM, "size": 0}, OUTSIDE.format(0)),
    ],
)
def test_a_machine_with_too_large_a_disk_is_refused_at_once(cloud: Cloud, params: dict, text: str) -> None:
    answer = cloud.do("deployVirtualMachine", **DEPLOY, **params)
    assert (answer["errorcode"], answer["errortext"]) == (431, text)
    assert cloud.do("listVirtualMachines") == cloud.do("listVolumes") == {}


def test_a_root_disk_may_be_larger_than_an_offering_of_any_size_allows(cloud: Cloud) -> None:
    key = cloud.deploy("vm", rootdisksize=2000)
    [root] = cloud.do("listVolumes", virtualmachineid=key)["volume"]
    assert root["size"] == 2000 * GIB
    cloud.run("stopVirtualMachine", id=key)
    job = cloud.run("resizeVolume", id=root["id"], size=2001)
    assert (job["jobresultcode"], job["jobresult"]["errortext"]) == (431, NO_ROOM.format("1.9541 TB", 2000))


def test_the_operators_ceiling_holds_for_fixed_offerings_too(cloud: Cloud) -> None:
    cloud.simulator.settings["storage.max.volume.size"] = 9
    for params in ({"diskofferingid": SSD_10}, {"diskofferingid": SSD_CUSTOM, "size": 10}):
        answer = cloud.do("createVolume", zoneid=ZONE, name="disk", **params)
        assert answer["errortext"] == NO_ROOM.format("10.00 GB", 9)
    assert cloud.do("listVolumes") == {}


def test_growing_asks_for_the_range_of_the_offering_and_for_the_ceiling(cloud: Cloud) -> None:
    custom, fixed = (
        cloud.run("createVolume", zoneid=ZONE, name="disk", **params)["jobresult"]["volume"]["id"]
        for params in ({"diskofferingid": SSD_CUSTOM, "size": 1}, {"diskofferingid": SSD_10})
    )
    assert cloud.run("resizeVolume", id=custom, size=1025)["jobresult"]["errortext"] == OUTSIDE.format(1025)
    assert cloud.run("resizeVolume", id=fixed, size=1025)["jobstatus"] == 1
    assert cloud.run("resizeVolume", id=fixed, size=2001)["jobresultcode"] == 431


@given(st.integers(0, 2**60))
def test_sizes_are_told_in_the_largest_unit_that_is_not_a_fraction(size: int) -> None:
    number, unit = readable(size).split()
    scale = {"bytes": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3, "TB": 1024**4}[unit]
    assert abs(float(number) * scale - size) <= scale / 100
    assert float(number) >= 1 or size == 0
