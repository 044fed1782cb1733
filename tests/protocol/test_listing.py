"""Plain and aggregated lists: their shape, and how little is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from gstack.errors import GceError
from gstack.protocol.call import Call
from gstack.protocol.discovery import document
from gstack.protocol.links import Links
from gstack.protocol.listing import Shape, aggregated, listing
from gstack.protocol.paging import Seal
from gstack.protocol.responses import check_response

SEAL = Seal(lambda: [b"k" * 32])
DOWN = GceError("backendError", "CloudStack is not reachable.")
Row = dict[str, Any]


def a_call(method: str = "compute.instances.list", caller: str = "ann", **params: Any) -> Call:
    return Call(
        method=document().methods[method],
        params={"project": "p", "zone": "z", **params},
        body={},
        links=Links("https://h/compute/v1"),
        caller=SimpleNamespace(credential_id=caller),
    )


def an_aggregated_call(**params: Any) -> Call:
    return a_call("compute.instances.aggregatedList", **params)


def named(*names: str) -> list[Row]:
    return [{"id": str(ord(name[0])), "name": name} for name in names]


class View:
    """A view that counts."""

    def __init__(self) -> None:
        self.rendered = 0

    def __call__(self, row: Row) -> Row:
        self.rendered += 1
        return {"kind": "compute#instance", **row}


def name(row: Row) -> str:
    return str(row["name"])


def a_list(call: Call, rows: Sequence[Row], view: Any = None, **more: Any) -> Row:
    shape = Shape[Row](view or View(), name, more.pop("created", None), prepare=more.pop("prepare", None))
    return listing(call, rows, shape, seal=SEAL, **more)


def names(answer: Row) -> list[str]:
    return [item["name"] for item in answer.get("items", [])]


def by_scope(answer: Row) -> dict[str, list[str]]:
    return {
        scope: [item["name"] for item in member["instances"]]
        for scope, member in answer["items"].items()
        if "instances" in member
    }


def all_scopes(call: Call, scopes: Any, view: Any = None, **more: Any) -> Row:
    return aggregated(call, scopes, "instances", Shape(view or View(), name), seal=SEAL, **more)


def test_a_list_has_the_members_of_a_recorded_gce_list() -> None:
    answer = a_list(a_call(), named("a"))
    assert answer == {
        "kind": "compute#instanceList",
        "id": "projects/p/zones/z/instances",
        "items": [{"kind": "compute#instance", "id": "97", "name": "a"}],
        "selfLink": "https://h/compute/v1/projects/p/zones/z/instances",
    }


def test_an_empty_list_has_no_items_and_no_token() -> None:
    assert set(a_list(a_call(), [])) == {"kind", "id", "selfLink"}


def test_a_list_without_a_kind_has_no_id_and_its_own_member() -> None:
    call = a_call("compute.instanceGroupManagers.listManagedInstances", instanceGroupManager="m")
    assert set(a_list(call, named("a"), member="managedInstances")) == {"managedInstances"}


def test_a_warning_goes_into_the_answer() -> None:
    warning = {"code": "UNREACHABLE", "message": "gone"}
    assert a_list(a_call(), [], warning=warning)["warning"] == warning


def test_rows_are_ordered_by_name_and_equal_names_by_identity() -> None:
    rows = [*named("c", "a"), {"id": "2", "name": "b"}, {"id": "1", "name": "b"}]
    assert [item["id"] for item in a_list(a_call(), rows)["items"]] == ["97", "1", "2", "99"]


def test_the_newest_come_first_when_asked() -> None:
    rows = [{"name": n, "created": f"2025-01-0{day}T00:00:00+0000"} for n, day in (("a", 1), ("b", 3), ("c", 2))]
    call = a_call(orderBy="creationTimestamp desc")
    assert names(a_list(call, rows, created=lambda row: row["created"])) == ["b", "c", "a"]


@pytest.mark.parametrize("member", ["creationTimestamp", "insertTime"])
def test_without_a_creation_time_of_the_row_the_views_is_read(member: str) -> None:
    rows = [{"name": n, member: f"2025-01-0{day}T00:00:00Z"} for n, day in (("a", 1), ("b", 3), ("c", 2))]
    view = View()
    assert names(a_list(a_call(orderBy="creationTimestamp desc"), rows, view)) == ["b", "c", "a"]
    assert view.rendered == 3


def test_pages_follow_one_another_until_the_last_which_has_no_token() -> None:
    rows = named(*"edcba")
    seen = []
    token = None
    for _ in range(3):
        answer = a_list(a_call(maxResults=2, pageToken=token), rows)
        seen.append(names(answer))
        token = answer.get("nextPageToken")
    assert (seen, token) == ([["a", "b"], ["c", "d"], ["e"]], None)


def test_a_page_that_ends_with_the_list_has_no_token() -> None:
    assert "nextPageToken" not in a_list(a_call(maxResults=2), named("a", "b"))


def test_rows_of_one_name_are_cut_between_pages_without_loss() -> None:
    rows = [{"id": str(n), "name": "same"} for n in range(3)]
    first = a_list(a_call(maxResults=2), rows)
    second = a_list(a_call(maxResults=2, pageToken=first["nextPageToken"]), rows)
    assert [item["id"] for item in first["items"] + second["items"]] == ["0", "1", "2"]


def test_a_token_of_another_caller_zone_or_list_is_refused() -> None:
    token = a_list(a_call(maxResults=1), named("a", "b"))["nextPageToken"]
    for call in (
        a_call(pageToken=token, caller="bob"),
        a_call(pageToken=token, zone="y"),
        a_call(pageToken=token, filter="name != x"),
        a_call("compute.disks.list", pageToken=token),
    ):
        with pytest.raises(GceError, match="Invalid value for field 'pageToken'"):
            a_list(call, named("a", "b"))


@pytest.mark.parametrize("params", [{"filter": "name"}, {"orderBy": "status"}, {"maxResults": 501}])
def test_a_bad_parameter_is_refused_before_anything_is_rendered(params: dict[str, Any]) -> None:
    view = View()
    with pytest.raises(GceError, match="Invalid value for field"):
        a_list(a_call(**params), named("a"), view)
    assert view.rendered == 0


TEN_THOUSAND = [{"id": str(n), "name": f"vm-{n:05}", "status": "UP" if n % 2 else "DOWN"} for n in range(10_000)]


@pytest.mark.parametrize(
    ("params", "shown", "rendered"),
    [
        ({}, 500, 500),
        ({"maxResults": 7}, 7, 7),
        ({"filter": r'name eq ".*\bvm\-001.*"'}, 100, 100),
        ({"filter": "name = vm-00001"}, 1, 1),
        ({"filter": "name = none"}, 0, 0),
        ({"filter": "status = UP", "maxResults": 5}, 5, 12),
        ({"filter": "name = vm-0000* AND status = UP"}, 5, 10),
    ],
)
def test_only_what_the_page_shows_or_the_filter_must_see_is_rendered(
    params: dict[str, Any], shown: int, rendered: int
) -> None:
    view = View()
    assert len(names(a_list(a_call(**params), TEN_THOUSAND, view))) == shown
    assert view.rendered == rendered


def test_what_is_about_to_be_rendered_is_announced_at_once() -> None:
    announced: list[list[str]] = []
    rows = named(*"abcd")
    a_list(a_call(maxResults=3), rows, prepare=lambda found: announced.append([name(row) for row in found]))
    assert announced == [["a", "b", "c"]]


def test_a_filter_that_looks_inside_announces_a_chunk_and_renders_each_row_once() -> None:
    view = View()
    announced: list[int] = []
    call = a_call(filter="status = UP", maxResults=5)
    a_list(call, TEN_THOUSAND, view, prepare=lambda found: announced.append(len(found)))
    assert (announced, view.rendered) == ([100], 12)


def test_an_aggregated_list_maps_every_scope_to_its_rows_or_to_a_warning() -> None:
    answer = all_scopes(an_aggregated_call(), [("zones/b", []), ("zones/a", named("x"))])
    assert answer == {
        "kind": "compute#instanceAggregatedList",
        "id": "projects/p/aggregated/instances",
        "items": {
            "zones/a": {"instances": [{"kind": "compute#instance", "id": "120", "name": "x"}]},
            "zones/b": {
                "warning": {
                    "code": "NO_RESULTS_ON_PAGE",
                    "message": "There are no results for scope 'zones/b' on this page.",
                    "data": [{"key": "scope", "value": "zones/b"}],
                }
            },
        },
        "selfLink": "https://h/compute/v1/projects/p/aggregated/instances",
    }


def test_an_aggregated_list_of_nothing_still_has_items() -> None:
    assert all_scopes(an_aggregated_call(), [])["items"] == {}


def test_max_results_counts_over_all_scopes_and_the_next_page_goes_on_in_the_middle_of_one() -> None:
    scopes = [("zones/b", named("a", "d")), ("zones/a", named("b", "c", "e"))]
    first = all_scopes(an_aggregated_call(maxResults=2), scopes)
    second = all_scopes(an_aggregated_call(maxResults=2, pageToken=first["nextPageToken"]), scopes)
    third = all_scopes(an_aggregated_call(maxResults=2, pageToken=second["nextPageToken"]), scopes)
    assert [by_scope(first), by_scope(second), by_scope(third)] == [
        {"zones/a": ["b", "c"]},
        {"zones/a": ["e"], "zones/b": ["a"]},
        {"zones/b": ["d"]},
    ]
    assert "nextPageToken" not in third and set(first["items"]) == {"zones/a", "zones/b"}


def test_further_scopes_are_shown_only_when_all_are_asked_for() -> None:
    def others() -> Any:
        yield from ("global", "regions/r")

    scopes = [("zones/a", named("x"))]
    assert set(all_scopes(an_aggregated_call(), scopes, all_scopes=others())["items"]) == {"zones/a"}
    whole = all_scopes(an_aggregated_call(includeAllScopes="True"), scopes, all_scopes=others())
    assert list(whole["items"]) == ["global", "regions/r", "zones/a"]


@pytest.mark.parametrize("flag", [True, "True", "true"])
def test_with_partial_success_a_scope_that_is_down_becomes_a_warning(flag: Any) -> None:
    call = an_aggregated_call(returnPartialSuccess=flag)
    answer = all_scopes(call, [("zones/a", named("x")), ("zones/b", DOWN)])
    assert answer["items"]["zones/b"]["warning"]["code"] == "UNREACHABLE"
    assert answer["unreachables"] == ["zones/b"]
    assert by_scope(answer) == {"zones/a": ["x"]}


@pytest.mark.parametrize(
    ("params", "failure"),
    [
        ({}, DOWN),
        ({"returnPartialSuccess": False}, DOWN),
        ({"returnPartialSuccess": True}, GceError("forbidden", "No.")),
        ({"returnPartialSuccess": True}, KeyError("a defect of ours")),
    ],
)
def test_any_other_failure_of_a_scope_is_the_answer(params: dict[str, Any], failure: Exception) -> None:
    with pytest.raises(type(failure)) as caught:
        all_scopes(an_aggregated_call(**params), [("zones/a", named("x")), ("zones/b", failure)])
    assert caught.value is failure


def test_when_no_scope_can_be_reached_the_error_is_the_answer() -> None:
    with pytest.raises(GceError, match="not reachable"):
        all_scopes(an_aggregated_call(returnPartialSuccess=True), [("zones/a", DOWN), ("zones/b", DOWN)])


def test_unreachable_scopes_are_named_only_where_the_schema_has_the_member() -> None:
    call = a_call("compute.instanceTemplates.aggregatedList", returnPartialSuccess=True)
    scopes: Any = [("global", named("x")), ("regions/r", DOWN)]
    answer = aggregated(call, scopes, "instanceTemplates", Shape(View(), name), seal=SEAL)
    assert check_response("InstanceTemplateAggregatedList", answer) == []


def test_the_answers_fit_googles_schemas() -> None:
    scopes: Any = [("zones/a", [{"id": "1", "name": n} for n in "xy"]), ("zones/b", DOWN), ("zones/c", [])]
    answer = all_scopes(an_aggregated_call(maxResults=1, returnPartialSuccess=True), scopes)
    assert check_response("InstanceAggregatedList", answer) == []
    assert check_response("InstanceList", a_list(a_call(maxResults=1), scopes[0][1])) == []
