"""Every standard parameter of a list, asked of a whole gateway: sizes, orders, masks, forms of the answer.

Apart from the tests of the parts because a client sees all of them at once.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

LIST, ALL = "zones/{zone}/disks", "aggregated/disks"
NAMES = ["a", "b", "c"]


@pytest.fixture
def disks(gateway: Any) -> Any:
    """A gateway with three disks, the last of which is the oldest."""
    offering = gateway.cloudstack("listDiskOfferings")[0]["id"]
    world = gateway.simulator.world
    now = world.clock
    for age, name in enumerate(NAMES):
        world.clock = lambda age=age: now() - 100 * age
        gateway.cloudstack("createVolume", name=name, zoneid=gateway.zone_id, diskofferingid=offering)
    world.clock = now
    gateway.simulator.settle()
    return gateway


def _plain(gateway: Any, **query: Any) -> Any:
    """The answer as bytes came, with its status."""
    path = f"/compute/v1/projects/{gateway.project}/zones/{gateway.zone}/disks"
    return gateway.client.get(path, query_string=query, headers={"Authorization": f"Bearer {gateway.token}"})


@pytest.mark.parametrize(("size", "shown"), [("", 3), ("0", 3), ("1", 1), ("2", 2), ("3", 3), ("499", 3), ("500", 3)])
def test_max_results_is_a_number_up_to_500_and_zero_is_the_default(disks: Any, size: str, shown: int) -> None:
    for path, items in ((LIST, lambda answer: answer["items"]), (ALL, _of_zone)):
        answer = disks.get(path, maxResults=size)
        assert len(items(answer)) == shown
        assert ("nextPageToken" in answer) is (shown < 3)


def _of_zone(answer: dict[str, Any]) -> Any:
    return answer["items"]["zones/ch-gva-2"]["disks"]


@pytest.mark.parametrize("size", ["501", "-1", "x", "1.5", "99999999999999999999"])
def test_any_other_size_is_refused_by_name(disks: Any, size: str) -> None:
    for path in (LIST, ALL):
        error = disks.call("GET", path, status=400, maxResults=size)["error"]["errors"][0]
        assert (error["location"], error["locationType"]) == ("maxResults", "parameter")


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ("", NAMES),
        ("name", NAMES),
        ("name asc", NAMES),
        (" name ", NAMES),
        ("creationTimestamp desc", NAMES),
        ("creationTimestamp   desc", NAMES),
    ],
)
def test_the_two_orders(disks: Any, order: str, names: list[str]) -> None:
    assert disks.names(LIST, orderBy=order) == names


def test_the_newest_first_is_not_the_order_of_names(disks: Any) -> None:
    for row in disks.simulator.world.volume:
        row.name = {"a": "z", "b": "y"}.get(row.name, row.name)
    assert disks.names(LIST) == ["c", "y", "z"]
    assert disks.names(LIST, orderBy="creationTimestamp desc") == ["z", "y", "c"]


@pytest.mark.parametrize(
    "order", ["name desc", "creationTimestamp", "creationTimestamp asc", "size", "name,id", "NAME"]
)
def test_any_other_order_is_refused_by_name(disks: Any, order: str) -> None:
    for path in (LIST, ALL, "global/operations"):
        error = disks.call("GET", path, status=400, orderBy=order)["error"]
        assert error["errors"][0]["location"] == "orderBy"
        assert "Only 'name' and 'creationTimestamp desc' are supported." in error["message"]


@pytest.mark.parametrize("name", ["fields", "$fields"])
@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        ("items/name", {"items": [{"name": name} for name in NAMES]}),
        ("items(name)", {"items": [{"name": name} for name in NAMES]}),
        ("kind,items(name,labels/none)", {"kind": "compute#diskList", "items": [{"name": name} for name in NAMES]}),
        ("nextPageToken", {}),
    ],
)
def test_a_mask_cuts_the_list(disks: Any, name: str, mask: str, expected: dict[str, Any]) -> None:
    assert json.loads(_plain(disks, **{name: mask}).data) == expected


def test_a_mask_reaches_into_every_scope_and_keeps_the_warnings_that_it_names(disks: Any) -> None:
    named = disks.get(ALL, fields="items/*/disks/name")["items"]
    assert named["zones/ch-gva-2"] == {"disks": [{"name": name} for name in NAMES]}
    codes = disks.get(ALL, fields="items/*/warning/code")["items"]
    assert codes["zones/de-fra-1"] == {"warning": {"code": "NO_RESULTS_ON_PAGE"}}


@pytest.mark.parametrize("name", ["fields", "$fields"])
@pytest.mark.parametrize("mask", ["items/colour", "items(", "nothing", "items/name/first"])
def test_a_mask_of_what_cannot_be_is_refused(disks: Any, name: str, mask: str) -> None:
    error = json.loads(_plain(disks, **{name: mask}).data)["error"]
    assert (error["code"], error["errors"][0]["location"]) == (400, "fields")


@pytest.mark.parametrize("name", ["prettyPrint", "$prettyPrint", "pp"])
@pytest.mark.parametrize(("text", "lines"), [("false", 1), ("0", 1), ("False", 1), ("true", 2), ("", 2)])
def test_the_answer_is_pretty_unless_it_shall_not_be(disks: Any, name: str, text: str, lines: int) -> None:
    for query in ({}, {"orderBy": "nothing"}):
        assert min(2, len(_plain(disks, **query, **{name: text}).data.splitlines())) == lines


@pytest.mark.parametrize("name", ["alt", "$alt"])
@pytest.mark.parametrize(
    ("form", "status"), [("json", 200), ("json;enum-encoding=int", 200), ("", 200), ("proto", 400)]
)
def test_the_answer_is_json_and_nothing_else(disks: Any, name: str, form: str, status: int) -> None:
    answer = _plain(disks, **{name: form})
    assert (answer.status_code, answer.content_type) == (status, "application/json; charset=UTF-8")
    if status == 400:
        assert json.loads(answer.data)["error"]["errors"][0]["location"] == name


def test_scopes_without_rows_on_this_page_say_so_on_every_page(disks: Any) -> None:
    zones = {f"zones/{zone['name']}" for zone in disks.get("zones")["items"]}
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = disks.get(ALL, maxResults=1, **token)
        assert answer["items"].keys() == zones
        assert sum("disks" in found for found in answer["items"].values()) == 1
        seen += [row["name"] for row in _of_zone(answer)]
        if "nextPageToken" not in answer:
            break
        token = {"pageToken": answer["nextPageToken"]}
    assert seen == NAMES


@pytest.mark.parametrize("flag", ["includeAllScopes", "returnPartialSuccess"])
@pytest.mark.parametrize("text", ["maybe", "2"])
def test_a_flag_that_is_none_is_refused_by_name(disks: Any, flag: str, text: str) -> None:
    assert disks.call("GET", ALL, status=400, **{flag: text})["error"]["errors"][0]["location"] == flag


@pytest.mark.parametrize(("text", "at"), [("name = ", 8), ("name eq (", 9), ("name == x", 7), ("name = x AND", 13)])
def test_a_filter_that_cannot_be_read_points_at_the_place(disks: Any, text: str, at: int) -> None:
    for path in (LIST, ALL, "global/operations", "zones/{zone}/machineTypes"):
        error = disks.call("GET", path, status=400, filter=text)["error"]
        assert error["errors"][0]["location"] == "filter"
        assert f"At character {at}: " in error["message"], error["message"]
