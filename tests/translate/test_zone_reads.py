"""Aggregated lists of which one zone cannot be read: the rest for a client that takes it, an error for any other."""

from __future__ import annotations

from typing import Any

import pytest

BROKEN = "at-vie-1"
COLLECTIONS = {"instances": "listVirtualMachines", "disks": "listVolumes", "addresses": "listPublicIpAddresses"}
# Addresses that lie in no network are a list of their own.
LISTS = {"instances": 1, "disks": 1, "addresses": 2}


@pytest.fixture
def torn(gateway: Any) -> Any:
    """A CloudStack of which every list fails that is asked for all zones, or for the broken one."""
    gateway.deploy("vm1")
    gateway.get("aggregated/instances")  # what is cached is
    zones = {row["name"]: row["id"] for row in gateway.cloudstack("listZones")}
    for command in COLLECTIONS.values():
        for zone in (None, zones[BROKEN]):
            gateway.simulator.faults.add("status", command, times=None, code=530, text="No.", where={"zoneid": zone})
    return gateway


def _scope(collection: str, zone: str) -> str:
    return f"regions/{zone.rpartition('-')[0]}" if collection == "addresses" else f"zones/{zone}"


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_who_takes_what_there_is_gets_the_other_zones_and_a_warning_for_this_one(torn: Any, collection: str) -> None:
    answer = torn.get(f"aggregated/{collection}", returnPartialSuccess="True", includeAllScopes="True")
    scope = _scope(collection, BROKEN)
    assert answer["unreachables"] == [scope]
    assert answer["items"][scope]["warning"]["code"] == "UNREACHABLE"
    rest = {name: found for name, found in answer["items"].items() if name != scope}
    assert len(rest) >= 2
    assert {found["warning"]["code"] for found in rest.values() if "warning" in found} == {"NO_RESULTS_ON_PAGE"}
    shown = [item["name"] for found in rest.values() for item in found.get(collection, [])]
    assert shown == ([] if collection == "addresses" else ["vm1"])
    read = torn.upstream.count(COLLECTIONS[collection])
    assert read == 4 * LISTS[collection]  # for all zones, then for each of three


@pytest.mark.parametrize("collection", COLLECTIONS)
def test_who_does_not_gets_the_error(torn: Any, collection: str) -> None:
    assert "No." in torn.refuse("GET", f"aggregated/{collection}", status=503)
    assert torn.upstream.count(COLLECTIONS[collection]) == LISTS[collection]


@pytest.mark.parametrize("flag", ["true", "false"])
def test_the_list_of_one_zone_is_all_or_nothing(torn: Any, flag: str) -> None:
    torn.refuse("GET", f"zones/{BROKEN}/instances", status=503, returnPartialSuccess=flag)
    assert torn.names("zones/{zone}/instances", returnPartialSuccess=flag) == ["vm1"]
    link = torn.get(f"zones/{BROKEN}")["selfLink"]
    torn.refuse("GET", "aggregated/instances", status=503, returnPartialSuccess=flag, filter=f'zone = "{link}"')


def test_when_no_zone_answers_the_error_is_the_answer(gateway: Any) -> None:
    gateway.simulator.faults.add("status", "listVolumes", times=None, code=530, text="No.")
    gateway.refuse("GET", "aggregated/disks", status=503, returnPartialSuccess="true")
    assert gateway.upstream.count("listVolumes") == 4


def test_one_zone_that_hangs_is_unreachable_too(torn: Any) -> None:
    torn.simulator.faults.clear()
    broken = torn.cloudstack("listZones", name=BROKEN)[0]["id"]
    for zone in (None, broken):
        torn.simulator.faults.add("hang", "listVolumes", times=None, where={"zoneid": zone})
    answer = torn.get("aggregated/disks", returnPartialSuccess="true")
    assert answer["unreachables"] == [f"zones/{BROKEN}"]


def test_who_is_told_to_ask_less_does_not_ask_again(gateway: Any) -> None:
    gateway.get("aggregated/disks")
    gateway.simulator.faults.add("status", "listVolumes", times=None, code=429)
    gateway.refuse("GET", "aggregated/disks", status=429, returnPartialSuccess="true")
    assert gateway.upstream == ["listVolumes"]
